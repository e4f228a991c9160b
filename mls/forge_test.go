package mls

import (
	"bytes"
	"slices"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A forgery is a handshake message in the making. Made as it is, it is valid;
// each hook breaks one thing, and all that comes after is made to fit what was
// broken: hashes, signatures, secrets and tags are right for it, so that no other
// rule is violated.
type forgery struct {
	t     testing.TB
	by    *person
	group *Group // whose epoch the message is of

	proposal *wire.Proposal // of a proposal
	text     []byte         // of an application message
	list     []wire.ProposalOrRef
	external bool // the commit is external, and by is not a member
	outside  *wire.Sender
	noPath   bool
	private  bool

	initKey  []byte               // for which an external commit seals
	keys     func([][]byte)       // of the path, from the bottom up
	leaf     func(*wire.LeafNode) // of the path, before it is signed
	place    *wire.LeafIndex      // which the signature of the leaf covers
	groupID  []byte               // and which group
	signed   func(*wire.LeafNode) // of the path, after it was signed
	secret   func(seal int, secret []byte) []byte
	path     func(*wire.UpdatePath)
	content  func(*wire.FramedContent) // before it is signed
	context  *wire.GroupContext        // which the signature covers
	signer   *suite.SignaturePrivateKey
	auth     func(*wire.FramedContentAuthData) // after it was signed, before the tag is made
	tagged   func(*wire.FramedContentAuthData) // after the tag was made
	member   func(tag []byte) []byte           // membership tag
	format   wire.WireFormat                   // which the signature covers
	padding  []byte                            // of a private message
	sender   func(*wire.SenderData)
	sealed   func(*wire.PrivateMessage)
	leafSign *suite.SignaturePrivateKey

	// what is found while it is made
	raw           *rawTree
	added         []wire.LeafIndex
	psks          []wire.PreSharedKeyID
	authenticator []byte
}

// message makes the forgery.
func (f *forgery) message() []byte {
	f.t.Helper()
	g := f.group
	c := wire.FramedContent{GroupID: g.GroupID(), Epoch: g.Epoch(), ContentType: wire.ContentTypeProposal, Proposal: f.proposal}
	var next *transition
	switch {
	case f.text != nil:
		c.ContentType, c.ApplicationData = wire.ContentTypeApplication, f.text
	case f.proposal == nil:
		c.ContentType = wire.ContentTypeCommit
		c.Commit, next = f.commit()
	}
	switch {
	case f.outside != nil:
		c.Sender = *f.outside
	case f.external:
		c.Sender = wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}
	default:
		c.Sender = wire.Member(f.by.group.OwnLeaf())
	}
	if f.content != nil {
		f.content(&c)
	}
	e := *g.epoch
	if f.context != nil {
		e.context = *f.context
	}
	format := wire.WireFormatPublicMessage
	if f.private {
		format = wire.WireFormatPrivateMessage
	}
	signer := f.signer
	if signer == nil {
		signer = f.by.signer
	}
	signedFormat := format
	if f.format != 0 {
		signedFormat = f.format
	}
	ac, err := e.sign(signer, signedFormat, c)
	must(f.t, err)
	ac.WireFormat = format
	if f.auth != nil {
		f.auth(&ac.Auth)
	}
	if next != nil {
		ac.Auth.ConfirmationTag = f.confirm(next, &ac)
	}
	if f.tagged != nil {
		f.tagged(&ac.Auth)
	}
	if f.private {
		return f.seal(&ac)
	}
	return f.protect(&ac)
}

// protect makes a PublicMessage.
func (f *forgery) protect(ac *wire.AuthenticatedContent) []byte {
	m := &wire.PublicMessage{Content: ac.Content, Auth: ac.Auth}
	if ac.Content.Sender.SenderType == wire.SenderTypeMember {
		m.MembershipTag = f.group.suite.MAC(f.group.epoch.membership, f.group.epoch.membershipInput(ac))
		if f.member != nil {
			m.MembershipTag = f.member(m.MembershipTag)
		}
	}
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatPublicMessage, PublicMessage: m})
}

// seal makes a PrivateMessage.
func (f *forgery) seal(ac *wire.AuthenticatedContent) []byte {
	e, c := f.group.epoch, &ac.Content
	u, err := e.seek(f.by.group.OwnLeaf(), c.ContentType, nil)
	must(f.t, err)
	data := wire.SenderData{LeafIndex: f.by.group.OwnLeaf(), Generation: u.step.generation, ReuseGuard: [4]byte{1, 2, 3, 4}}
	if f.sender != nil {
		f.sender(&data)
	}
	m := wire.PrivateMessage{GroupID: c.GroupID, Epoch: c.Epoch, ContentType: c.ContentType, AuthenticatedData: c.AuthenticatedData}
	plaintext := append(wire.Marshal(wire.PrivateMessageContent{
		ContentType: c.ContentType, ApplicationData: c.ApplicationData, Proposal: c.Proposal, Commit: c.Commit, Auth: ac.Auth,
	}), f.padding...)
	nonce := u.step.guarded(data.ReuseGuard)
	m.Ciphertext = e.suite.Seal(nil, plaintext, suite.Sealing{Key: u.step.key[:e.suite.KeySize()], Nonce: nonce[:], AAD: wire.Marshal(m.ContentAAD())})
	m.EncryptedSenderData = e.sealSenderData(&m, data)
	if f.sealed != nil {
		f.sealed(&m)
	}
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatPrivateMessage, PrivateMessage: &m})
}

