package service

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/coi"
)

const (
	// DefaultTTL is how long a code lasts unless it is said otherwise.
	DefaultTTL = 24 * time.Hour
	// MaxTTL is the longest a code may last.
	MaxTTL = 30 * 24 * time.Hour
	// maxCodes bounds the codes kept; over it, none is made until some expire.
	maxCodes = 10_000
	// codeMemory is how long a code is listed after its end.
	codeMemory = 30 * 24 * time.Hour
)

// A Grant is what a code allows.
type Grant struct {
	User    string    `json:"user"`             // alice
	Device  string    `json:"device,omitempty"` // laptop; empty lets the device choose
	Bot     bool      `json:"bot,omitempty"`    // no person holds it: a bot or a service
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// A Use is what a code was spent on. It holds the certificate, so that a device
// whose answer was lost gets the same one again.
type Use struct {
	Device      string    `json:"device"` // URI
	Key         string    `json:"key"`    // SHA-256 of the public key, hex
	At          time.Time `json:"at"`
	Certificate []byte    `json:"certificate"` // DER
}

// A CodeState is a code as it lies on disk: without the code.
type CodeState struct {
	ID string `json:"id"` // SHA-256 of the code, hex
	Grant
	Use *Use `json:"use,omitempty"`
}

// State says in a word what can be done with the code: unused, used, expired.
func (c *CodeState) State(now time.Time) string {
	switch {
	case c.Use != nil:
		return "used"
	case now.After(c.Expires):
		return "expired"
	}
	return "unused"
}

// ErrUsed says that a code was spent before.
var ErrUsed = errors.New("the code was used already")

// ErrUnknownCode says that no such code was made here, or so long ago that it
// is forgotten.
var ErrUnknownCode = errors.New("unknown code")

// Codes are the one-time codes in a folder. Several processes may use one
// folder: making and spending a code are single atomic steps on disk.
type Codes struct {
	dir string
}

// OpenCodes takes a folder, which is made if it is not there.
func OpenCodes(dir string) (*Codes, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("open codes: %w", err)
	}
	return &Codes{dir: dir}, nil
}

// New makes a code for a grant and keeps its hash. The names are checked, the
// times are not changed.
func (c *Codes) New(g Grant) (Code, error) {
	if err := g.check(); err != nil {
		return Code{}, err
	}
	states, err := c.List()
	if err != nil {
		return Code{}, err
	}
	if len(c.forget(states, g.Created)) >= maxCodes {
		return Code{}, fmt.Errorf("%d codes are kept already, wait until some expire: see parley-pki code ls", maxCodes)
	}
	code := NewCode()
	data, err := json.Marshal(g)
	if err != nil {
		return Code{}, fmt.Errorf("make code: %w", err)
	}
	return code, create(c.path(code.ID(), ".json"), append(data, '\n'))
}

func (g *Grant) check() error {
	if err := coi.CheckLabel(g.User); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if g.Device != "" {
		if err := coi.CheckLabel(g.Device); err != nil {
			return fmt.Errorf("device: %w", err)
		}
	}
	if ttl := g.Expires.Sub(g.Created); ttl <= 0 || ttl > MaxTTL {
		return fmt.Errorf("a code lasts more than nothing and at most %s, not %s", MaxTTL, ttl)
	}
	return nil
}

// List returns every code that is kept, the oldest first.
func (c *Codes) List() ([]CodeState, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, fmt.Errorf("list codes: %w", err)
	}
	var out []CodeState
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		s, err := c.find(id)
		if errors.Is(err, ErrUnknownCode) {
			continue // forgotten meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *s)
	}
	slices.SortStableFunc(out, func(a, b CodeState) int { return a.Created.Compare(b.Created) })
	return out, nil
}

// find reads the code with an ID, or ErrUnknownCode.
func (c *Codes) find(id string) (*CodeState, error) {
	if _, err := hex.DecodeString(id); err != nil {
		return nil, ErrUnknownCode
	}
	s := &CodeState{ID: id}
	data, err := os.ReadFile(c.path(id, ".json"))
	if os.IsNotExist(err) {
		return nil, ErrUnknownCode
	}
	if err == nil {
		err = json.Unmarshal(data, &s.Grant)
	}
	if err != nil {
		return nil, fmt.Errorf("read code: %w", err)
	}
	data, err = os.ReadFile(c.path(id, ".used"))
	if os.IsNotExist(err) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s.Use)
	}
	if err != nil {
		return nil, fmt.Errorf("read use of code: %w", err)
	}
	return s, nil
}

// spend marks a code as used, once and for all, or says ErrUsed.
func (c *Codes) spend(id string, u *Use) error {
	data, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("spend code: %w", err)
	}
	err = create(c.path(id, ".used"), append(data, '\n')) // COMMIT POINT
	if errors.Is(err, os.ErrExist) {
		return ErrUsed
	}
	return err
}

// forget removes what ended long ago and returns the rest. What was issued
// stays in the log of issued certificates.
func (c *Codes) forget(states []CodeState, now time.Time) []CodeState {
	return slices.DeleteFunc(states, func(s CodeState) bool {
		old := now.Sub(s.Expires) > codeMemory
		if old {
			os.Remove(c.path(s.ID, ".json")) // first: without it the rest means nothing
			os.Remove(c.path(s.ID, ".used"))
		}
		return old
	})
}

func (c *Codes) path(id, kind string) string { return filepath.Join(c.dir, id+kind) }
