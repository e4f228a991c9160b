package mls

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A RoomKey is the pair of secrets that opens every PrivateMessage of one epoch
// and nothing of any other: what a room with a community of interest wraps to
// it, and what a History is made of.
//
//	struct {
//	    CipherSuite cipher_suite;
//	    opaque sender_data_secret<V>;    // Nh bytes
//	    opaque encryption_secret<V>;     // Nh bytes
//	} RoomKey;
//
// Who has it can read the epoch, but not send in it: messages are signed. It
// does not print itself.
type RoomKey struct {
	CipherSuite      wire.CipherSuite
	SenderDataSecret []byte
	EncryptionSecret []byte
}

// RoomKey returns the room key of this epoch. It can be had at the start of the
// epoch only, from the Group that Create, Join or Load returns and from the Next
// of a Pending or Result: from the first message that is sealed or opened on, the
// encryption secret is spent (RFC 9420, Section 9.2), and the call fails with
// ErrRoomKeyGone. Nothing is kept for it that the group does not have to keep
// anyway, so that a group whose room key is not taken is as forward secret as
// ever; whoever takes it erases it after it was wrapped (I8).
func (g *Group) RoomKey() (*RoomKey, error) {
	root, fresh := g.epoch.tree.nodes[treeNode{g.epoch.tree.height, 0}]
	if !fresh || root.home != noHome {
		return nil, fmt.Errorf("room key of epoch %d: %w", g.Epoch(), ErrRoomKeyGone)
	}
	return &RoomKey{
		CipherSuite:      wire.CipherSuite(g.suite.ID()),
		SenderDataSecret: bytes.Clone(g.epoch.senderData),
		EncryptionSecret: bytes.Clone(root.secret[:g.suite.HashSize()]),
	}, nil
}

// Encode writes k.
func (k RoomKey) Encode(w *wire.Writer) {
	w.Uint16(uint16(k.CipherSuite))
	w.Opaque(k.SenderDataSecret)
	w.Opaque(k.EncryptionSecret)
}

// Decode reads k. Secrets that are not as long as the suite has them are
// refused, and so are suites that are not built here.
func (k *RoomKey) Decode(r *wire.Reader) {
	k.CipherSuite = wire.CipherSuite(r.Uint16())
	k.SenderDataSecret = r.OpaqueMax(maxSecret)
	k.EncryptionSecret = r.OpaqueMax(maxSecret)
	if r.Err() == nil {
		if _, err := k.suite(); err != nil {
			r.Fail(fmt.Errorf("%w: %w", wire.ErrMalformed, err))
		}
	}
}

// suite returns the suite of k, whose secrets have its length.
func (k *RoomKey) suite() (*suite.Suite, error) {
	s, err := suite.Lookup(suite.ID(k.CipherSuite))
	if err != nil {
		return nil, fmt.Errorf("room key: %w", err)
	}
	if n := s.HashSize(); len(k.SenderDataSecret) != n || len(k.EncryptionSecret) != n {
		return nil, fmt.Errorf("room key: secrets of %d and %d bytes: %w",
			len(k.SenderDataSecret), len(k.EncryptionSecret), suite.ErrBadKey)
	}
	return s, nil
}

// ID returns a commitment to k in the epoch of that GroupContext: a key record
// names the key by it, and members compare it with their own. It tells nothing
// of k.
//
//	group_context_hash = SHA-256(GroupContext)
//	key_id = ExpandWithLabel(sender_data_secret || encryption_secret,
//	                         "parley key id", group_context_hash, 32)
//
// It fails with suite.ErrUnknownSuite or suite.ErrBadKey if k is no room key.
func (k *RoomKey) ID(context *wire.GroupContext) ([32]byte, error) {
	s, err := k.suite()
	if err != nil {
		return [32]byte{}, err
	}
	hash := sha256.Sum256(wire.Marshal(context))
	secret := append(bytes.Clone(k.SenderDataSecret), k.EncryptionSecret...)
	id := [32]byte(s.ExpandWithLabel(secret, "parley key id", hash[:], sha256.Size))
	clear(secret)
	return id, nil
}

// Erase overwrites the secrets.
func (k *RoomKey) Erase() {
	clear(k.SenderDataSecret)
	clear(k.EncryptionSecret)
}

// String does not tell the secrets.
func (k RoomKey) String() string { return fmt.Sprintf("room key of suite %d", uint16(k.CipherSuite)) }

// GoString does not tell the secrets.
func (k RoomKey) GoString() string { return k.String() }
