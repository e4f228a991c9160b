// Package gateway is a node's face to devices: sessions, submissions, tails,
// key packages and blobs, as the Connect service of api/device/v1.
//
//	device --TLS 1.3--> TCP: HTTP/1.1, HTTP/2 --+
//	device --QUIC-----> UDP: HTTP/3 ------------+--> gate (session) --> calls
//	                                                                     |
//	     Submit --> Config.Submitter (this node's log, or a relay)  <----+
//	     Tail   <-- Config.Log: one ring a room wakes all its tails,
//	                which read from their cursors and share what is encoded
//
// It knows who is logged in, how fast they may ask, and which reader stands
// where. It must not know how a log is stored, how another site is reached, nor
// any key that opens a message.
package gateway
