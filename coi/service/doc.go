// Package service runs a site's certificate services: enrolment, and the realms
// of its Communities of Interest (CoIs).
//
//	parley-pki code new --> codes/<hash>.json          the code itself is kept nowhere
//	                              |
//	device --Enroll(code, CSR)--> + --> codes/<hash>.used (COMMIT POINT) --> issued.jsonl --> certificate
//
//	unwrap realm --CSR--> Authority (CoI CA) --cois.json--> Lookup --certificates, stapled status--> device
//	device --KeyRequest--> Unwrap --checks--> AuditLog (COMMIT POINT) --> private key --sealed--> device
//	Issuer.Revoke --> revoked.jsonl (COMMIT POINT) --> OCSP --status--> Lookup, device, openssl
//
// A Directory is where a site's certificates, keys and codes lie on disk; a Realm
// is the directory of one service of the CoIs, which starts only where no key of
// another role lies in it. The enrolment service holds the device CA's key and its
// own HTTPS key; the root's key is not needed to run it and is better kept
// elsewhere.
//
// An error says what happened, to which file or name, and what to do: commands
// print it as it is. What a device is refused is a Connect error with few words;
// why stands in the service's log.
//
// It knows people's names, their devices' certificates, the CAs of peers, and who
// may use which CoI. It must not know messages, or any key of a device.
package service
