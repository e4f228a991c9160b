package mls

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// info is a GroupInfo of p's epoch, with the tree.
func (p *person) info(t testing.TB) []byte {
	t.Helper()
	b, err := p.group.GroupInfo(true)
	must(t, err)
	return b
}

// external is how p joins with a GroupInfo.
func (p *person) external(info []byte) ExternalJoinOptions {
	return ExternalJoinOptions{
		GroupInfo: info, Identity: p.identity(), Leaf: KeyPackageOptions{Now: start},
		Credentials: anyone{}, Policy: p.policy,
	}
}

// enters lets p join those in list by external commit; p is in the list that is
// returned, who was removed is not.
func (p *person) enters(t testing.TB, list []*person, o ExternalJoinOptions) []*person {
	t.Helper()
	c, err := JoinExternal(o)
	must(t, err)
	var stay []*person
	for _, q := range list {
		r := handle(t, q.group, c.Commit)
		if q == p || r.Removed {
			continue
		}
		if r.Change.Joined == nil || r.Change.Joined.Index != c.Next.OwnLeaf() || r.Change.Sender != c.Next.OwnLeaf() {
			t.Fatalf("what an external commit did: %+v", r.Change)
		}
		q.group = r.Next
		stay = append(stay, q)
	}
	p.group, p.shelf = c.Next, make(shelf)
	stay = append(stay, p)
	agree(t, stay)
	return stay
}

// A new member adds itself (RFC 9420, Sections 8.3, 12.4.1 and 12.4.3.2), in every
// suite, and is a member like the others.
func TestExternalJoin(t *testing.T) {
	for _, id := range suite.IDs() {
		s, err := suite.Lookup(id)
		must(t, err)
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			list := people(t, s, 4)
			unlock(list, Policy{})
			everybody(t, list, 2, CommitOptions{Removes: nil})
			eve := newPerson(t, s, "eve")
			eve.policy = list[0].policy
			list = eve.enters(t, list, eve.external(list[0].info(t)))
			if eve.group.OwnLeaf() != 4 || eve.group.Tree().Width() != 8 {
				t.Fatalf("leaf %d of %d", eve.group.OwnLeaf(), eve.group.Tree().Width())
			}
			talk(t, list)
			eve.reload(t)
			everybody(t, list, 4, CommitOptions{})
			eve.reload(t)
			everybody(t, list, 1, CommitOptions{})
			talk(t, list)
		})
	}
}

// A member that has lost its state replaces its prior appearance (RFC 9420,
// Section 12.4.3.2), and takes the leftmost blank leaf.
func TestResync(t *testing.T) {
	list := people(t, testSuite(t), 5)
	unlock(list, Policy{})
	everybody(t, list[:], 0, CommitOptions{})
	lost, leaf := list[1], list[1].group.OwnLeaf()
	late := seal(t, list[0].group, "late")
	o := lost.external(list[0].info(t))
	if _, err := JoinExternal(o); !errors.Is(err, tree.ErrDuplicateSignatureKey) {
		t.Fatalf("a member joins again: %v", err)
	}
	o.Resync = &leaf
	list = lost.enters(t, list, o)
	if lost.group.OwnLeaf() != leaf || lost.group.Tree().Size() != 5 {
		t.Fatalf("comes back as leaf %d", lost.group.OwnLeaf())
	}
	if _, err := lost.group.Open(late); !errors.Is(err, ErrPastEpoch) {
		t.Errorf("opens a message of an epoch it has not: %v", err)
	}
	if _, err := list[1].group.Open(late); err != nil {
		t.Errorf("late message: %v", err)
	}
	talk(t, list)
	everybody(t, list, 4, CommitOptions{})
	for _, p := range list {
		p.reload(t)
	}
	// Also where nobody else is left.
	alone := people(t, testSuite(t), 1)
	unlock(alone, Policy{})
	zero := wire.LeafIndex(0)
	o = alone[0].external(alone[0].info(t))
	o.Resync = &zero
	c, err := JoinExternal(o)
	must(t, err)
	if r := handle(t, alone[0].group, c.Commit); !r.Removed || c.Next.Tree().Size() != 1 {
		t.Fatal("the old appearance stays")
	}
}

