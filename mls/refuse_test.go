package mls

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// forge signs and protects a commit of p as it is, whatever it says. Its
// confirmation tag is right only if tag makes it so.
func forge(t testing.TB, p *person, c wire.Commit, change func(*wire.AuthenticatedContent)) []byte {
	t.Helper()
	g := p.group
	content := g.framed(wire.ContentTypeCommit, &MessageOptions{})
	content.Commit = &c
	ac, err := g.epoch.sign(p.signer, wire.WireFormatPublicMessage, content)
	if err != nil {
		t.Fatal(err)
	}
	ac.Auth.ConfirmationTag = suite.Random(g.suite.HashSize())
	if change != nil {
		change(&ac)
	}
	return g.epoch.protectPublic(&ac)
}

// refuses checks that g refuses a handshake and is as before, to the byte.
func refuses(t *testing.T, what string, g *Group, message []byte, want error) {
	t.Helper()
	before, proposals := snapshot(g), len(g.proposals)
	r, err := g.Handle(message, start)
	if err == nil || r != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	if !reflect.DeepEqual(before, snapshot(g)) || len(g.proposals) != proposals {
		t.Errorf("%s: the Group has changed", what)
	}
}

func byValue(proposals ...wire.Proposal) wire.Commit {
	var c wire.Commit
	for _, p := range proposals {
		c.Proposals = append(c.Proposals, wire.ByValue(p))
	}
	return c
}

func removal(leaf wire.LeafIndex) wire.Proposal {
	return wire.Proposal{ProposalType: wire.ProposalTypeRemove, Remove: &wire.Remove{Removed: leaf}}
}

func addition(kp wire.KeyPackage) wire.Proposal {
	return wire.Proposal{ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: kp}}
}