// commit makes the commit and what leads to the next epoch.
func (f *forgery) commit() (*wire.Commit, *transition) {
	g := f.group
	f.raw, f.added, f.psks = rawTreeOf(g.Tree()), nil, nil
	n := &transition{commitSecret: make([]byte, g.suite.HashSize())}
	n.state.Context = g.GroupContext()
	if f.external {
		f.openDoor(n)
	}
	f.apply(n)
	commit := &wire.Commit{Proposals: f.list}
	context := &n.state.Context
	context.Epoch++
	if f.noPath {
		context.TreeHash = f.raw.hash(tree.Root(f.raw.width()))
		return commit, n
	}
	commit.Path = f.renew(n)
	if f.path != nil {
		f.path(commit.Path)
	}
	return commit, n
}

// openDoor adds an ExternalInit unless there is one.
func (f *forgery) openDoor(n *transition) {
	if f.initKey == nil {
		external, err := f.group.suite.DeriveKeyPair(f.group.secrets.external)
		must(f.t, err)
		f.initKey = external.PublicKey()
	}
	kem, init, err := f.group.suite.SendExternalInit(f.initKey)
	must(f.t, err)
	n.init = init
	for i := range f.list {
		if p := f.list[i].Proposal; p != nil && p.ProposalType == wire.ProposalTypeExternalInit && p.ExternalInit.KEMOutput == nil {
			p.ExternalInit.KEMOutput = kem
		}
	}
}

// proposals resolves the list, and says who sent what.
func (f *forgery) proposals() (list []tree.Sent) {
	for _, p := range f.list {
		if p.Proposal != nil {
			sent := tree.Sent{Proposal: p.Proposal}
			if !f.external {
				sent.Sender = f.by.group.OwnLeaf()
			}
			list = append(list, sent)
		} else if known := f.group.pending(p.Reference); known != nil {
			list = append(list, known.sent())
		}
	}
	return list
}

// apply applies the proposals, whatever they say.
func (f *forgery) apply(n *transition) {
	list := f.proposals()
	for _, kind := range []wire.ProposalType{
		wire.ProposalTypeGroupContextExtensions, wire.ProposalTypeUpdate, wire.ProposalTypeSelfRemove,
		wire.ProposalTypeRemove, wire.ProposalTypeAdd, wire.ProposalTypePSK,
	} {
		for _, sent := range list {
			if p := sent.Proposal; p.ProposalType == kind {
				f.applyOne(p, sent.Sender, n)
			}
		}
	}
	slices.Sort(f.added)
	if len(f.psks) > 0 {
		var err error
		if n.psk, err = pskSecret(f.group.suite, f.psks, f.group.finder(nil)); err != nil {
			n.psk = suite.Random(f.group.suite.HashSize()) // nobody knows it
		}
	}
}

func (f *forgery) applyOne(p *wire.Proposal, from wire.LeafIndex, n *transition) {
	switch p.ProposalType {
	case wire.ProposalTypeGroupContextExtensions:
		n.state.Context.Extensions = p.GroupContextExtensions.Extensions
	case wire.ProposalTypeUpdate:
		f.raw.set(from, p.Update.LeafNode)
		f.raw.blank(from)
	case wire.ProposalTypeSelfRemove:
		f.raw.remove(from)
	case wire.ProposalTypeRemove:
		f.raw.remove(p.Remove.Removed)
	case wire.ProposalTypeAdd:
		f.added = append(f.added, f.raw.add(p.Add.KeyPackage.LeafNode))
	case wire.ProposalTypePSK:
		f.psks = append(f.psks, p.PreSharedKey.PSK)
	}
}

