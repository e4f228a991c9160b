// Package store keeps what a device must not forget: in an encrypted SQLite
// file, or in memory.
//
//	home/                 0700
//	  store.key           0600  32 random bytes, or the same under a passphrase
//	  store.db            0600  SQLite, every block encrypted with Adiantum
//	  store.db-wal        0600  what was written last, encrypted in the same way
//	  store.pid                 who has the home open
//
// The file is in WAL mode with full synchronisation: an Update is one append
// to the log and one sync of it, and survives a loss of power. One process at
// a time has a home open; another waits a few seconds and is then told who.
//
// What protects the file is the disk's owner and the key beside it: whoever
// reads store.key reads the store. A passphrase or the system's keyring takes
// the key off the disk. Adiantum hides content, it does not prove it: a block
// that somebody else has written decrypts to noise, which SQLite reports, but
// an old copy of the whole home can not be told from a new one.
//
// It knows tables, keys and transactions. It must not know what stands in a
// row.
package store