func TestCommitsRefused(t *testing.T) {
	list := people(t, testSuite(t), 4)
	a, b := list[0], list[1].group
	eve := newPerson(t, a.suite, "eve")
	good := commit(t, a.group, CommitOptions{})
	m, err := wire.Unmarshal[wire.MLSMessage](good.Commit)
	if err != nil {
		t.Fatal(err)
	}
	path := m.PublicMessage.Content.Commit.Path
	withPath := func(c wire.Commit) wire.Commit { c.Path = path; return c }

	update := wire.Proposal{ProposalType: wire.ProposalTypeUpdate, Update: &wire.Update{LeafNode: path.LeafNode}}
	psk := wire.Proposal{ProposalType: wire.ProposalTypePSK, PreSharedKey: &wire.PreSharedKey{PSK: wire.PreSharedKeyID{
		PSKType: wire.PSKTypeExternal, PSKID: []byte("x"), PSKNonce: make([]byte, 32)}}}
	reinit := wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: &wire.ReInit{Version: wire.MLS10, CipherSuite: 1}}
	external := wire.Proposal{ProposalType: wire.ProposalTypeExternalInit, ExternalInit: &wire.ExternalInit{}}
	gce := wire.Proposal{ProposalType: wire.ProposalTypeGroupContextExtensions, GroupContextExtensions: &wire.GroupContextExtensions{}}
	unknown := wire.Proposal{ProposalType: wire.ProposalTypeGroupContextExtensions, GroupContextExtensions: &wire.GroupContextExtensions{
		Extensions: wire.Extensions{{ExtensionType: 0xf123}}}}
	two := eve.keyPackage(t).Public
	member := list[2].keyPackage(t).Public
	badTag := func(n int) func(*wire.AuthenticatedContent) {
		return func(ac *wire.AuthenticatedContent) { ac.Auth.ConfirmationTag = good.Next.tag[:n] }
	}
	missing := withPath(wire.Commit{Proposals: []wire.ProposalOrRef{wire.ByReference([]byte("no such proposal"))}})

	for _, c := range []struct {
		what   string
		commit wire.Commit
		change func(*wire.AuthenticatedContent)
		want   error
	}{
		{"empty without path", wire.Commit{}, nil, tree.ErrPathRequired},
		{"remove without path", byValue(removal(2)), nil, tree.ErrPathRequired},
		{"extensions without path", byValue(gce), nil, tree.ErrPathRequired},
		{"removes its committer", withPath(byValue(removal(0))), nil, tree.ErrRemoveCommitter},
		{"updates its committer", withPath(byValue(update)), nil, nil},
		{"removes nobody", withPath(byValue(removal(4))), nil, tree.ErrBlankLeaf},
		{"removes beyond the tree", withPath(byValue(removal(1 << 31))), nil, tree.ErrBlankLeaf},
		{"removes twice", withPath(byValue(removal(2), removal(2))), nil, tree.ErrSameLeaf},
		{"extensions twice", withPath(byValue(gce, gce)), nil, tree.ErrTwoExtensions},
		{"unknown extension", withPath(byValue(unknown)), nil, tree.ErrUnsupportedExtension},
		{"adds one client twice", byValue(addition(two), addition(two)), nil, nil},
		{"adds a member", byValue(addition(member)), nil, tree.ErrDuplicateSignatureKey},
		{"unknown pre-shared key", withPath(byValue(psk)), nil, ErrNoPSK},
		{"pre-shared key twice", withPath(byValue(psk, psk)), nil, tree.ErrDuplicatePSK},
		{"reinit with another proposal", withPath(byValue(reinit, removal(2))), nil, tree.ErrReInitAlone},
		{"external init", withPath(byValue(external)), nil, tree.ErrExternalInit},
		{"unknown reference", missing, nil, ErrUnknownProposal},
		{"wrong confirmation tag", withPath(wire.Commit{}), nil, ErrInvalid},
		{"no confirmation tag", withPath(wire.Commit{}), badTag(0), ErrInvalid},
		{"short confirmation tag", withPath(wire.Commit{}), badTag(31), ErrInvalid},
		{"signature of another key", withPath(wire.Commit{}), func(ac *wire.AuthenticatedContent) {
			ac.Auth.Signature, _ = eve.signer.Sign("FramedContentTBS", a.group.epoch.tbs(ac))
		}, suite.ErrSignature},
		{"no signature", withPath(wire.Commit{}), func(ac *wire.AuthenticatedContent) { ac.Auth.Signature = nil }, suite.ErrSignature},
	} {
		refuses(t, c.what, b, forge(t, a, c.commit, c.change), c.want)
	}
	if r := handle(t, b, good.Commit); !bytes.Equal(r.Next.EpochAuthenticator(), good.Next.EpochAuthenticator()) {
		t.Error("the good commit did not work afterwards")
	}
}

// Every octet of a commit counts.
func TestChangedCommitRefused(t *testing.T) {
	list := people(t, testSuite(t), 3)
	p := commit(t, list[0].group, CommitOptions{})
	for i := range p.Commit {
		changed := bytes.Clone(p.Commit)
		changed[i] ^= 0x11
		refuses(t, "changed octet", list[1].group, changed, nil)
	}
	for n := 0; n < len(p.Commit); n += 7 {
		refuses(t, "cut off", list[1].group, p.Commit[:n], wire.ErrMalformed)
	}
	refuses(t, "trailing octet", list[1].group, append(bytes.Clone(p.Commit), 0), wire.ErrMalformed)
}

