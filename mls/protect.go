package mls

import (
	"crypto/rand"
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// sign authenticates content with a member's key (RFC 9420, Section 6.1). A
// commit still lacks its confirmation tag.
func (e *epoch) sign(key *suite.SignaturePrivateKey, format wire.WireFormat, content wire.FramedContent) (wire.AuthenticatedContent, error) {
	ac := wire.AuthenticatedContent{WireFormat: format, Content: content}
	signature, err := key.Sign("FramedContentTBS", e.tbs(&ac))
	if err != nil {
		return ac, fmt.Errorf("sign %v: %w", content.ContentType, err)
	}
	ac.Auth.Signature = signature
	return ac, nil
}

// verify checks the signature of a member's content.
func (e *epoch) verify(public []byte, ac *wire.AuthenticatedContent) error {
	if err := e.suite.Verify(public, "FramedContentTBS", e.tbs(ac), ac.Auth.Signature); err != nil {
		return fmt.Errorf("verify %v: %w", ac.Content.ContentType, err)
	}
	return nil
}

// tbs encodes what a signature covers.
func (e *epoch) tbs(ac *wire.AuthenticatedContent) []byte {
	room := 512 + len(ac.Content.ApplicationData) + len(ac.Content.AuthenticatedData)
	return wire.Append(make([]byte, 0, room), ac.TBS(&e.context))
}

// membershipInput encodes what the tag of a member's PublicMessage covers
// (RFC 9420, Section 6.2).
func (e *epoch) membershipInput(ac *wire.AuthenticatedContent) []byte {
	return wire.Marshal(wire.AuthenticatedContentTBM{ContentTBS: ac.TBS(&e.context), Auth: ac.Auth})
}

// protectPublic encodes content as an MLSMessage that everybody can read.
func (e *epoch) protectPublic(ac *wire.AuthenticatedContent) []byte {
	m := &wire.PublicMessage{Content: ac.Content, Auth: ac.Auth}
	if ac.Content.Sender.SenderType == wire.SenderTypeMember {
		m.MembershipTag = e.suite.MAC(e.membership, e.membershipInput(ac))
	}
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatPublicMessage, PublicMessage: m})
}

// unprotectPublic checks that a member's PublicMessage was made by a member
// of the group and signed by the one it names.
func (e *epoch) unprotectPublic(m *wire.PublicMessage, leaf leafReader) (wire.AuthenticatedContent, error) {
	ac := m.Authenticated()
	if m.Content.ContentType == wire.ContentTypeApplication {
		return ac, ErrPlainApplication
	}
	if !e.suite.VerifyMAC(e.membership, e.membershipInput(&ac), m.MembershipTag) {
		return ac, fmt.Errorf("public message: %w", ErrMembershipTag)
	}
	sender, ok := leaf(m.Content.Sender.LeafIndex)
	if !ok {
		return ac, fmt.Errorf("public message of leaf %d: %w", m.Content.Sender.LeafIndex, ErrNotMember)
	}
	return ac, e.verify(signatureKey(sender), &ac)
}

// A used is the key that a private message uses: a move of the secret tree
// that has not been made.
type used struct {
	leaf    wire.LeafIndex
	content wire.ContentType
	ratchet *ratchet
	growth  *growth
	step    step
}

// seek finds the key of leaf's message, at generation, or at the next unused
// one if that is nil.
func (e *epoch) seek(leaf wire.LeafIndex, content wire.ContentType, generation *uint32) (u used, err error) {
	s, growth := e.tree.seek(uint32(leaf))
	u = used{leaf: leaf, content: content, growth: growth, ratchet: &s.handshake}
	if content == wire.ContentTypeApplication {
		u.ratchet = &s.application
	}
	if generation == nil {
		generation = &u.ratchet.generation
	}
	u.step, err = u.ratchet.seek(e.suite, *generation)
	return u, err
}

// use makes the move.
func (e *epoch) use(u *used) {
	if u.growth != nil {
		e.tree.apply(u.growth)
	}
	u.ratchet.apply(&u.step)
}

// guarded is the key schedule's nonce under the reuse guard (RFC 9420,
// Section 6.3.1).
func (k *messageKey) guarded(guard [4]byte) [nonceSize]byte {
	nonce := k.nonce
	for i, b := range guard {
		nonce[i] ^= b
	}
	return nonce
}

