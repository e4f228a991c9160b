package mls

import (
	"fmt"

	"parley/mls/wire"
)

// MaxPlaintext is the longest application message, with its padding, in bytes.
const MaxPlaintext = 16 << 20

// A Message is an application message that was opened.
type Message struct {
	Epoch             uint64
	Sender            wire.LeafIndex
	LeafNode          []byte // the sender's in that epoch, encoded
	Generation        uint32
	AuthenticatedData []byte
	Plaintext         []byte
}

// Seal encrypts an application message to the members of this epoch, with
// padding zero octets, and returns an MLSMessage. AuthenticatedData is signed
// and not encrypted. It moves this member's ratchet: what TakeChanges then
// returns must be durable before the message leaves, or a restart would use
// the key again. Several messages may be sealed before changes are taken once.
//
// It fails with ErrCommitRequired while proposals wait: "A group member that
// has observed one or more valid proposals within an epoch MUST send a Commit
// message before sending application data" (RFC 9420, Section 12.4); and with
// ErrSuspended after a ReInit.
func (g *Group) Seal(authenticatedData, plaintext []byte, padding int) ([]byte, error) {
	if err := g.active(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if len(g.proposals) > 0 {
		return nil, fmt.Errorf("seal: %w", ErrCommitRequired)
	}
	if padding < 0 || len(plaintext) > MaxPlaintext-padding || len(authenticatedData) > MaxPlaintext {
		return nil, fmt.Errorf("seal %d bytes with %d of padding: %w", len(plaintext), padding, ErrTooLarge)
	}
	ac, err := g.epoch.sign(g.signer, wire.WireFormatPrivateMessage, wire.FramedContent{
		GroupID:           g.epoch.context.GroupID,
		Epoch:             g.epoch.context.Epoch,
		Sender:            wire.Member(g.epoch.own),
		AuthenticatedData: authenticatedData,
		ContentType:       wire.ContentTypeApplication,
		ApplicationData:   plaintext,
	})
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	message, u, err := g.epoch.protectPrivate(&ac, padding)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	g.use(g.epoch, &u)
	return message, nil
}

// Open decrypts an application message of this epoch or of one of the past
// epochs that are kept, and checks who signed it. Messages of one sender may
// come in any order within a window of 1,024; each opens once. On error no
// ratchet has moved. What is returned does not alias message.
//
// Errors: ErrOwnMessage, ErrReplay, ErrGeneration, ErrPastEpoch,
// ErrFutureEpoch, ErrOtherGroup, ErrNotMember, suite.ErrDecrypt,
// suite.ErrSignature, wire.ErrMalformed, or ErrInvalid if the message is not
// an application message.
func (g *Group) Open(message []byte) (*Message, error) {
	m, err := wire.ParsePrivateMessage(message)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if m.ContentType != wire.ContentTypeApplication {
		return nil, fmt.Errorf("open: %v: %w", m.ContentType, ErrInvalid)
	}
	e, leaf, err := g.find(m.GroupID, m.Epoch)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	ac, u, err := e.unprotectPrivate(&m, leaf)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	sender, _ := leaf(u.leaf)
	opened := &Message{
		Epoch:             m.Epoch,
		Sender:            u.leaf,
		LeafNode:          sender,
		Generation:        u.step.generation,
		AuthenticatedData: append([]byte(nil), m.AuthenticatedData...),
		Plaintext:         ac.Content.ApplicationData,
	}
	g.use(e, &u)
	return opened, nil
}

// use makes the move of a key that was used, and remembers what has changed.
func (g *Group) use(e *epoch, u *used) {
	g.changed.key(e.context.Epoch, u)
	e.use(u)
}
