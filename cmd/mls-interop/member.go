package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"parley/mls"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A member is a membership in a group, from epoch to epoch: what a state_id
// stands for.
type member struct {
	group    *mls.Group
	identity []byte
	psks     purse
	private  bool         // handshake messages are PrivateMessages
	pending  *mls.Pending // our commit, until it is said to be accepted
	// heard are the places in PendingProposals of the messages of the epoch that
	// are proposals. There are at most mls.MaxProposals.
	heard map[[sha256.Size]byte]int
}

func newMember(g *mls.Group, identity []byte, psks purse, private bool) *member {
	m := &member{identity: identity, psks: psks, private: private}
	m.enter(g)
	return m
}

// enter begins an epoch.
func (m *member) enter(g *mls.Group) {
	m.group, m.pending, m.heard = g, nil, make(map[[sha256.Size]byte]int)
}

// message says how a handshake message is sent.
func (m *member) message() mls.MessageOptions {
	return mls.MessageOptions{Now: time.Now(), Private: m.private}
}

// propose remembers what a Propose method of the group returned.
func (m *member) propose(message []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	n := len(m.group.PendingProposals())
	if n == len(m.heard) {
		return nil, fmt.Errorf("the same proposal waits already: %w", errOrder)
	}
	m.heard[sha256.Sum256(message)] = n - 1
	return message, nil
}

// hear takes the proposal of anybody, once, and returns its place.
func (m *member) hear(message []byte) (int, error) {
	name := sha256.Sum256(message)
	if at, ok := m.heard[name]; ok {
		return at, nil
	}
	r, err := m.group.Handle(message, time.Now())
	switch n := len(m.group.PendingProposals()); {
	case err != nil:
		return 0, err
	case r.Change.Commit:
		return 0, fmt.Errorf("commit instead of a proposal: %w", errRequest)
	case n == len(m.heard):
		return 0, fmt.Errorf("the same proposal waits already: %w", errOrder)
	default:
		m.heard[name] = n - 1
		return n - 1, nil
	}
}

// hearAll takes proposals and returns their places, not nil.
func (m *member) hearAll(messages [][]byte) ([]int, error) {
	places := make([]int, len(messages))
	for i, message := range messages {
		at, err := m.hear(message)
		if err != nil {
			return nil, fmt.Errorf("proposal %d: %w", i, err)
		}
		places[i] = at
	}
	return places, nil
}

// follow applies the commit of another member, and the proposals it covers. It
// returns the next epoch, without entering it.
func (m *member) follow(proposals [][]byte, commit []byte) (*mls.Group, error) {
	if _, err := m.hearAll(proposals); err != nil {
		return nil, err
	}
	r, err := m.group.Handle(commit, time.Now())
	switch {
	case err != nil:
		return nil, err
	case r.Removed:
		return nil, fmt.Errorf("the commit removes this member: %w", errOrder)
	case r.Next == nil:
		return nil, fmt.Errorf("proposal instead of a commit: %w", errRequest)
	}
	return r.Next, nil
}

// accepted returns the epoch of the commit that waits, without entering it.
func (m *member) accepted() (*mls.Group, error) {
	if m.pending == nil {
		return nil, fmt.Errorf("no commit waits: %w", errOrder)
	}
	return m.pending.Next, nil
}

// policy takes whatever the RFC allows.
func (p purse) policy() mls.Policy {
	return mls.Policy{PSKs: p, Accept: func(tree.Sent) error { return nil }}
}

// maxPSKs is how many pre-shared keys a member holds; more are refused.
const maxPSKs = 1 << 12

// A purse holds external pre-shared keys by their id.
type purse map[string][]byte

// put adds a key, or replaces it.
func (p purse) put(id, psk []byte) error {
	if len(p) >= maxPSKs {
		return fmt.Errorf("keep pre-shared key: %w", errFull)
	}
	p[string(id)] = psk
	return nil
}

// External returns a key that was stored.
func (p purse) External(id []byte) ([]byte, bool) {
	psk, ok := p[string(id)]
	return psk, ok
}

// Resumption knows no more than the group does.
func (p purse) Resumption([]byte, uint64) ([]byte, bool) { return nil, false }

// names takes every credential for what it says: it is the harness that gives
// out identities.
type names struct{}

// Validate accepts any credential.
func (names) Validate(wire.Credential, []byte) error { return nil }

// Succeeds accepts a credential of the same identity.
func (names) Succeeds(old, new wire.Credential) error {
	if string(wire.Marshal(old)) != string(wire.Marshal(new)) {
		return errors.New("another identity")
	}
	return nil
}
