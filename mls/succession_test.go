package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// successors are the key packages, for suite s, of everybody in list, who get
// new signature keys if theirs are of another kind.
func successors(t testing.TB, s *suite.Suite, list []*person) (next []*person, packages []*KeyPackage, public []*wire.KeyPackage) {
	t.Helper()
	for _, p := range list {
		q := newPerson(t, s, p.name)
		next = append(next, q)
		packages = append(packages, q.keyPackage(t))
		public = append(public, &packages[len(packages)-1].Public)
	}
	return next, packages, public
}

// joins lets p join a group that follows old.
func (p *person) joins(kp *KeyPackage, c *Pending, old *Group) error {
	g, err := Join(JoinOptions{
		Welcome: c.Welcome, KeyPackage: kp, Signer: p.signer, RatchetTree: wire.Marshal(c.Next.Tree()),
		Credentials: anyone{}, Predecessor: old,
	})
	p.group = g
	return err
}

// A group is reinitialized with other parameters (RFC 9420, Section 11.2), here
// with another suite; the old one is over.
func TestReinitialize(t *testing.T) {
	old := people(t, testSuite(t), 4)
	r := wire.ReInit{GroupID: []byte("the next"), Version: wire.MLS10, CipherSuite: wire.CipherSuite(suite.P384AES256SHA384P384)}
	m, err := old[1].group.ProposeReInit(r, MessageOptions{Now: start})
	must(t, err)
	for _, p := range old {
		handle(t, p.group, m)
	}
	if _, err := old[0].group.Reinitialize(SuccessorOptions{}); !errors.Is(err, ErrSuccession) {
		t.Errorf("before the commit: %v", err)
	}
	late := commit(t, old[0].group, CommitOptions{IgnorePending: true}).Commit
	everybody(t, old, 2, CommitOptions{})
	for _, p := range old {
		p.reload(t)
		suspended(t, p.group, late)
	}
	s, err := suite.Lookup(suite.P384AES256SHA384P384)
	must(t, err)
	next, packages, public := successors(t, s, old)
	options := SuccessorOptions{Members: public[1:], Identity: next[0].identity(), Leaf: KeyPackageOptions{Now: start}}
	short := options
	short.Members = public[2:]
	if _, err := old[0].group.Reinitialize(short); !errors.Is(err, ErrSuccession) {
		t.Errorf("somebody is left out: %v", err)
	}
	c, err := old[0].group.Reinitialize(options)
	must(t, err)
	if context := c.Next.GroupContext(); context.Epoch != 1 || string(context.GroupID) != "the next" || c.Commit != nil {
		t.Fatalf("the new group: %+v", context)
	}
	next[0].group = c.Next
	for i := 1; i < 4; i++ {
		if err := next[i].joins(packages[i], c, nil); !errors.Is(err, ErrNoPSK) {
			t.Errorf("without its predecessor: %v", err)
		}
		must(t, next[i].joins(packages[i], c, old[i].group))
	}
	agree(t, next)
	for _, p := range next {
		p.reload(t)
	}
	talk(t, next)
	everybody(t, next, 3, CommitOptions{})
}

// suspended checks that nothing can be done with a group that has ended.
func suspended(t *testing.T, g *Group, message []byte) {
	t.Helper()
	if g.ReInit() == nil {
		t.Fatal("the group goes on")
	}
	_, sealed := g.Seal(nil, nil, 0)
	_, committed := g.Commit(CommitOptions{})
	_, proposed := g.ProposeRemove(0, MessageOptions{})
	_, handled := g.Handle(message, start)
	for _, err := range []error{sealed, committed, proposed, handled} {
		if !errors.Is(err, ErrSuspended) {
			t.Errorf("after a reinit: %v", err)
		}
	}
}

// A group is formed of some members of another (RFC 9420, Section 11.3), which
// goes on.
func TestBranch(t *testing.T) {
	old := people(t, testSuite(t), 5)
	everybody(t, old, 1, CommitOptions{})
	next, packages, public := successors(t, old[0].suite, old[:3])
	options := SuccessorOptions{Members: public[1:], Identity: next[0].identity(), Leaf: KeyPackageOptions{Now: start}}
	c, err := old[0].group.Branch(options)
	must(t, err)
	next[0].group = c.Next
	everybody(t, old, 3, CommitOptions{}) // the predecessor may be an epoch further
	for i := 1; i < 3; i++ {
		must(t, next[i].joins(packages[i], c, old[i].group))
	}
	agree(t, next)
	talk(t, next)
	talk(t, old)
	eve := newPerson(t, old[0].suite, "eve").keyPackage(t)
	options.Members = append(slices.Clone(options.Members), &eve.Public)
	if _, err := old[0].group.Branch(options); !errors.Is(err, ErrSuccession) {
		t.Errorf("with somebody who is no member: %v", err)
	}
}