func TestPathsRefused(t *testing.T) {
	list := people(t, testSuite(t), 4)
	a, b := list[0], list[3].group
	path := func() *wire.UpdatePath {
		m, err := wire.Unmarshal[wire.MLSMessage](commit(t, a.group, CommitOptions{}).Commit)
		if err != nil {
			t.Fatal(err)
		}
		return m.PublicMessage.Content.Commit.Path
	}
	sign := func(p *wire.UpdatePath) {
		if err := signLeaf(&p.LeafNode, a.signer, a.group.GroupID(), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what  string
		spoil func(*wire.UpdatePath)
		want  error
	}{
		{"no nodes", func(p *wire.UpdatePath) { p.Nodes = nil }, tree.ErrPathLength},
		{"a node more", func(p *wire.UpdatePath) { p.Nodes = append(p.Nodes, p.Nodes[0]) }, tree.ErrPathLength},
		{"a ciphertext less", func(p *wire.UpdatePath) { p.Nodes[0].EncryptedPathSecret = nil }, tree.ErrPathCiphertexts},
		{"a ciphertext more", func(p *wire.UpdatePath) {
			n := &p.Nodes[1]
			n.EncryptedPathSecret = append(n.EncryptedPathSecret, n.EncryptedPathSecret[0])
		}, tree.ErrPathCiphertexts},
		{"two keys the same", func(p *wire.UpdatePath) { p.Nodes[0].EncryptionKey = p.Nodes[1].EncryptionKey }, nil},
		{"a key of the tree", func(p *wire.UpdatePath) { p.Nodes[0].EncryptionKey, _ = b.Tree().EncryptionKey(6) }, tree.ErrPathKeyReused},
		{"another key", func(p *wire.UpdatePath) { p.Nodes[1].EncryptionKey = suite.Random(32) }, tree.ErrParentHash},
		{"other parent hash", func(p *wire.UpdatePath) { p.LeafNode.ParentHash = suite.Random(32); sign(p) }, tree.ErrParentHash},
		{"the old leaf key", func(p *wire.UpdatePath) { p.LeafNode.EncryptionKey, _ = b.Tree().EncryptionKey(0); sign(p) }, tree.ErrPathKeyReused},
		{"leaf of an update", func(p *wire.UpdatePath) { p.LeafNode.LeafNodeSource = wire.LeafNodeSourceUpdate; sign(p) }, tree.ErrLeafSource},
		{"unsigned leaf", func(p *wire.UpdatePath) { p.LeafNode.Signature = nil }, tree.ErrLeafSignature},
		{"another person", func(p *wire.UpdatePath) {
			p.LeafNode.Credential = wire.BasicCredential([]byte("mallory"))
			sign(p)
		}, tree.ErrSuccessor},
		{"spoilt ciphertext", func(p *wire.UpdatePath) {
			for i := range p.Nodes {
				for j := range p.Nodes[i].EncryptedPathSecret {
					c := &p.Nodes[i].EncryptedPathSecret[j]
					c.Ciphertext = bytes.Clone(c.Ciphertext)
					c.Ciphertext[0] ^= 1
				}
			}
		}, suite.ErrDecrypt},
	} {
		p := path()
		c.spoil(p)
		refuses(t, c.what, b, forge(t, a, wire.Commit{Path: p}, nil), c.want)
	}
}

func TestHandshakesOfOtherPlacesRefused(t *testing.T) {
	list := people(t, testSuite(t), 3)
	old := commit(t, list[1].group, CommitOptions{})
	everybody(t, list, 0, CommitOptions{})
	b := list[1].group
	refuses(t, "commit of the last epoch", b, old.Commit, ErrPastEpoch)
	later := commit(t, commit(t, list[0].group, CommitOptions{}).Next, CommitOptions{})
	refuses(t, "commit of a later epoch", b, later.Commit, ErrFutureEpoch)
	own := commit(t, b, CommitOptions{})
	refuses(t, "our own commit", b, own.Commit, ErrOwnMessage)
	other := people(t, testSuite(t), 2)
	refuses(t, "commit of another group", b, commit(t, other[0].group, CommitOptions{}).Commit, ErrOtherGroup)
	refuses(t, "application message", b, seal(t, list[0].group, "x"), ErrInvalid)
	refuses(t, "welcome", b, list[0].keyPackage(t).Message(), ErrInvalid)
	refuses(t, "nothing", b, nil, wire.ErrMalformed)

	m, err := wire.Unmarshal[wire.MLSMessage](commit(t, list[0].group, CommitOptions{}).Commit)
	if err != nil {
		t.Fatal(err)
	}
	for _, sender := range []wire.Sender{
		{SenderType: wire.SenderTypeExternal}, {SenderType: wire.SenderTypeNewMemberCommit}, {SenderType: wire.SenderTypeNewMemberProposal},
	} {
		m.PublicMessage.Content.Sender = sender
		refuses(t, sender.SenderType.String(), b, wire.Marshal(m), ErrUnsupported)
	}
	m.PublicMessage.Content.Sender = wire.Member(7)
	refuses(t, "sender who is nobody", b, wire.Marshal(m), nil)
}

func TestKeyPackagesRefused(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 2)
	eve := newPerson(t, s, "eve")
	sign := func(k *wire.KeyPackage) {
		var err error
		if err = signLeaf(&k.LeafNode, eve.signer, nil, 0); err == nil {
			k.Signature, err = eve.signer.Sign("KeyPackageTBS", wire.Marshal(wire.KeyPackageTBS(*k)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what  string
		spoil func(*wire.KeyPackage)
		want  error
	}{
		{"init key is encryption key", func(k *wire.KeyPackage) { k.InitKey = k.LeafNode.EncryptionKey }, tree.ErrInitKey},
		{"other suite", func(k *wire.KeyPackage) { k.CipherSuite = 2 }, tree.ErrKeyPackageSuite},
		{"other version", func(k *wire.KeyPackage) { k.Version = 2 }, tree.ErrKeyPackageVersion},
		{"expired", func(k *wire.KeyPackage) { k.LeafNode.Lifetime.NotAfter = seconds(start) - 1 }, tree.ErrLifetime},
		{"not yet valid", func(k *wire.KeyPackage) { k.LeafNode.Lifetime.NotBefore = seconds(start) + 1 }, tree.ErrLifetime},
		{"leaf of a commit", func(k *wire.KeyPackage) { k.LeafNode.LeafNodeSource = wire.LeafNodeSourceCommit }, tree.ErrLeafSource},
		{"credential not in capabilities", func(k *wire.KeyPackage) { k.LeafNode.Capabilities.Credentials = nil }, tree.ErrLeafCredential},
		{"extension not in capabilities", func(k *wire.KeyPackage) { k.LeafNode.Extensions = wire.Extensions{{ExtensionType: 0xf123}} }, tree.ErrLeafExtension},
		{"signature key of a member", func(k *wire.KeyPackage) { k.LeafNode.SignatureKey = list[1].signer.PublicKey() }, tree.ErrKeyPackageSignature},
	} {
		k := eve.keyPackage(t).Public
		c.spoil(&k)
		sign(&k)
		before := snapshot(list[0].group)
		if _, err := list[0].group.Commit(CommitOptions{MessageOptions: MessageOptions{Now: start}, Adds: []*wire.KeyPackage{&k}}); !errors.Is(err, c.want) {
			t.Errorf("commit %s: %v, want %v", c.what, err, c.want)
		}
		if !reflect.DeepEqual(before, snapshot(list[0].group)) {
			t.Errorf("commit %s: the Group has changed", c.what)
		}
		refuses(t, "handle "+c.what, list[1].group, forge(t, list[0], byValue(addition(k)), nil), c.want)
	}
	k := eve.keyPackage(t).Public
	k.Signature = nil
	refuses(t, "unsigned", list[1].group, forge(t, list[0], byValue(addition(k)), nil), tree.ErrKeyPackageSignature)
}

func TestJoinRefused(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 2)
	eve := newPerson(t, s, "eve")
	kp := eve.keyPackage(t)
	p := commit(t, list[0].group, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}, ForcePath: true})
	ratchetTree := wire.Marshal(p.Next.Tree())
	good := JoinOptions{Welcome: p.Welcome, KeyPackage: kp, Signer: eve.signer, RatchetTree: ratchetTree, Credentials: anyone{}}
	for _, c := range []struct {
		what  string
		spoil func(*JoinOptions)
		want  error
	}{
		{"no tree", func(o *JoinOptions) { o.RatchetTree = nil }, ErrTreeMissing},
		{"the tree before", func(o *JoinOptions) { o.RatchetTree = wire.Marshal(list[0].group.Tree()) }, tree.ErrTreeHash},
		{"no welcome", func(o *JoinOptions) { o.Welcome = p.Commit }, ErrInvalid},
		{"another key package", func(o *JoinOptions) { o.KeyPackage = eve.keyPackage(t) }, ErrNotForUs},
		{"another signer", func(o *JoinOptions) { o.Signer = list[0].signer }, suite.ErrBadKey},
		{"no validator", func(o *JoinOptions) { o.Credentials = nil }, tree.ErrCredential},
	} {
		o := good
		c.spoil(&o)
		if _, err := Join(o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	for i := range p.Welcome {
		o := good
		o.Welcome = bytes.Clone(p.Welcome)
		o.Welcome[i] ^= 0x21
		if _, err := Join(o); err == nil {
			t.Errorf("octet %d of the welcome changed: joined", i)
		}
	}
	for i := 0; i < len(ratchetTree); i += 3 {
		o := good
		o.RatchetTree = bytes.Clone(ratchetTree)
		o.RatchetTree[i] ^= 0x21
		if _, err := Join(o); err == nil {
			t.Errorf("octet %d of the tree changed: joined", i)
		}
	}
	if _, err := Join(good); err != nil {
		t.Error(err)
	}
}

// A member can derive all keys. What it forges in another's name is refused by
// its signature, and does not use up the other's key.
func TestInsiderCanNotSpeakForAnother(t *testing.T) {
	list := people(t, testSuite(t), 3)
	mallory := *list[2].group.epoch
	mallory.own = 0
	mallory.tree = newSecretTree(mallory.suite, bytes.Clone(anyEncryptionSecret(t, list[2].group)), list[2].group.epoch.tree.height)
	ac, err := mallory.sign(list[2].signer, wire.WireFormatPrivateMessage, wire.FramedContent{
		GroupID: mallory.context.GroupID, Epoch: mallory.context.Epoch, Sender: wire.Member(0),
		ContentType: wire.ContentTypeApplication, ApplicationData: []byte("I am person 0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	forged, _, err := mallory.protectPrivate(&ac, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := list[1].group
	before := snapshot(b)
	if _, err := b.Open(forged); !errors.Is(err, suite.ErrSignature) {
		t.Errorf("forged message: %v", err)
	}
	if !reflect.DeepEqual(before, snapshot(b)) {
		t.Error("the Group has changed")
	}
	if _, err := b.Open(seal(t, list[0].group, "the real one")); err != nil {
		t.Errorf("the real message of the same generation: %v", err)
	}
}

// anyEncryptionSecret is the root of g's secret tree, if nobody has spoken.
func anyEncryptionSecret(t *testing.T, g *Group) []byte {
	t.Helper()
	root, ok := g.epoch.tree.nodes[treeNode{g.epoch.tree.height, 0}]
	if !ok {
		t.Fatal("somebody has spoken")
	}
	return root.secret[:g.suite.HashSize()]
}

func TestOpenRefuses(t *testing.T) {
	list := people(t, testSuite(t), 3)
	a, b := list[0], list[1]
	m := seal(t, a.group, "hello")
	open := func(what string, message []byte, want error) {
		t.Helper()
		before := snapshot(b.group)
		if _, err := b.group.Open(message); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if !reflect.DeepEqual(before, snapshot(b.group)) {
			t.Errorf("%s: the Group has changed", what)
		}
	}
	for n := 0; n < len(m); n += 5 {
		open("cut off", m[:n], wire.ErrMalformed)
	}
	open("own message", seal(t, b.group, "x"), ErrOwnMessage)
	open("other group", seal(t, people(t, testSuite(t), 2)[0].group, "x"), ErrOtherGroup)
	open("commit", commit(t, a.group, CommitOptions{}).Commit, wire.ErrMalformed)
	open("private commit", commit(t, a.group, CommitOptions{MessageOptions: MessageOptions{Private: true}}).Commit, ErrInvalid)
	open("future epoch", seal(t, commit(t, a.group, CommitOptions{}).Next, "x"), ErrFutureEpoch)
	if _, err := b.group.Open(m); err != nil {
		t.Fatal(err)
	}
	open("replay", m, ErrReplay)

	old := seal(t, a.group, "old")
	for i := range DefaultPastEpochs + 1 {
		everybody(t, list, i%3, CommitOptions{})
		if i == DefaultPastEpochs-1 {
			if got, err := b.group.Open(old); err != nil || string(got.Plaintext) != "old" {
				t.Errorf("message of %d epochs ago: %v", i+1, err)
			}
		}
	}
	open("forgotten epoch", old, ErrPastEpoch)
}

// The leaf of a message is that of its epoch: whoever has it later did not send
// it (OpenMLS #1944, mls-rs #361).
func TestLateMessageIsOfWhoSentIt(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 4)
	late := seal(t, list[3].group, "goodbye")
	p := commit(t, list[0].group, CommitOptions{Removes: []wire.LeafIndex{3}})
	list[0].follow(p)
	for _, q := range list[1:3] {
		q.group = handle(t, q.group, p.Commit).Next
	}
	eve := newPerson(t, s, "eve")
	kp := eve.keyPackage(t)
	p = everybody(t, list[:3], 1, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	eve.join(t, kp, p.Welcome, p.Next.Tree())
	if eve.group.OwnLeaf() != 3 {
		t.Fatalf("eve is at leaf %d", eve.group.OwnLeaf())
	}
	list[2].reload(t)
	got, err := list[2].group.Open(late)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := wire.Unmarshal[wire.LeafNode](got.LeafNode)
	if err != nil || string(leaf.Credential.Identity) != "person 3" {
		t.Errorf("sent by %q, %v", leaf.Credential.Identity, err)
	}
	if _, err := eve.group.Open(late); !errors.Is(err, ErrPastEpoch) {
		t.Errorf("eve: %v", err)
	}
}

func TestSealRefuses(t *testing.T) {
	list := people(t, testSuite(t), 2)
	g := list[0].group
	for _, c := range []struct {
		aad, text []byte
		padding   int
	}{{nil, nil, -1}, {nil, make([]byte, MaxPlaintext+1), 0}, {nil, make([]byte, 10), MaxPlaintext}, {make([]byte, MaxPlaintext+1), nil, 0}} {
		before := snapshot(g)
		if _, err := g.Seal(c.aad, c.text, c.padding); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		if !reflect.DeepEqual(before, snapshot(g)) {
			t.Error("the Group has changed")
		}
	}
	// "A group member that has observed one or more valid proposals within an
	// epoch MUST send a Commit message before sending application data."
	m, err := list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start})
	if err != nil {
		t.Fatal(err)
	}
	handle(t, g, m)
	if _, err := g.Seal(nil, []byte("x"), 0); !errors.Is(err, ErrCommitRequired) {
		t.Errorf("sealed while a proposal waits: %v", err)
	}
	seal(t, commit(t, g, CommitOptions{}).Next, "x")
}

// What waits and has become invalid does not stop a commit.
func TestCommitLeavesOutWhatDoesNotFit(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 4)
	eve := newPerson(t, s, "eve")
	short, err := NewKeyPackage(s, eve.identity(), KeyPackageOptions{Now: start, Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	all := func(from int, m []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range list {
			if i != from {
				handle(t, p.group, m)
			}
		}
	}
	o := MessageOptions{Now: start}
	propose := func(from int, f func(g *Group) ([]byte, error)) {
		t.Helper()
		m, err := f(list[from].group)
		all(from, m, err)
	}
	propose(1, func(g *Group) ([]byte, error) { return g.ProposeAdd(&short.Public, o) })
	propose(2, func(g *Group) ([]byte, error) { return g.ProposeAdd(&list[1].keyPackage(t).Public, o) }) // is a member
	propose(3, func(g *Group) ([]byte, error) { return g.ProposeUpdate(LeafOptions{}, o) })
	propose(1, func(g *Group) ([]byte, error) { return g.ProposeRemove(3, o) })
	propose(2, func(g *Group) ([]byte, error) { return g.ProposeRemove(3, o) }) // twice
	propose(0, func(g *Group) ([]byte, error) { return g.ProposeUpdate(LeafOptions{}, o) })
	o.Now = start.Add(time.Hour) // the key package has expired
	p, err := list[0].group.Commit(CommitOptions{MessageOptions: o})
	if err != nil {
		t.Fatal(err)
	}
	c := p.Change
	if len(c.Added) != 0 || len(c.Removed) != 1 || c.Removed[0].Index != 3 || len(c.Updated) != 1 || c.Updated[0].Index != 0 {
		t.Errorf("commit does %+v", c)
	}
	r, err := list[1].group.Handle(p.Commit, o.Now)
	if err != nil || !bytes.Equal(r.Next.EpochAuthenticator(), p.Next.EpochAuthenticator()) {
		t.Errorf("handled: %v", err)
	}
}

// "If the committer has received multiple such proposals they SHOULD prefer any
// Remove received, or the most recent Update if there are no Removes."
func TestCommitTakesTheLastUpdate(t *testing.T) {
	list := people(t, testSuite(t), 3)
	for range 3 {
		m, err := list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start})
		if err != nil {
			t.Fatal(err)
		}
		handle(t, list[0].group, m)
		handle(t, list[2].group, m)
	}
	last := list[1].group.PendingProposals()[2].Proposal.Update.LeafNode.EncryptionKey
	everybody(t, list, 0, CommitOptions{})
	leaf, _ := list[2].group.Tree().Leaf(1)
	if !bytes.Equal(leaf.EncryptionKey, last) {
		t.Error("another update was taken")
	}
	talk(t, list)
	everybody(t, list, 2, CommitOptions{})
}

func TestTooManyProposals(t *testing.T) {
	list := people(t, testSuite(t), 2)
	g := list[0].group
	for len(g.proposals) < MaxProposals {
		p := proposal{number: uint32(len(g.proposals)), ref: suite.Random(32)}
		g.proposals = append(g.proposals, p)
	}
	m, err := list[1].group.ProposeRemove(0, MessageOptions{Now: start})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Handle(m, start); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
}

func TestRemovedMemberIsOut(t *testing.T) {
	list := people(t, testSuite(t), 3)
	gone := list[2]
	p := commit(t, list[0].group, CommitOptions{Removes: []wire.LeafIndex{2}})
	r := handle(t, gone.group, p.Commit)
	if !r.Removed || r.Next != nil {
		t.Fatalf("got %+v", r)
	}
	after := seal(t, p.Next, "without you")
	if _, err := gone.group.Open(after); !errors.Is(err, ErrFutureEpoch) {
		t.Errorf("got %v", err)
	}
	// Not even with everything it has: the path secrets went to others only.
	m, err := wire.Unmarshal[wire.MLSMessage](p.Commit)
	if err != nil {
		t.Fatal(err)
	}
	ring := gone.group.keys
	for _, n := range m.PublicMessage.Content.Commit.Path.Nodes {
		for _, c := range n.EncryptedPathSecret {
			for _, key := range ring {
				if _, err := gone.suite.Decrypt(key, "UpdatePathNode", wire.Marshal(p.Next.GroupContext()), c.KEMOutput, c.Ciphertext); err == nil {
					t.Error("the removed member has a path secret")
				}
			}
		}
	}
}