// PSKs are mixed into an external commit, and SelfRemoves go with it.
func TestExternalJoinWithMore(t *testing.T) {
	list := people(t, testSuite(t), 6)
	unlock(list, Policy{PSKs: purse{"door": []byte("password")}})
	o := MessageOptions{Now: start, AuthenticatedData: []byte("bye")}
	m, err := list[3].group.ProposeSelfRemove(o)
	must(t, err)
	for _, p := range list {
		if p != list[3] {
			handle(t, p.group, m)
		}
	}
	observer := observe(t, list[0])
	observer = observer.follow(t, m)
	eve := newPerson(t, list[0].suite, "eve")
	eve.policy = list[0].policy
	x := eve.external(list[0].info(t))
	x.PSKs, x.SelfRemoves = []wire.PreSharedKeyID{ExternalPSK([]byte("door"))}, [][]byte{m}
	c, err := JoinExternal(x)
	must(t, err)
	observer = observer.follow(t, c.Commit)
	for i, p := range list {
		r := handle(t, p.group, c.Commit)
		if r.Removed != (i == 3) {
			t.Fatalf("member %d removed: %v", i, r.Removed)
		}
		p.group = r.Next
	}
	eve.group = c.Next
	if eve.group.OwnLeaf() != 3 || observer.Tree().Size() != 6 {
		t.Fatalf("joins at leaf %d", eve.group.OwnLeaf())
	}
	list[3] = eve
	agree(t, list)
	talk(t, list)
	everybody(t, list, 3, CommitOptions{})
}

// An onlooker is an Observer that accepts everything.
type onlooker struct{ *tree.Observer }

func observe(t testing.TB, p *person) onlooker {
	t.Helper()
	m, err := wire.Unmarshal[wire.MLSMessage](p.info(t))
	must(t, err)
	o, err := tree.NewObserver(m.GroupInfo, p.group.Tree(), &tree.Config{Credentials: anyone{}})
	must(t, err)
	return onlooker{o}
}

func (o onlooker) follow(t testing.TB, message []byte) onlooker {
	t.Helper()
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	must(t, err)
	next, _, err := o.Handle(m.PublicMessage, &tree.Config{Credentials: anyone{}, Accept: everything, Now: start})
	must(t, err)
	return onlooker{next}
}

