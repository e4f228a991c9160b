// Command mls-interop lets the interop harness of the MLS working group drive
// package mls over gRPC, against itself or against another implementation.
//
//	test-runner ---- gRPC, mls_client.MLSClient ----> service ----> mls
//	     |                                            state_id -> member
//	     '------- the same ------> somebody else's client
//
// It knows the harness's calls and keeps what they name by number. It must not
// be used for anything else: it gives private keys to whoever asks, which is what
// the harness wants of it, and listens on loopback unless told otherwise.
package main
