// Package storage keeps what a node must not lose: the logs of its rooms, and
// beside them blobs, key packages, cursors and Welcome routes.
//
//	Submit ----> room: Ledger.Accept --+
//	                                   +--> queue --> committer --> Badger, synced
//	Replicate -> room: Ledger.Verify --+                 |          journal, synced
//	                                                     |          COMMIT POINT
//	Read <------ view: recent entries <------------------+--> receipts, wakes
//
// It knows entries, their order, the ledger's rules as groups states them, and
// how to make a batch of them durable. It must not know who asks (sessions,
// links), what a body says, nor any key that opens a message.
package storage
