// Package service runs a site's certificate services. Built is enrolment: a
// device shows a one-time code and a certification request, and gets a
// certificate for the name the code allows.
//
//	parley-pki code new --> codes/<hash>.json          the code itself is kept nowhere
//	                              |
//	device --Enroll(code, CSR)--> + --> codes/<hash>.used (COMMIT POINT) --> issued.jsonl --> certificate
//
// The Directory is where a site's certificates, keys and codes lie on disk. The
// service holds the device CA's key and its own HTTPS key; the root's key is
// not needed to run it and is better kept elsewhere.
//
// It knows people's names, their devices' certificates and the CAs of peers. It
// must not know rooms, messages, or any key of a device.
package service