// renew makes the update path, and the provisional context that it is sealed
// for.
func (f *forgery) renew(n *transition) *wire.UpdatePath {
	g, s := f.group, f.group.suite
	leaf, own := f.ownLeaf()
	key, err := s.GenerateKeyPair()
	must(f.t, err)
	steps := f.raw.filteredPath(own)
	p, err := newPath(s, steps)
	must(f.t, err)
	keys := p.publicKeys()
	if f.keys != nil {
		f.keys(keys)
	}
	leaf.EncryptionKey, leaf.LeafNodeSource, leaf.Lifetime = key.PublicKey(), wire.LeafNodeSourceCommit, wire.Lifetime{}
	leaf.ParentHash = f.raw.setPath(own, keys)
	if f.leaf != nil {
		f.leaf(&leaf)
	}
	signer, place, groupID := f.by.signer, own, g.GroupID()
	if f.leafSign != nil {
		signer = f.leafSign
	}
	if f.place != nil {
		place = *f.place
	}
	if f.groupID != nil {
		groupID = f.groupID
	}
	must(f.t, signLeaf(&leaf, signer, groupID, place))
	if f.signed != nil {
		f.signed(&leaf)
	}
	f.raw.set(own, leaf)
	n.state.Context.TreeHash = f.raw.hash(tree.Root(f.raw.width()))
	n.commitSecret = p.commit
	return &wire.UpdatePath{LeafNode: leaf, Nodes: f.encrypt(p, keys, steps, wire.Marshal(n.state.Context))}
}

// ownLeaf is the committer's leaf before the path, and its place.
func (f *forgery) ownLeaf() (leaf wire.LeafNode, own wire.LeafIndex) {
	if !f.external {
		own = f.by.group.OwnLeaf()
		leaf, _ = f.group.Tree().Leaf(own)
		return leaf, own
	}
	leaf = wire.LeafNode{
		SignatureKey: f.by.signer.PublicKey(), Credential: wire.BasicCredential([]byte(f.by.name)), Capabilities: DefaultCapabilities(),
	}
	return leaf, f.raw.add(leaf)
}

// encrypt seals the path secrets.
func (f *forgery) encrypt(p *path, keys [][]byte, steps []tree.Step, context []byte) []wire.UpdatePathNode {
	sealer := f.group.suite.NewSealer("UpdatePathNode", context)
	nodes := make([]wire.UpdatePathNode, len(steps))
	seals := 0
	for k, step := range steps {
		nodes[k].EncryptionKey = keys[k]
		for _, x := range f.raw.resolution(step.Copath) {
			if i, leaf := x.Leaf(); leaf && slices.Contains(f.added, i) {
				continue
			}
			public := f.raw.nodes[x].LeafNode
			to := f.raw.nodes[x].ParentNode
			var key []byte
			if public != nil {
				key = public.EncryptionKey
			} else {
				key = to.EncryptionKey
			}
			secret := p.secrets[k]
			if f.secret != nil {
				secret = f.secret(seals, secret)
			}
			seals++
			kem, ct, err := sealer.Seal(key, secret)
			if err != nil { // to a key that is none
				kem, ct = suite.Random(32), suite.Random(48)
			}
			nodes[k].EncryptedPathSecret = append(nodes[k].EncryptedPathSecret, wire.HPKECiphertext{KEMOutput: kem, Ciphertext: ct})
		}
	}
	return nodes
}

// confirm derives the next epoch and makes the confirmation tag.
func (f *forgery) confirm(n *transition, ac *wire.AuthenticatedContent) []byte {
	g, s := f.group, f.group.suite
	context := n.state.Context
	context.ConfirmedTranscriptHash = confirmedHash(s, g.interim, ac)
	init := g.secrets.init
	if n.init != nil {
		init = n.init
	}
	encoded := wire.Marshal(context)
	secrets := deriveEpoch(s, deriveMember(s, deriveJoiner(s, init, n.commitSecret, encoded), n.psk), encoded)
	f.authenticator = secrets.authenticator
	return s.MAC(secrets.confirmation, context.ConfirmedTranscriptHash)
}

// A welcoming is a Welcome in the making, into a group that the forger makes up
// around the tree of a real one: who joins can not know what was before.
type welcoming struct {
	t     testing.TB
	list  []*person // whose tree it is; the first welcomes
	guest *KeyPackage

	before  func(*rawTree) // before the path of the first
	after   func(*rawTree) // after it
	encoded func([]byte) []byte
	context func(*wire.GroupContext)
	psks    []wire.PreSharedKeyID
	keys    PSKs
	secrets func(*wire.GroupSecrets)
	bytes   func([]byte) []byte // of the group secrets
	info    func(*wire.GroupInfo)
	signed  func(*wire.GroupInfo)
	signer  *suite.SignaturePrivateKey
	outer   func(*wire.Welcome)

	groupInfo []byte // instead of a Welcome
	open      bool   // to external commits
}

