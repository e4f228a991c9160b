package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"parley/groups"
)

// maxRuleFile bounds the file of rules, in bytes.
const maxRuleFile = 64 << 20

// Entitlements is a RuleBook in a file. Whoever reads it sees a change with the
// next look; whoever changes it replaces the file in one piece, durably. It is
// safe for many goroutines and processes.
type Entitlements struct {
	path string

	mu   sync.Mutex // guards the rest
	book *RuleBook
	seen os.FileInfo // of the file that book was read from
}

// OpenEntitlements takes the file of rules; it need not be there yet.
func OpenEntitlements(path string) (*Entitlements, error) {
	e := &Entitlements{path: path}
	_, err := e.Book()
	return e, err
}

// Book returns the rules as they are now. What it returns must not be changed.
// An error means that nobody may do anything: rules that can not be read do not
// leave the last ones in force.
func (e *Entitlements) Book() (*RuleBook, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	info, err := os.Stat(e.path)
	if errors.Is(err, os.ErrNotExist) {
		e.book, e.seen = nil, nil
		return new(RuleBook).hashed()
	}
	if err != nil {
		return nil, fmt.Errorf("read entitlements: %w", err)
	}
	same := e.seen != nil && os.SameFile(info, e.seen) && info.ModTime().Equal(e.seen.ModTime()) && info.Size() == e.seen.Size()
	if same {
		return e.book, nil
	}
	book, err := readRules(e.path)
	if err != nil {
		e.book, e.seen = nil, nil
		return nil, err
	}
	e.book, e.seen = book, info
	return book, nil
}

func readRules(path string) (*RuleBook, error) {
	data, err := readSmall(path, maxRuleFile)
	if err != nil {
		return nil, err
	}
	book := &RuleBook{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(book); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(book.Rules) > maxRules {
		return nil, fmt.Errorf("read %s: more than %d rules", path, maxRules)
	}
	for i := range book.Rules {
		if err := book.Rules[i].Check(); err != nil {
			return nil, fmt.Errorf("read %s: rule %d: %w", path, i+1, err)
		}
	}
	return book.hashed()
}

// hashed names the book by what is in it.
func (b *RuleBook) hashed() (*RuleBook, error) {
	data, err := json.Marshal(b)
	b.hash = sha256.Sum256(data)
	return b, err
}

// Import takes over the rules of another instance, which its administrator has
// brought here, in one piece. It refuses what the service would: rules that can
// not be read, and an older version; and other rules under the version that is
// here, of which nobody could say which came last.
func (e *Entitlements) Import(path string) (uint64, error) {
	next, err := readRules(path)
	if err != nil {
		return 0, err
	}
	unlock, err := lockBeside(e.path)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if _, err := os.Stat(e.path); err == nil {
		book, err := readRules(e.path)
		if err != nil {
			return 0, err
		}
		if next.Version < book.Version {
			return 0, fmt.Errorf("%s is version %d, here is version %d: bring the newer rules to the other instance", path, next.Version, book.Version)
		}
		if next.Version == book.Version && next.hash != book.hash {
			return 0, fmt.Errorf("%s and the rules here are both version %d, and differ: each was changed by itself; make the changes of one again in the other, then import", path, next.Version)
		}
	}
	return next.Version, e.put(next)
}

func (e *Entitlements) put(book *RuleBook) error {
	data, err := json.MarshalIndent(book, "", "  ")
	if err != nil {
		return fmt.Errorf("write entitlements: %w", err)
	}
	return replace(e.path, append(data, '\n'))
}

// Add puts rules in force, by whom they say, and returns the book's new version.
// A rule that is there already in the same words is replaced by its newer
// giving; a grant to exactly whom a rule denies the same takes the denial back.
func (e *Entitlements) Add(rules ...Rule) (uint64, error) {
	return e.change(func(book *RuleBook) error {
		now := time.Now().UTC()
		for _, r := range rules {
			if err := r.Check(); err != nil {
				return err
			}
			if r.At.IsZero() {
				r.At = now
			}
			book.Rules = slices.DeleteFunc(book.Rules, func(old Rule) bool { return r.replaces(&old) })
			book.Rules = append(book.Rules, r)
		}
		if len(book.Rules) > maxRules {
			return fmt.Errorf("%d rules: at most %d", len(book.Rules), maxRules)
		}
		return nil
	})
}

// Forget has the service forget the newest epoch it knows of a room.
func (e *Entitlements) Forget(room groups.RoomID, by string) (uint64, error) {
	if _, err := groups.ParseRoomID(string(room)); err != nil {
		return 0, err
	}
	return e.change(func(book *RuleBook) error {
		book.Forgotten = append(book.Forgotten, Forget{Room: string(room), Version: book.Version + 1, By: by, At: time.Now().UTC()})
		book.Forgotten = book.Forgotten[max(0, len(book.Forgotten)-maxForgotten):]
		return nil
	})
}

// change replaces the book by a changed one.
func (e *Entitlements) change(do func(*RuleBook) error) (uint64, error) {
	unlock, err := lockBeside(e.path)
	if err != nil {
		return 0, err
	}
	defer unlock()
	book := &RuleBook{}
	if _, err := os.Stat(e.path); err == nil {
		if book, err = readRules(e.path); err != nil {
			return 0, err
		}
	}
	if err := do(book); err != nil {
		return 0, err
	}
	book.Version++
	return book.Version, e.put(book)
}

// replaces says whether an older rule is settled by this one.
func (r *Rule) replaces(old *Rule) bool {
	same := r.CoI == old.CoI && r.Subject == old.Subject && slices.Equal(r.Rooms, old.Rooms)
	everywhere := r.Subject == old.Subject && len(r.Rooms) == 0 && (r.CoI == "" || r.CoI == old.CoI)
	switch {
	case r.Effect == old.Effect:
		return same
	case r.Effect == Denies:
		return everywhere
	}
	return same
}

// lockBeside waits for a file's lock, which stands beside it because the file
// itself is replaced.
func lockBeside(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for range lockTries {
		free, err := lock(f)
		if err == nil {
			return func() { free(); f.Close() }, nil
		}
		time.Sleep(lockPause)
	}
	f.Close()
	return nil, fmt.Errorf("%s is being changed by somebody else: try again", path)
}

const (
	lockTries = 100
	lockPause = 20 * time.Millisecond
)