// protectPrivate encodes content, with padding zero octets, as an MLSMessage
// only members can read. It returns the key it used; the caller makes the
// move when nothing can fail any more.
func (e *epoch) protectPrivate(ac *wire.AuthenticatedContent, padding int) ([]byte, used, error) {
	c := &ac.Content
	u, err := e.seek(c.Sender.LeafIndex, c.ContentType, nil)
	if err != nil {
		return nil, u, fmt.Errorf("protect %v: %w", c.ContentType, err)
	}
	data := wire.SenderData{LeafIndex: u.leaf, Generation: u.step.generation}
	rand.Read(data.ReuseGuard[:])
	nonce := u.step.guarded(data.ReuseGuard)
	m := wire.PrivateMessage{
		GroupID:           c.GroupID,
		Epoch:             c.Epoch,
		ContentType:       c.ContentType,
		AuthenticatedData: c.AuthenticatedData,
	}
	room := len(c.ApplicationData) + padding + 160
	plaintext := wire.Append(make([]byte, 0, room+suite.TagSize), wire.PrivateMessageContent{
		ContentType:     c.ContentType,
		ApplicationData: c.ApplicationData,
		Proposal:        c.Proposal,
		Commit:          c.Commit,
		Auth:            ac.Auth,
		Padding:         padding,
	})
	key := u.step.key[:e.suite.KeySize()]
	m.Ciphertext = e.suite.Seal(plaintext[:0], plaintext, suite.Sealing{Key: key, Nonce: nonce[:], AAD: wire.Marshal(m.ContentAAD())})
	m.EncryptedSenderData = e.sealSenderData(&m, data)
	message := wire.Append(make([]byte, 0, len(m.Ciphertext)+len(m.AuthenticatedData)+len(m.GroupID)+80),
		wire.MLSMessage{WireFormat: wire.WireFormatPrivateMessage, PrivateMessage: &m})
	return message, u, nil
}

// unprotectPrivate opens a PrivateMessage and checks who signed it. It returns
// the key it used; the caller makes the move when all else has been found
// good.
func (e *epoch) unprotectPrivate(m *wire.PrivateMessage, leaf leafReader) (wire.AuthenticatedContent, used, error) {
	ac := wire.AuthenticatedContent{WireFormat: wire.WireFormatPrivateMessage}
	data, err := e.openSenderData(m)
	if err != nil {
		return ac, used{}, err
	}
	if data.LeafIndex == e.own {
		return ac, used{}, fmt.Errorf("private message: %w", ErrOwnMessage)
	}
	sender, ok := leaf(data.LeafIndex)
	if !ok {
		return ac, used{}, fmt.Errorf("private message of leaf %d: %w", data.LeafIndex, ErrNotMember)
	}
	u, err := e.seek(data.LeafIndex, m.ContentType, &data.Generation)
	if err != nil {
		return ac, u, fmt.Errorf("private message of leaf %d: %w", data.LeafIndex, err)
	}
	if ac, err = e.openContent(m, &data, &u.step.messageKey); err != nil {
		return ac, u, err
	}
	return ac, u, e.verify(signatureKey(sender), &ac)
}

// openContent opens a PrivateMessage with the key that its sender data asks
// for. Who signed it is still to be checked.
func (e *epoch) openContent(m *wire.PrivateMessage, data *wire.SenderData, k *messageKey) (wire.AuthenticatedContent, error) {
	ac := wire.AuthenticatedContent{WireFormat: wire.WireFormatPrivateMessage}
	nonce := k.guarded(data.ReuseGuard)
	plaintext, err := e.suite.Open(nil, m.Ciphertext, suite.Sealing{
		Key: k.key[:e.suite.KeySize()], Nonce: nonce[:], AAD: wire.Marshal(m.ContentAAD()),
	})
	if err != nil {
		return ac, fmt.Errorf("private message of leaf %d: %w", data.LeafIndex, err)
	}
	content, err := wire.ParsePrivateMessageContent(plaintext, m.ContentType)
	if err != nil {
		return ac, err
	}
	ac.Auth = content.Auth
	ac.Content = wire.FramedContent{
		GroupID:           m.GroupID,
		Epoch:             m.Epoch,
		Sender:            wire.Member(data.LeafIndex),
		AuthenticatedData: m.AuthenticatedData,
		ContentType:       m.ContentType,
		ApplicationData:   content.ApplicationData,
		Proposal:          content.Proposal,
		Commit:            content.Commit,
	}
	return ac, nil
}

// sealSenderData encrypts who sent m with which key (RFC 9420,
// Section 6.3.2).
func (e *epoch) sealSenderData(m *wire.PrivateMessage, data wire.SenderData) []byte {
	return e.suite.Seal(nil, wire.Marshal(data), e.senderDataSealing(m))
}

// openSenderData decrypts who sent m with which key.
func (e *epoch) openSenderData(m *wire.PrivateMessage) (wire.SenderData, error) {
	b, err := e.suite.Open(nil, m.EncryptedSenderData, e.senderDataSealing(m))
	if err != nil {
		return wire.SenderData{}, fmt.Errorf("private message: sender data: %w", err)
	}
	return wire.Unmarshal[wire.SenderData](b)
}

// senderDataSealing is how m's sender data is encrypted.
func (e *epoch) senderDataSealing(m *wire.PrivateMessage) suite.Sealing {
	key, nonce := senderDataKey(e.suite, e.senderData, m.Ciphertext)
	return suite.Sealing{Key: key, Nonce: nonce, AAD: wire.Marshal(m.SenderDataAAD())}
}

// senderDataKey derives the key and nonce of a PrivateMessage's sender data
// from a sample of its ciphertext.
func senderDataKey(s *suite.Suite, secret, ciphertext []byte) (key, nonce []byte) {
	sample := ciphertext[:min(len(ciphertext), s.HashSize())]
	return s.ExpandWithLabel(secret, "key", sample, s.KeySize()),
		s.ExpandWithLabel(secret, "nonce", sample, s.NonceSize())
}
