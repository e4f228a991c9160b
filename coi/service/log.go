package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const (
	// maxBatch bounds the entries that share a sync; more wait for the next.
	maxBatch = 4096
	// maxWaiting bounds the calls that wait for a sync; more wait to be let in,
	// as long as their context allows.
	maxWaiting = 256
	// checkpointEvery is how often the checkpoint is put where others find it.
	checkpointEvery = time.Second
)

// ErrLogDown says that the log of uses can not be written: nothing may be done
// that it would have to hold.
var ErrLogDown = errors.New("the log of uses can not be written")

// An AuditLog is the append-only record of what a service's private keys were
// used for: a Merkle tree (RFC 6962) whose root is signed with each batch. An
// entry is durable, and under a signed root, when Append returns. One process
// has a log open at a time. It is safe for many goroutines.
//
//	Append --waiting--> run: write entries and checkpoint, ONE sync, answer all
type AuditLog struct {
	dir      string
	signer   note.Signer
	verifier note.Verifier
	salt     []byte
	public   string
	f        *os.File
	unlock   func()
	waiting  chan *appending
	quit     chan struct{}
	ended    chan struct{}

	// The rest belongs to run.
	tree *edge
	size int64  // octets of whole, synced batches
	last []byte // the signed checkpoint of the last of them
	down error  // set by a failed sync, for good: what is on disk is not known then
}

// An AuditReceipt says where entries stand, and under which signed checkpoint.
type AuditReceipt struct {
	First      int64 // index of the first of them
	Checkpoint []byte
}

// appending is a call that waits for its entries to be durable.
type appending struct {
	entries [][]byte
	receipt AuditReceipt
	err     error
	done    chan struct{} // closed when receipt or err is set
}

// OpenAudit opens the log in a directory that InitAudit made, and reads all of
// it: every entry must hash to the roots that were signed for it, and none may
// be missing under the checkpoint that was last shown to others; else it does
// not open. A last batch that a crash left unfinished, and that nobody was told
// of, is cut off. each is called for every entry, nil for nobody.
func OpenAudit(dir string, each func(n int64, e *AuditEntry)) (*AuditLog, error) {
	l := &AuditLog{
		dir: dir, waiting: make(chan *appending, maxWaiting),
		quit: make(chan struct{}), ended: make(chan struct{}),
	}
	var err error
	if l.signer, err = auditSigner(dir); err != nil {
		return nil, err
	}
	if l.verifier, err = AuditKey(dir); err != nil {
		return nil, err
	}
	if l.salt, err = auditSalt(dir); err != nil {
		return nil, err
	}
	if l.public, err = AuditPublic(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, auditFile)
	if l.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode); err != nil {
		return nil, fmt.Errorf("open log of uses: %w", err)
	}
	if l.unlock, err = lock(l.f); err != nil {
		l.f.Close()
		return nil, fmt.Errorf("%s is in use: is another parley-pki unwrap running on this directory? %w", path, err)
	}
	if err := l.recover(each); err != nil {
		l.release()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	go l.run()
	return l, nil
}

// Close waits for what was begun, and lets another process have the log.
func (l *AuditLog) Close() error {
	close(l.quit)
	<-l.ended
	return l.release()
}

func (l *AuditLog) release() error {
	l.unlock()
	return l.f.Close()
}

// Append makes entries durable, in one piece and in this order. On an error
// nobody may rely on them: ErrLogDown, or the context's. At most maxBatch at a
// time.
func (l *AuditLog) Append(ctx context.Context, entries ...AuditEntry) (AuditReceipt, error) {
	a := &appending{done: make(chan struct{})}
	if len(entries) > maxBatch {
		return a.receipt, fmt.Errorf("%d entries at once: at most %d", len(entries), maxBatch)
	}
	for i := range entries {
		a.entries = append(a.entries, entries[i].Marshal())
	}
	select {
	case l.waiting <- a:
	case <-ctx.Done():
		return a.receipt, ctx.Err()
	case <-l.ended:
		return a.receipt, ErrLogDown
	}
	select {
	case <-a.done:
	case <-l.ended: // it may have been served just before
		select {
		case <-a.done:
		default:
			return a.receipt, ErrLogDown
		}
	}
	return a.receipt, a.err
}

// Room names a room as the log does.
func (l *AuditLog) Room(room string) [32]byte { return hashRoom(l.salt, room) }

// Public returns the log's public key as text, for witnesses.
func (l *AuditLog) Public() string { return l.public }