// What an external commit may not be is refused when it is made.
func TestExternalJoinRefused(t *testing.T) {
	list := people(t, testSuite(t), 4)
	unlock(list, Policy{})
	eve := newPerson(t, list[0].suite, "eve")
	info := list[0].info(t)
	m, err := wire.Unmarshal[wire.MLSMessage](info)
	must(t, err)
	resign := func(change func(*wire.GroupInfo)) []byte {
		g := *m.GroupInfo
		g.Extensions = append(wire.Extensions(nil), g.Extensions...)
		change(&g)
		must(t, signGroupInfo(list[0].signer, &g))
		return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatGroupInfo, GroupInfo: &g})
	}
	two, ten := wire.LeafIndex(2), wire.LeafIndex(10)
	plain, err := list[1].group.ProposeRemove(2, MessageOptions{Now: start})
	must(t, err)
	for _, c := range []struct {
		what   string
		change func(*ExternalJoinOptions)
		want   error
	}{
		{"no external_pub", func(o *ExternalJoinOptions) {
			o.GroupInfo = resign(func(g *wire.GroupInfo) { g.Extensions = without(g.Extensions, wire.ExtensionTypeExternalPub) })
		}, ErrNoExternalPub},
		{"external_pub as a bare key", func(o *ExternalJoinOptions) {
			bare := bytes.Repeat([]byte{0xff}, 32) // a key that begins with 31 would be one of 31 bytes
			o.GroupInfo = resign(func(g *wire.GroupInfo) { g.Extensions = with(g.Extensions, wire.ExtensionTypeExternalPub, bare) })
		}, wire.ErrMalformed},
		{"external_pub of low order", func(o *ExternalJoinOptions) {
			o.GroupInfo = resign(func(g *wire.GroupInfo) {
				g.Extensions = with(g.Extensions, wire.ExtensionTypeExternalPub, wire.Marshal(wire.ExternalPub{ExternalPub: make([]byte, 32)}))
			})
		}, suite.ErrBadKey},
		{"no tree", func(o *ExternalJoinOptions) {
			o.GroupInfo = resign(func(g *wire.GroupInfo) { g.Extensions = without(g.Extensions, wire.ExtensionTypeRatchetTree) })
		}, ErrTreeMissing},
		{"signature", func(o *ExternalJoinOptions) {
			g := *m.GroupInfo
			g.Signature = nil
			o.GroupInfo = wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatGroupInfo, GroupInfo: &g})
		}, tree.ErrGroupInfoSignature},
		{"another tree", func(o *ExternalJoinOptions) {
			o.RatchetTree = wire.Marshal(commit(t, list[0].group, CommitOptions{}).Next.Tree())
		}, tree.ErrTreeHash},
		{"removes another", func(o *ExternalJoinOptions) { o.Resync = &two }, tree.ErrSuccessor},
		{"removes nobody", func(o *ExternalJoinOptions) { o.Resync = &ten }, tree.ErrBlankLeaf},
		{"unknown psk", func(o *ExternalJoinOptions) { o.PSKs = []wire.PreSharedKeyID{ExternalPSK(nil)} }, ErrNoPSK},
		{"not a self remove", func(o *ExternalJoinOptions) { o.SelfRemoves = [][]byte{plain} }, ErrInvalid},
		{"unknown group extension", func(o *ExternalJoinOptions) {
			o.GroupInfo = resign(func(g *wire.GroupInfo) { g.GroupContext.Extensions = wire.Extensions{{ExtensionType: 0xf0f0}} })
		}, tree.ErrUnsupportedExtension},
	} {
		o := eve.external(info)
		c.change(&o)
		if p, err := JoinExternal(o); p != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

// External commits that break a rule are refused by members, whose state stays
// as it is.
func TestExternalCommitsRefused(t *testing.T) {
	list := people(t, testSuite(t), 4)
	unlock(list, Policy{})
	b := list[1].group
	eve := newPerson(t, list[0].suite, "eve")
	good, err := JoinExternal(eve.external(list[0].info(t)))
	must(t, err)
	remove, err := list[2].group.ProposeRemove(3, MessageOptions{Now: start})
	must(t, err)
	handle(t, b, remove)
	ref := list[2].group.proposals[0].ref
	spoil := func(change func(*wire.PublicMessage)) []byte {
		m, err := wire.Unmarshal[wire.MLSMessage](bytes.Clone(good.Commit))
		must(t, err)
		change(m.PublicMessage)
		ac := m.PublicMessage.Authenticated()
		ac.Auth.Signature, err = eve.signer.Sign("FramedContentTBS", b.epoch.tbs(&ac))
		must(t, err)
		m.PublicMessage.Auth = ac.Auth
		return wire.Marshal(m)
	}
	add := func(p wire.ProposalOrRef) func(*wire.PublicMessage) {
		return func(m *wire.PublicMessage) {
			m.Content.Commit.Proposals = append(m.Content.Commit.Proposals, p)
		}
	}
	kp := newPerson(t, eve.suite, "mallory").keyPackage(t).Public
	gce := wire.Proposal{ProposalType: wire.ProposalTypeGroupContextExtensions, GroupContextExtensions: &wire.GroupContextExtensions{}}
	self := wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}
	psk := injection(eve.suite, ExternalPSK([]byte("x")))
	short := psk
	short.PreSharedKey = &wire.PreSharedKey{PSK: ExternalPSK([]byte("x"))}
	branch := injection(eve.suite, wire.PreSharedKeyID{PSKType: wire.PSKTypeResumption, Usage: wire.ResumptionPSKUsageBranch})
	for _, c := range []struct {
		what   string
		change func(*wire.PublicMessage)
		want   error
	}{
		{"no external init", func(m *wire.PublicMessage) { m.Content.Commit.Proposals = nil }, tree.ErrOneExternalInit},
		{"two external inits", func(m *wire.PublicMessage) { add(m.Content.Commit.Proposals[0])(m) }, tree.ErrOneExternalInit},
		{"adds somebody", add(wire.ByValue(addition(kp))), tree.ErrExternalProposal},
		{"changes extensions", add(wire.ByValue(gce)), tree.ErrExternalProposal},
		{"removes two", func(m *wire.PublicMessage) { add(wire.ByValue(removal(2)))(m); add(wire.ByValue(removal(3)))(m) }, tree.ErrExternalRemoves},
		{"a leaf signed for another place", add(wire.ByValue(removal(2))), tree.ErrLeafSignature},
		{"removes nobody", add(wire.ByValue(removal(9))), tree.ErrBlankLeaf},
		{"covers a remove by reference", add(wire.ByReference(ref)), tree.ErrExternalReference},
		{"self remove by value", add(wire.ByValue(self)), nil},
		{"psk that is not known", add(wire.ByValue(psk)), ErrNoPSK},
		{"psk with a short nonce", add(wire.ByValue(short)), tree.ErrPSKNonce},
		{"psk of a branch", add(wire.ByValue(branch)), tree.ErrPSKUsage},
		{"no path", func(m *wire.PublicMessage) { m.Content.Commit.Path = nil }, tree.ErrPathRequired},
		{"kem output", func(m *wire.PublicMessage) {
			m.Content.Commit.Proposals[0].Proposal.ExternalInit.KEMOutput = make([]byte, 32)
		}, suite.ErrDecrypt},
		{"another kem output", func(m *wire.PublicMessage) {
			key, _ := eve.suite.GenerateKeyPair()
			m.Content.Commit.Proposals[0].Proposal.ExternalInit.KEMOutput = key.PublicKey()
		}, ErrInvalid},
		{"as a proposal", func(m *wire.PublicMessage) {
			p := removal(2)
			m.Content.ContentType, m.Content.Proposal, m.Content.Commit = wire.ContentTypeProposal, &p, nil
		}, tree.ErrSenderContent},
		{"a leaf of a key package", func(m *wire.PublicMessage) { m.Content.Commit.Path.LeafNode = kp.LeafNode }, nil},
		{"short tag", func(m *wire.PublicMessage) { m.Auth.ConfirmationTag = m.Auth.ConfirmationTag[:31] }, ErrInvalid},
		{"another epoch", func(m *wire.PublicMessage) { m.Content.Epoch++ }, ErrFutureEpoch},
	} {
		refuses(t, c.what, b, spoil(c.change), c.want)
	}
	unsigned, err := wire.Unmarshal[wire.MLSMessage](bytes.Clone(good.Commit))
	must(t, err)
	unsigned.PublicMessage.Auth.Signature[3] ^= 1
	refuses(t, "signature of another", b, wire.Marshal(unsigned), suite.ErrSignature)
	refuses(t, "not asked", list[3].group.closed(), good.Commit, tree.ErrUnsupportedSender)
	list[3].group.policy.Accept = func(s tree.Sent) error {
		if s.Outside != nil && s.Proposal.ExternalInit != nil {
			return errors.New("nobody joins by itself")
		}
		return nil
	}
	refuses(t, "refused by the application", list[3].group, good.Commit, tree.ErrProposalRefused)
	// Somebody with good keys and another name throws a member out.
	two := wire.LeafIndex(2)
	attack := eve.external(list[0].info(t))
	attack.Resync, attack.Credentials = &two, gullible{}
	bad, err := JoinExternal(attack)
	must(t, err)
	refuses(t, "removes another", b, bad.Commit, tree.ErrSuccessor)
	if r := handle(t, b, good.Commit); !reflect.DeepEqual(r.Next.EpochAuthenticator(), good.Next.EpochAuthenticator()) {
		t.Error("the good commit did not work afterwards")
	}
}

// gullible accepts every successor.
type gullible struct{ anyone }

func (gullible) Succeeds(_, _ wire.Credential) error { return nil }

// closed is g as it is when the application says nothing.
func (g *Group) closed() *Group {
	c := *g
	c.policy = Policy{}
	return &c
}

// without is a list without the extension of a type, wherever it stands.
func without(list wire.Extensions, kind wire.ExtensionType) wire.Extensions {
	return slices.DeleteFunc(slices.Clone(list), func(e wire.Extension) bool { return e.ExtensionType == kind })
}

// with is a list with other data in the extension of a type.
func with(list wire.Extensions, kind wire.ExtensionType, data []byte) wire.Extensions {
	return append(without(list, kind), wire.Extension{ExtensionType: kind, ExtensionData: data})
}