// make returns the Welcome and the tree.
func (w *welcoming) make() (welcome, ratchetTree []byte) {
	w.t.Helper()
	host := w.list[0]
	s := host.suite
	raw := rawTreeOf(host.group.Tree())
	own := raw.add(w.guest.Public.LeafNode)
	if w.before != nil {
		w.before(raw)
	}
	p, err := newPath(s, raw.filteredPath(0))
	must(w.t, err)
	leaf := *raw.leaf(0)
	key, err := s.GenerateKeyPair()
	must(w.t, err)
	leaf.EncryptionKey, leaf.LeafNodeSource, leaf.ParentHash = key.PublicKey(), wire.LeafNodeSourceCommit, raw.setPath(0, p.publicKeys())
	must(w.t, signLeaf(&leaf, host.signer, host.group.GroupID(), 0))
	raw.set(0, leaf)
	if w.after != nil {
		w.after(raw)
	}
	context := wire.GroupContext{
		CipherSuite: wire.CipherSuite(s.ID()), GroupID: host.group.GroupID(), Epoch: 7,
		TreeHash: raw.hash(tree.Root(raw.width())), ConfirmedTranscriptHash: suite.Random(s.HashSize()),
	}
	if w.context != nil {
		w.context(&context)
	}
	ratchetTree = raw.encode()
	if w.encoded != nil {
		ratchetTree = w.encoded(ratchetTree)
	}
	secrets := wire.GroupSecrets{
		JoinerSecret: suite.Random(s.HashSize()), PSKs: w.psks,
		PathSecret: &wire.PathSecret{PathSecret: p.secretAt(tree.CommonAncestor(tree.NodeOf(own), 0))},
	}
	var psk []byte
	if len(w.psks) > 0 {
		if psk, err = pskSecret(s, w.psks, (&Policy{PSKs: w.keys}).find); err != nil {
			psk = suite.Random(s.HashSize())
		}
	}
	member := deriveMember(s, secrets.JoinerSecret, psk)
	e := deriveEpoch(s, member, wire.Marshal(context))
	info := &wire.GroupInfo{GroupContext: context, ConfirmationTag: s.MAC(e.confirmation, context.ConfirmedTranscriptHash)}
	if w.open {
		external, err := s.DeriveKeyPair(e.external)
		must(w.t, err)
		info.Extensions = wire.Extensions{{
			ExtensionType: wire.ExtensionTypeExternalPub, ExtensionData: wire.Marshal(wire.ExternalPub{ExternalPub: external.PublicKey()}),
		}}
	}
	return w.seal(info, &secrets, member), ratchetTree
}

// seal signs the GroupInfo and makes the Welcome.
func (w *welcoming) seal(info *wire.GroupInfo, secrets *wire.GroupSecrets, member []byte) []byte {
	s := w.list[0].suite
	if w.info != nil {
		w.info(info)
	}
	signer := w.signer
	if signer == nil {
		signer = w.list[0].signer
	}
	must(w.t, signGroupInfo(signer, info))
	if w.signed != nil {
		w.signed(info)
	}
	w.groupInfo = wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatGroupInfo, GroupInfo: info})
	sealed := s.Seal(nil, wire.Marshal(info), welcomeSealing(s, member))
	if w.secrets != nil {
		w.secrets(secrets)
	}
	b := wire.Marshal(secrets)
	if w.bytes != nil {
		b = w.bytes(b)
	}
	kem, ct, err := s.Encrypt(w.guest.Public.InitKey, "Welcome", sealed, b)
	must(w.t, err)
	m := &wire.Welcome{CipherSuite: wire.CipherSuite(s.ID()), EncryptedGroupInfo: sealed, Secrets: []wire.EncryptedGroupSecrets{{
		NewMember: w.guest.Ref(), EncryptedGroupSecrets: wire.HPKECiphertext{KEMOutput: kem, Ciphertext: ct},
	}}}
	if w.outer != nil {
		w.outer(m)
	}
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatWelcome, Welcome: m})
}

// A packaging is a key package in the making.
type packaging struct {
	t        testing.TB
	by       *person
	leaf     func(*wire.LeafNode)   // before it is signed
	signed   func(*wire.LeafNode)   // after
	whole    func(*wire.KeyPackage) // before it is signed
	finished func(*wire.KeyPackage) // after
}

// make returns the key package.
func (p *packaging) make() wire.KeyPackage {
	p.t.Helper()
	k := p.by.keyPackage(p.t).Public
	k.LeafNode.Capabilities.Extensions = slices.Clone(k.LeafNode.Capabilities.Extensions)
	if p.leaf != nil {
		p.leaf(&k.LeafNode)
	}
	must(p.t, signLeaf(&k.LeafNode, p.by.signer, nil, 0))
	if p.signed != nil {
		p.signed(&k.LeafNode)
	}
	if p.whole != nil {
		p.whole(&k)
	}
	var err error
	k.Signature, err = p.by.signer.Sign("KeyPackageTBS", wire.Marshal(wire.KeyPackageTBS(k)))
	must(p.t, err)
	if p.finished != nil {
		p.finished(&k)
	}
	return k
}

// changed returns a copy with an octet of it changed.
func changed(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}
