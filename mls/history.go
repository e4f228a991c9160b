package mls

import (
	"bytes"
	"fmt"

	"parley/mls/tree"
	"parley/mls/wire"
)

// A History opens the PrivateMessages of one epoch for a reader that is not a
// member, from three things: the epoch's room key, its GroupContext, and proofs
// of the leaves of those who have sent. Messages may come in any order, and as
// often as one likes. It has no other state and moves nothing; what it derives
// on the way it keeps, so that it belongs to one goroutine at a time.
//
// Its word is worth what the GroupContext is worth, which the caller has from
// somebody it believes: signatures cover it, and leaves are proven under its
// tree hash. Whether a leaf's credential was good is the caller's to judge.
type History struct {
	epoch   *epoch
	root    []byte      // encryption_secret
	tree    *secretTree // nil before the first proof, which tells its height
	width   uint32
	senders map[wire.LeafIndex]*pastSender // at most the members there were
}

// A pastSender is a member whose leaf was proven.
type pastSender struct {
	leaf                   []byte // encoded
	handshake, application pastRatchet
}

// NewHistory returns the history of the epoch of that GroupContext, without any
// sender. It copies the key. It fails with suite.ErrUnknownSuite or
// suite.ErrBadKey if key is no room key, and with ErrInvalid if it is of another
// suite than the group.
func NewHistory(key *RoomKey, context *wire.GroupContext) (*History, error) {
	s, err := key.suite()
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if context.CipherSuite != key.CipherSuite {
		return nil, fmt.Errorf("open history: key of suite %v in a group of %v: %w", key.CipherSuite, context.CipherSuite, ErrInvalid)
	}
	return &History{
		epoch:   &epoch{suite: s, context: *context, senderData: bytes.Clone(key.SenderDataSecret)},
		root:    bytes.Clone(key.EncryptionSecret),
		senders: make(map[wire.LeafIndex]*pastSender),
	}, nil
}

// Prove adds a sender by a proof of its leaf. It fails with tree.ErrProof if
// the proof is not valid in the epoch's tree.
func (h *History) Prove(p *tree.MembershipProof) error {
	if err := p.Verify(h.epoch.suite, h.epoch.context.TreeHash); err != nil {
		return fmt.Errorf("history of epoch %d: %w", h.epoch.context.Epoch, err)
	}
	if h.tree == nil {
		h.tree = newSecretTree(h.epoch.suite, bytes.Clone(h.root), tree.Root(p.NLeaves).Level())
		h.width = p.NLeaves
	}
	if p.NLeaves != h.width {
		return fmt.Errorf("history of epoch %d: %w: tree of %d leaves, and of %d", h.epoch.context.Epoch, tree.ErrProof, p.NLeaves, h.width)
	}
	if h.senders[p.LeafIndex] != nil {
		return nil
	}
	start, _ := h.tree.seek(uint32(p.LeafIndex)) // the tree does not move: nothing is spent
	h.senders[p.LeafIndex] = &pastSender{
		leaf:        wire.Marshal(p.LeafNode()),
		handshake:   newPastRatchet(start.handshake.secret),
		application: newPastRatchet(start.application.secret),
	}
	start.handshake.erase()
	start.application.erase()
	return nil
}

// Sender returns who sent a PrivateMessage of the epoch: whose leaf is to be
// proven before it can be opened. That it was this member is not known until
// then. It fails as Open does.
func (h *History) Sender(message []byte) (wire.LeafIndex, error) {
	_, data, err := h.read(message)
	if err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	return data.LeafIndex, nil
}

// Open decrypts an application message and verifies who signed it. What it
// returns does not alias message.
//
// Errors: ErrNoProof if the sender's leaf was not proven, ErrOtherGroup,
// ErrPastEpoch, ErrFutureEpoch, ErrGeneration beyond MaxHistory,
// suite.ErrDecrypt, suite.ErrSignature, wire.ErrMalformed, or ErrInvalid if
// the message is not an application message.
func (h *History) Open(message []byte) (*Message, error) {
	ac, data, err := h.open(message)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if t := ac.Content.ContentType; t != wire.ContentTypeApplication {
		return nil, fmt.Errorf("history: %v: %w", t, ErrInvalid)
	}
	return &Message{
		Epoch:             ac.Content.Epoch,
		Sender:            data.LeafIndex,
		LeafNode:          h.senders[data.LeafIndex].leaf,
		Generation:        data.Generation,
		AuthenticatedData: ac.Content.AuthenticatedData,
		Plaintext:         ac.Content.ApplicationData,
	}, nil
}

// OpenContent is Open of any PrivateMessage: a proposal or commit that was sent
// encrypted, too. Only its signature is verified, not what it does: a commit's
// confirmation tag, for one, needs the secrets of a member.
func (h *History) OpenContent(message []byte) (*wire.AuthenticatedContent, error) {
	ac, _, err := h.open(message)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &ac, nil
}

// read parses a message and decrypts its sender data.
func (h *History) read(message []byte) (m wire.PrivateMessage, data wire.SenderData, err error) {
	if m, err = wire.ParsePrivateMessage(bytes.Clone(message)); err != nil {
		return m, data, err
	}
	context := &h.epoch.context
	switch {
	case !bytes.Equal(m.GroupID, context.GroupID):
		return m, data, fmt.Errorf("group %q: %w", m.GroupID[:min(len(m.GroupID), 64)], ErrOtherGroup)
	case m.Epoch < context.Epoch:
		return m, data, epochError(m.Epoch, context.Epoch, ErrPastEpoch)
	case m.Epoch > context.Epoch:
		return m, data, epochError(m.Epoch, context.Epoch, ErrFutureEpoch)
	}
	data, err = h.epoch.openSenderData(&m)
	return m, data, err
}

// open decrypts a message and verifies its signature.
func (h *History) open(message []byte) (ac wire.AuthenticatedContent, data wire.SenderData, err error) {
	m, data, err := h.read(message)
	if err != nil {
		return ac, data, err
	}
	sender := h.senders[data.LeafIndex]
	if sender == nil {
		return ac, data, fmt.Errorf("private message of leaf %d: %w", data.LeafIndex, ErrNoProof)
	}
	ratchet := &sender.handshake
	if m.ContentType == wire.ContentTypeApplication {
		ratchet = &sender.application
	}
	key, err := ratchet.key(h.epoch.suite, data.Generation)
	if err != nil {
		return ac, data, fmt.Errorf("private message of leaf %d: %w", data.LeafIndex, err)
	}
	ac, err = h.epoch.openContent(&m, &data, &key)
	if err == nil {
		err = h.epoch.verify(signatureKey(sender.leaf), &ac)
	}
	return ac, data, err
}

// Erase forgets the keys. The History is of no use any more.
func (h *History) Erase() {
	clear(h.root)
	clear(h.epoch.senderData)
	if h.tree != nil {
		clear(h.tree.nodes)
	}
	for _, s := range h.senders {
		s.handshake.erase()
		s.application.erase()
	}
	clear(h.senders)
}
