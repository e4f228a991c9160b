package mls

import (
	"bytes"
	"flag"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

var update = flag.Bool("update", false, "write the project's own vectors anew")

// TestGenerateVectors writes the project's own vectors into testdata, in the
// formats of the official ones:
//
//	go test ./mls -run TestGenerateVectors -update
func TestGenerateVectors(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	generate(t, "key-schedule.json", makeKeySchedule)
	generate(t, "secret-tree.json", makeSecretTree)
	generate(t, "transcript-hashes.json", makeTranscript)
	generate(t, "message-protection.json", makeProtection)
	generate(t, "treekem.json", makeTreeKEM)
	generate(t, "welcome.json", makeWelcome)
	generate(t, "passive-client-random.json", makePassive)
}

func generate[T any](t *testing.T, name string, of func(*testing.T, *suite.Suite) T) {
	t.Helper()
	var cases []T
	for _, id := range suite.IDs() {
		if id.IsDraft() {
			continue // crypto-basics.json has them, and what may change is not to be kept in hundreds of kilobytes
		}
		s, err := suite.Lookup(id)
		must(t, err)
		cases = append(cases, of(t, s))
	}
	vectors.WriteOwn(t, name, cases)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func makeKeySchedule(t *testing.T, s *suite.Suite) (c keyScheduleCase) {
	n := s.HashSize()
	c.Suite, c.GroupID, c.InitialInit = s.ID(), suite.Random(n), suite.Random(n)
	c.Epochs = make([]keyScheduleEpoch, 3)
	initSecret := []byte(c.InitialInit)
	for i := range c.Epochs {
		e := &c.Epochs[i]
		e.TreeHash, e.Confirmed, e.Commit, e.PSK = suite.Random(n), suite.Random(n), suite.Random(n), suite.Random(n)
		e.Context = wire.Marshal(wire.GroupContext{
			CipherSuite: wire.CipherSuite(s.ID()), GroupID: c.GroupID, Epoch: uint64(i),
			TreeHash: e.TreeHash, ConfirmedTranscriptHash: e.Confirmed,
		})
		e.Joiner = deriveJoiner(s, initSecret, e.Commit, e.Context)
		member := deriveMember(s, e.Joiner, e.PSK)
		got := deriveEpoch(s, member, e.Context)
		e.Welcome, e.Init = s.DeriveSecret(member, "welcome"), got.init
		e.SenderData, e.Encryption, e.ExporterKey = got.senderData, got.encryption, got.exporter
		e.Authenticator, e.External, e.Confirmation = got.authenticator, got.external, got.confirmation
		e.Membership, e.Resumption = got.membership, got.resumption
		external, err := s.DeriveKeyPair(got.external)
		must(t, err)
		e.ExternalPub = external.PublicKey()
		x := &e.Exporter
		x.Label, x.Context, x.Length = "label", suite.Random(n), n
		x.Secret, err = got.export(s, x.Label, x.Context, x.Length)
		must(t, err)
		initSecret = got.init
	}
	return c
}

func makeSecretTree(t *testing.T, s *suite.Suite) (c secretTreeCase) {
	n := s.HashSize()
	c.Suite, c.Encryption = s.ID(), suite.Random(n)
	c.SenderData.Secret, c.SenderData.Ciphertext = suite.Random(n), suite.Random(77)
	c.SenderData.Key, c.SenderData.Nonce = senderDataKey(s, c.SenderData.Secret, c.SenderData.Ciphertext)
	st := newSecretTree(s, bytes.Clone(c.Encryption), 2)
	for leaf := range uint32(4) {
		sender, grown := st.seek(leaf)
		if grown != nil {
			st.apply(grown)
		}
		var keys []secretTreeKeys
		for _, g := range []uint32{0, 1, 15} {
			a, err := sender.application.seek(s, g)
			must(t, err)
			h, err := sender.handshake.seek(s, g)
			must(t, err)
			keys = append(keys, secretTreeKeys{
				Generation:     g,
				ApplicationKey: bytes.Clone(a.key[:s.KeySize()]), ApplicationNonce: bytes.Clone(a.nonce[:]),
				HandshakeKey: bytes.Clone(h.key[:s.KeySize()]), HandshakeNonce: bytes.Clone(h.nonce[:]),
			})
		}
		c.Leaves = append(c.Leaves, keys)
	}
	return c
}

// someEpoch is an epoch of nothing in particular, and a member's key.
func someEpoch(t *testing.T, s *suite.Suite) (*epoch, *suite.SignaturePrivateKey) {
	n := s.HashSize()
	key, err := s.GenerateSignatureKey()
	must(t, err)
	return &epoch{
		suite: s,
		context: wire.GroupContext{
			CipherSuite: wire.CipherSuite(s.ID()), GroupID: suite.Random(n), Epoch: 0x1234567890,
			TreeHash: suite.Random(n), ConfirmedTranscriptHash: suite.Random(n),
		},
		senderData: suite.Random(n), membership: suite.Random(n),
	}, key
}

// say is content of the member at leaf 1.
func say(e *epoch) wire.FramedContent {
	return wire.FramedContent{GroupID: e.context.GroupID, Epoch: e.context.Epoch, Sender: wire.Member(1), AuthenticatedData: []byte("authenticated data")}
}

func makeTranscript(t *testing.T, s *suite.Suite) (c transcriptCase) {
	e, key := someEpoch(t, s)
	content := say(e)
	content.ContentType, content.Commit = wire.ContentTypeCommit, &wire.Commit{Proposals: []wire.ProposalOrRef{wire.ByValue(removal(2))}}
	ac, err := e.sign(key, wire.WireFormatPublicMessage, content)
	must(t, err)
	c.Suite, c.Confirmation, c.Before = s.ID(), suite.Random(s.HashSize()), suite.Random(s.HashSize())
	c.Confirmed = confirmedHash(s, c.Before, &ac)
	ac.Auth.ConfirmationTag = s.MAC(c.Confirmation, c.Confirmed)
	c.Interim = interimHash(s, c.Confirmed, ac.Auth.ConfirmationTag)
	c.Content = wire.Marshal(ac)
	return c
}

func makeProtection(t *testing.T, s *suite.Suite) (c protectionCase) {
	e, key := someEpoch(t, s)
	c.Suite, c.GroupID, c.Epoch = s.ID(), e.context.GroupID, e.context.Epoch
	c.TreeHash, c.Confirmed = e.context.TreeHash, e.context.ConfirmedTranscriptHash
	c.SenderData, c.Membership, c.Encryption = e.senderData, e.membership, suite.Random(s.HashSize())
	priv, err := key.Bytes()
	must(t, err)
	c.SignaturePriv, c.SignaturePub = priv, key.PublicKey()
	proposal := removal(2)
	commit := &wire.Commit{Proposals: []wire.ProposalOrRef{wire.ByReference(suite.Random(s.HashSize()))}}
	c.Proposal, c.Commit, c.Application = wire.Marshal(proposal), wire.Marshal(commit), []byte("application data")
	protect := func(format wire.WireFormat, change func(*wire.FramedContent)) vectors.Hex {
		ac := wire.AuthenticatedContent{Content: say(e)}
		change(&ac.Content)
		if ac.Content.Commit != nil {
			ac.Auth.ConfirmationTag = suite.Random(s.HashSize())
		}
		return c.protect(t, c.epoch(s, 1), key, format, ac)
	}
	p := func(f *wire.FramedContent) { f.ContentType, f.Proposal = wire.ContentTypeProposal, &proposal }
	m := func(f *wire.FramedContent) { f.ContentType, f.Commit = wire.ContentTypeCommit, commit }
	a := func(f *wire.FramedContent) {
		f.ContentType, f.ApplicationData = wire.ContentTypeApplication, c.Application
	}
	c.ProposalPub, c.ProposalPriv = protect(wire.WireFormatPublicMessage, p), protect(wire.WireFormatPrivateMessage, p)
	c.CommitPub, c.CommitPriv = protect(wire.WireFormatPublicMessage, m), protect(wire.WireFormatPrivateMessage, m)
	c.ApplicationPriv = protect(wire.WireFormatPrivateMessage, a)
	return c
}

// makeTreeKEM takes a group of five, three of whom have committed, and a path
// of each.
func makeTreeKEM(t *testing.T, s *suite.Suite) (c treekemCase) {
	list := people(t, s, 5)
	g := list[0].group
	tr := g.Tree()
	c.Suite, c.GroupID, c.Epoch, c.Confirmed = s.ID(), g.GroupID(), g.Epoch(), suite.Random(s.HashSize())
	secrets := make(map[wire.LeafIndex][]treekemSecret)
	for _, by := range []int{4, 2} {
		steps := tr.FilteredDirectPath(wire.LeafIndex(by))
		p, err := newPath(s, steps)
		must(t, err)
		edit := tr.Edit()
		_, err = edit.SetPath(wire.LeafIndex(by), p.publicKeys())
		must(t, err)
		tr, err = edit.Tree()
		must(t, err)
		for i, x := range p.nodes {
			for leaf := range wire.LeafIndex(5) {
				secrets[leaf] = dropNode(secrets[leaf], x)
				if x.Contains(tree.NodeOf(leaf)) {
					secrets[leaf] = append(secrets[leaf], treekemSecret{x, p.secrets[i]})
				}
			}
		}
	}
	for leaf := range wire.LeafIndex(5) {
		key := list[leaf].group.keys[tree.NodeOf(leaf)]
		priv, err := key.Bytes()
		must(t, err)
		signer, err := list[leaf].signer.Bytes()
		must(t, err)
		c.LeavesPrivate = append(c.LeavesPrivate, treekemLeaf{leaf, priv, signer, secrets[leaf]})
	}
	c.RatchetTree = wire.Marshal(tr)
	for leaf := range wire.LeafIndex(5) {
		c.UpdatePaths = append(c.UpdatePaths, c.makePath(t, tr, list[leaf], leaf))
	}
	return c
}

// dropNode leaves out the secret of a node that has been renewed.
func dropNode(secrets []treekemSecret, x tree.NodeIndex) []treekemSecret {
	var kept []treekemSecret
	for _, s := range secrets {
		if s.Node != x {
			kept = append(kept, s)
		}
	}
	return kept
}

// makePath makes the update path of one member.
func (c *treekemCase) makePath(t *testing.T, tr *tree.Tree, p *person, leaf wire.LeafIndex) (u treekemPath) {
	s := tr.Suite()
	fresh, err := newPath(s, tr.FilteredDirectPath(leaf))
	must(t, err)
	edit := tr.Edit()
	n, _ := tr.Leaf(leaf)
	n.ParentHash, err = edit.SetPath(leaf, fresh.publicKeys())
	must(t, err)
	key, err := s.GenerateKeyPair()
	must(t, err)
	n.EncryptionKey, n.LeafNodeSource = key.PublicKey(), wire.LeafNodeSourceCommit
	must(t, signLeaf(&n, p.signer, c.GroupID, leaf))
	must(t, edit.SetLeaf(leaf, n))
	after, err := edit.Tree()
	must(t, err)
	nodes, err := fresh.encrypt(c.renewal(after, leaf))
	must(t, err)
	u.Sender, u.UpdatePath = leaf, wire.Marshal(wire.UpdatePath{LeafNode: n, Nodes: nodes})
	u.CommitSecret, u.TreeHashAfter = fresh.commit, after.Hash()
	for i := range wire.LeafIndex(5) {
		var secret vectors.Hex
		if i != leaf {
			secret = fresh.secretAt(tree.CommonAncestor(tree.NodeOf(leaf), tree.NodeOf(i)))
		}
		u.PathSecrets = append(u.PathSecrets, secret)
	}
	return u
}

func makeWelcome(t *testing.T, s *suite.Suite) (c welcomeCase) {
	list := people(t, s, 2)
	eve := newPerson(t, s, "eve")
	kp := eve.keyPackage(t)
	p := commit(t, list[0].group, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	priv, err := kp.init.Bytes()
	must(t, err)
	c.Suite, c.InitPriv, c.KeyPackage = s.ID(), priv, kp.Message()
	c.SignerPub, c.Welcome = list[0].signer.PublicKey(), p.Welcome
	return c
}

// makePassive is a client that joins a group of three and listens: to a
// removal, an update, new members, new keys.
func makePassive(t *testing.T, s *suite.Suite) (c passiveCase) {
	list := people(t, s, 3)
	eve := newPerson(t, s, "eve")
	kp := eve.keyPackage(t)
	p := everybody(t, list, 1, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}, ForcePath: true})
	c.Suite, c.KeyPackage, c.Welcome, c.ExternalPSKs = s.ID(), kp.Message(), p.Welcome, []passivePSK{}
	c.RatchetTree, c.Initial = wire.Marshal(p.Next.Tree()), p.Next.EpochAuthenticator()
	var err error
	c.Signature, err = eve.signer.Bytes()
	must(t, err)
	c.Init, err = kp.init.Bytes()
	must(t, err)
	c.Encryption, err = kp.leaf.Bytes()
	must(t, err)
	o := MessageOptions{Now: start}
	step := func(by int, commit CommitOptions, proposals ...[]byte) {
		e := passiveEpoch{Proposals: []vectors.Hex{}}
		for _, m := range proposals {
			e.Proposals = append(e.Proposals, m)
		}
		p := everybody(t, list, by, commit)
		e.Commit, e.Authenticator = p.Commit, p.Next.EpochAuthenticator()
		c.Epochs = append(c.Epochs, e)
	}
	step(0, CommitOptions{})
	m, err := list[2].group.ProposeUpdate(LeafOptions{}, o)
	must(t, err)
	handle(t, list[0].group, m)
	handle(t, list[1].group, m)
	step(1, CommitOptions{}, m)
	more := newPerson(t, s, "more").keyPackage(t)
	step(2, CommitOptions{Adds: []*wire.KeyPackage{&more.Public}})
	step(0, CommitOptions{Removes: []wire.LeafIndex{4}, MessageOptions: MessageOptions{Private: true, Padding: 30}})
	return c
}