// A Welcome that says it follows a group must do so (RFC 9420,
// Section 12.4.3.1).
func TestSuccessionRefused(t *testing.T) {
	s := testSuite(t)
	old := people(t, s, 3)
	before := *old[1].group
	r := wire.ReInit{GroupID: []byte("next"), Version: wire.MLS10, CipherSuite: wire.CipherSuite(s.ID())}
	everybody(t, old, 0, CommitOptions{ReInit: &r})
	next, packages, public := successors(t, s, old)
	options := SuccessorOptions{Members: public[1:], Identity: next[0].identity(), Leaf: KeyPackageOptions{Now: start}}
	found := func(change func(g *Group, o *SuccessorOptions)) *Pending {
		t.Helper()
		g, o := *old[0].group, options
		g.credentials = gullible{}
		change(&g, &o)
		c, err := g.Reinitialize(o)
		must(t, err)
		return c
	}
	reinit := func(change func(*wire.ReInit)) func(*Group, *SuccessorOptions) {
		return func(g *Group, _ *SuccessorOptions) {
			r := *g.reinit
			g.reinit = &r
			change(&r)
		}
	}
	for _, c := range []struct {
		what   string
		change func(*Group, *SuccessorOptions)
	}{
		{"another group id", reinit(func(r *wire.ReInit) { r.GroupID = []byte("other") })},
		{"other extensions", reinit(func(r *wire.ReInit) {
			r.Extensions = wire.Extensions{{ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: []byte{0}}}
		})},
		{"a member is missing", func(_ *Group, o *SuccessorOptions) { o.Members = o.Members[:1] }},
	} {
		p := found(c.change)
		if err := next[1].joins(packages[1], p, old[1].group); !errors.Is(err, ErrSuccession) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	good := found(func(*Group, *SuccessorOptions) {})
	if err := next[1].joins(packages[1], good, &before); !errors.Is(err, ErrNoPSK) {
		t.Errorf("the group has not ended: %v", err)
	}
	stranger := people(t, s, 2)[1].group
	if err := next[1].joins(packages[1], good, stranger); !errors.Is(err, ErrNoPSK) {
		t.Errorf("another predecessor: %v", err)
	}
	must(t, next[1].joins(packages[1], good, old[1].group))
	if err := plain(t, old[0].suite, old[1].group); !errors.Is(err, ErrSuccession) {
		t.Errorf("an ordinary Welcome: %v", err)
	}
	purse := purse{fmt.Sprintf("%x/%d", old[1].group.GroupID(), old[1].group.Epoch()): old[1].group.epoch.resumption}
	_, err := Join(JoinOptions{
		Welcome: good.Welcome, KeyPackage: packages[1], Signer: next[1].signer, RatchetTree: wire.Marshal(good.Next.Tree()),
		Credentials: anyone{}, Policy: Policy{PSKs: purse},
	})
	if !errors.Is(err, ErrSuccession) {
		t.Errorf("without its predecessor: %v", err)
	}
	later := *good.Next
	later.state.Context.Epoch = 2
	psk := good.Change.PSKs[0]
	if err := old[1].group.precedes(&psk, &later.state); !errors.Is(err, ErrSuccession) {
		t.Errorf("epoch 2: %v", err)
	}
	psk.Usage = wire.ResumptionPSKUsageBranch
	later.state.Context.Epoch, later.state.Context.CipherSuite = 1, 3
	if err := old[1].group.precedes(&psk, &later.state); !errors.Is(err, ErrSuccession) {
		t.Errorf("a branch of another suite: %v", err)
	}
	if err := verifyPSKs(s, []wire.PreSharedKeyID{good.Change.PSKs[0], other(psk)}); !errors.Is(err, tree.ErrPSKUsage) {
		t.Errorf("two PSKs that lead from a group: %v", err)
	}
}

// plain joins a group that follows none, as if it followed old.
func plain(t *testing.T, s *suite.Suite, old *Group) error {
	eve := newPerson(t, s, "eve")
	kp := eve.keyPackage(t)
	c := commit(t, people(t, s, 1)[0].group, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	return eve.joins(kp, c, old)
}

// other is a PSK with another nonce.
func other(id wire.PreSharedKeyID) wire.PreSharedKeyID {
	id.PSKNonce = bytes.Repeat([]byte{7}, len(id.PSKNonce))
	return id
}
