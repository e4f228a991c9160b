package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"parley/groups"
)

// badgerDir is Badger's folder in the node's directory.
const badgerDir = "badger"

// indexCache bounds the memory for the indexes and Bloom filters of Badger's
// tables; what does not fit is read again.
const indexCache = 64 << 20

// memTable is the size of one of Badger's tables in memory, of which there are
// at most four: the one that is written to, two that wait, and one on its way to
// the disk. A transaction may fill 15 % of one: see maxOpBytes.
const memTable = 64 << 20

// table is the size of Badger's tables below level 0. Each is a file with a sync
// of its own, while receipts wait for the same disk: at Badger's 2 MiB one
// compaction made 160 of them.
const table = 32 << 20

// bulk is the size from which a value goes to the value log, where it is written
// once and never moved: the segments of busy rooms, and the chunks of uploads.
// What is smaller is written two to ten times, whenever a table of the tree is
// merged with others, at the expense of receipts that wait for the same disk. But
// only there does what is deleted give back its space: so all that is deleted as
// a rule, key packages and held bytes, is smaller.
const bulk = 4 << 10

// valueFile is the size of a file of the value log, in which a new file begins.
const valueFile = 128 << 20

// badgerConfig sets Badger up for one writer that makes its own batches.
func badgerConfig(c Config) badger.Options {
	o := badger.DefaultOptions(filepath.Join(c.Dir, badgerDir))
	o.SyncWrites = true // a commit returns when it is on the disk
	o.DetectConflicts = false
	o.Compression = options.None // bodies are ciphertext
	o.BlockCacheSize = 0         // blocks are mapped, not copied
	o.IndexCacheSize = indexCache
	o.MetricsEnabled = false
	o.MemTableSize = memTable
	o.BaseTableSize = table
	o.NumMemtables = 2
	o.NumCompactors = 2
	o.ValueThreshold = bulk
	o.ValueLogFileSize = valueFile
	o.VerifyValueChecksum = true // lengths are in it: a rotten one would be believed
	return o
}

// openBadger opens Badger; where it would panic over a damaged file, that is
// an error.
func openBadger(c Config) (db *badger.DB, says *badgerLog, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = groups.Errorf(groups.Internal, "open store: damaged: %v", p)
		}
	}()
	o := badgerConfig(c)
	says = &badgerLog{log: c.Log}
	o.Logger = says
	err = sealValues(o.ValueDir)
	if err == nil {
		db, err = badger.Open(o)
	}
	if err != nil && (groups.KindOf(err) == groups.Conflict || strings.Contains(err.Error(), "Cannot acquire directory lock")) {
		return nil, nil, errInUse()
	}
	if err != nil {
		return nil, nil, groups.Errorf(groups.Internal, "open store: %w", err)
	}
	return db, says, nil
}

// closePermissions makes what is in the directory readable by its owner alone.
// Badger makes its files 0644; until this has run, the directory's own 0700
// keeps others out.
func closePermissions(dir string) error {
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("protect store: %w", err)
	}
	list, err := os.ReadDir(filepath.Join(dir, badgerDir))
	if err != nil {
		return fmt.Errorf("protect store: %w", err)
	}
	for _, e := range list {
		if !e.Type().IsRegular() {
			continue
		}
		err := os.Chmod(filepath.Join(dir, badgerDir, e.Name()), 0o600)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("protect store: %w", err)
		}
	}
	return nil
}

// get returns a copy of a row's value, nil if there is no such row.
func get(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// lookup is get outside a transaction.
func (s *Store) lookup(key []byte) (value []byte, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		value, err = get(txn, key)
		return err
	})
	return value, readError(err)
}

// readError says that a row could not be read, nil for nil.
func readError(err error) error {
	if err == nil {
		return nil
	}
	return groups.Errorf(groups.Internal, "read store: %w", err)
}

// scan calls each with the rows whose keys have a prefix, in order, from a key
// on (nil: the first). Key and value are valid during the call only. each
// returns false to end the scan.
func scan(txn *badger.Txn, prefix, from []byte, each func(key, value []byte) (bool, error)) error {
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false // values lie in the tables, there is nothing to fetch
	o.Prefix = prefix
	it := txn.NewIterator(o)
	defer it.Close()
	if from == nil {
		from = prefix
	}
	for it.Seek(from); it.ValidForPrefix(prefix); it.Next() {
		item := it.Item()
		more := true
		err := item.Value(func(v []byte) (err error) {
			more, err = each(item.Key(), v)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}
