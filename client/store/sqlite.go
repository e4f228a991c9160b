package store

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // registers the encrypting VFS

	"parley/client"
)

// A Config says where a device's home is and who has its key.
type Config struct {
	// Dir is the home; it must be given and is made if it is not there.
	Dir string
	// Passphrase is asked for when the key file is under a passphrase, and
	// for a new home if Protect says so; nil means there is none.
	Passphrase func() ([]byte, error)
	// Protect says how a new home's key is kept; zero means a key file. A home
	// that exists is opened in the way it was made.
	Protect Protection
	// Wait is how long to wait for another process that has the home open;
	// zero means 5 seconds, less than zero not at all.
	Wait time.Duration
}

const (
	defaultWait = 5 * time.Second
	fileName    = "store.db"
	pidName     = "store.pid"
	// schemaVersion is kept in SQLite's user_version.
	schemaVersion = 1
	// checkpointPages is how long the write-ahead log grows before it is
	// folded into the file, in pages of 4 KiB.
	checkpointPages = 1000
)

// A File is a store in an encrypted SQLite file. One connection serves all,
// one at a time: SQLite has one writer anyway, and a device reads little.
type File struct {
	mu   sync.Mutex // guards all below
	conn *sqlite3.Conn
	stmt statements
	dir  string
}

// A BusyError says that another process has the home open.
type BusyError struct {
	Dir string
	PID string // empty if it is not known
}

// Error names the process and says what to do.
func (e *BusyError) Error() string {
	who := "another parley"
	if e.PID != "" {
		who += " (process " + e.PID + ")"
	}
	return fmt.Sprintf("%s uses the home %s: close it, or use another --home", who, e.Dir)
}

// Open opens a home, or makes one. A wrong key or passphrase is ErrKey, a home
// that another process keeps is a *BusyError.
func Open(cfg Config) (*File, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make home: %w", err)
	}
	path := filepath.Join(cfg.Dir, fileName)
	_, err := os.Stat(path)
	key, err := loadKey(cfg, errors.Is(err, os.ErrNotExist))
	if err != nil {
		return nil, fmt.Errorf("open home %s: %w", cfg.Dir, err)
	}
	defer clear(key)
	f := &File{dir: cfg.Dir}
	if err := f.open(path, key, cfg.Wait); err != nil {
		if f.conn != nil {
			f.conn.Close()
		}
		return nil, err
	}
	pid := []byte(fmt.Sprint(os.Getpid()))
	if err := os.WriteFile(filepath.Join(cfg.Dir, pidName), pid, 0o600); err != nil {
		f.Close()
		return nil, fmt.Errorf("open home: %w", err)
	}
	return f, nil
}

// open makes the connection. Exclusive locking keeps other processes out from
// the first access on, and needs no shared memory for the write-ahead log.
func (f *File) open(path string, key []byte, wait time.Duration) (err error) {
	// SQLite makes its other files with the permissions of the first.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if f.conn, err = sqlite3.Open(uri(path)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if wait == 0 {
		wait = defaultWait
	}
	if err := f.conn.Exec(fmt.Sprintf("PRAGMA hexkey='%x'", key)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if err := f.conn.BusyTimeout(max(wait, 0)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return f.explain(f.prepare())
}

// uri names the file to SQLite: through the encrypting layer, and with the
// file's own permissions for the write-ahead log.
func uri(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	path = filepath.ToSlash(path)
	query := "vfs=adiantum&modeof=" + url.PathEscape(path)
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query}).String()
}

// prepare sets what the connection needs, and makes or checks the schema.
func (f *File) prepare() error {
	for _, sql := range []string{
		"PRAGMA locking_mode=exclusive",
		"PRAGMA temp_store=memory",
		"BEGIN EXCLUSIVE; COMMIT", // take the lock before anything is decided
		"PRAGMA journal_mode=wal",
		"PRAGMA synchronous=full", // a commit is a sync
		"PRAGMA secure_delete=on", // used keys are overwritten (I8)
		fmt.Sprintf("PRAGMA journal_size_limit=%d", checkpointPages*4096),
	} {
		if err := f.conn.Exec(sql); err != nil {
			return err
		}
	}
	if err := f.conn.WALAutoCheckpoint(checkpointPages); err != nil {
		return err
	}
	if err := f.schema(); err != nil {
		return err
	}
	return f.stmt.prepare(f.conn)
}

// schema makes the tables that a file does not have yet, all of them in a new
// one, and refuses a newer file. A table more is no other version: a parley that
// does not know it leaves it alone.
func (f *File) schema() error {
	var version int
	s, _, err := f.conn.Prepare("PRAGMA user_version")
	if err != nil {
		return err
	}
	if s.Step() {
		version = s.ColumnInt(0)
	}
	if err := errors.Join(s.Err(), s.Close()); err != nil {
		return err
	}
	if version != schemaVersion && version != 0 {
		return fmt.Errorf("store has version %d, this parley knows %d: use a newer parley", version, schemaVersion)
	}
	sql := "BEGIN;"
	for t := range client.NumTables {
		sql += fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;", t)
	}
	if version == 0 {
		sql += fmt.Sprintf("PRAGMA user_version=%d;", schemaVersion)
	}
	return f.conn.Exec(sql + "COMMIT")
}

// explain turns SQLite's codes into what a person can act on.
func (f *File) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		pid, _ := os.ReadFile(filepath.Join(f.dir, pidName)) // only a hint
		return &BusyError{Dir: f.dir, PID: string(pid)}
	case errors.Is(err, sqlite3.NOTADB), errors.Is(err, sqlite3.CORRUPT):
		return fmt.Errorf("open store: %w (%w)", ErrKey, err)
	}
	return fmt.Errorf("open store: %w", err)
}

// Close folds the write-ahead log into the file and lets the home go.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == nil {
		return nil
	}
	f.stmt.close()
	_, _, err := f.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	os.Remove(filepath.Join(f.dir, pidName))
	err = errors.Join(err, f.conn.Close())
	f.conn = nil
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
