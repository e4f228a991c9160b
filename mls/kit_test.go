package mls

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// start is when all tests happen.
var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// anyone accepts every credential, and successors of the same name.
type anyone struct{}

func (anyone) Validate(wire.Credential, []byte) error { return nil }

func (anyone) Succeeds(old, new wire.Credential) error {
	if !bytes.Equal(old.Identity, new.Identity) {
		return fmt.Errorf("%q becomes %q", old.Identity, new.Identity)
	}
	return nil
}

// everything accepts all proposals, whoever sends them.
func everything(tree.Sent) error { return nil }

// A purse holds pre-shared keys: external ones by their id, resumption PSKs by
// group and epoch.
type purse map[string][]byte

func (p purse) External(id []byte) ([]byte, bool) {
	psk, ok := p[string(id)]
	return psk, ok
}

func (p purse) Resumption(groupID []byte, epoch uint64) ([]byte, bool) {
	psk, ok := p[fmt.Sprintf("%x/%d", groupID, epoch)]
	return psk, ok
}

// A person is a client with a basic credential.
type person struct {
	name   string
	suite  *suite.Suite
	signer *suite.SignaturePrivateKey
	group  *Group
	shelf  shelf
	policy Policy
	// Zero means those of everybody.
	capabilities wire.Capabilities
	credential   *wire.Credential
	extensions   wire.Extensions // of the group that it creates
}

func newPerson(t testing.TB, s *suite.Suite, name string) *person {
	t.Helper()
	signer, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	return &person{name: name, suite: s, signer: signer, shelf: make(shelf)}
}

func (p *person) identity() Identity {
	if p.credential != nil {
		return Identity{Credential: *p.credential, Signer: p.signer}
	}
	return Identity{Credential: wire.BasicCredential([]byte(p.name)), Signer: p.signer}
}

func (p *person) keyPackage(t testing.TB) *KeyPackage {
	t.Helper()
	kp, err := NewKeyPackage(p.suite, p.identity(), KeyPackageOptions{Now: start, Capabilities: p.capabilities})
	if err != nil {
		t.Fatal(err)
	}
	return kp
}

// create makes p's group.
func (p *person) create(t testing.TB) {
	t.Helper()
	g, err := Create(CreateOptions{
		Suite: p.suite, Identity: p.identity(), Leaf: KeyPackageOptions{Now: start, Capabilities: p.capabilities}, Credentials: anyone{},
		Policy: p.policy, Extensions: p.extensions,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.group = g
}

// join makes p a member.
func (p *person) join(t testing.TB, kp *KeyPackage, welcome []byte, tr *tree.Tree) {
	t.Helper()
	g, err := Join(JoinOptions{
		Welcome: welcome, KeyPackage: kp, Signer: p.signer, RatchetTree: wire.Marshal(tr), Credentials: anyone{},
		Policy: p.policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.group = g
}

// unlock gives everybody a policy that accepts whoever comes, and pre-shared keys.
func unlock(list []*person, policy Policy) {
	if policy.Accept == nil {
		policy.Accept = everything
	}
	for _, p := range list {
		p.policy, p.group.policy = policy, policy
	}
}

func commit(t testing.TB, g *Group, o CommitOptions) *Pending {
	t.Helper()
	o.Now = start
	p, err := g.Commit(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func handle(t testing.TB, g *Group, message []byte) *Result {
	t.Helper()
	r, err := g.Handle(message, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seal(t testing.TB, g *Group, text string) []byte {
	t.Helper()
	m, err := g.Seal(nil, []byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// people makes a group of n.
func people(t testing.TB, s *suite.Suite, n int) []*person {
	t.Helper()
	list := make([]*person, n)
	packages := make([]*KeyPackage, n)
	var adds []*wire.KeyPackage
	for i := range list {
		list[i] = newPerson(t, s, fmt.Sprintf("person %d", i))
		if i > 0 {
			packages[i] = list[i].keyPackage(t)
			adds = append(adds, &packages[i].Public)
		}
	}
	list[0].create(t)
	if n > 1 {
		p := commit(t, list[0].group, CommitOptions{Adds: adds})
		list[0].follow(p)
		for i := 1; i < n; i++ {
			list[i].join(t, packages[i], p.Welcome, p.Next.Tree())
		}
	}
	return list
}

// follow stores what p's Group has changed, and takes its commit as accepted.
func (p *person) follow(c *Pending) {
	p.shelf.put(p.group.TakeChanges())
	p.group = c.Next
}

// everybody applies a commit of list[by].
func everybody(t testing.TB, list []*person, by int, o CommitOptions) *Pending {
	t.Helper()
	p := commit(t, list[by].group, o)
	for i, q := range list {
		if i == by {
			q.follow(p)
			continue
		}
		r := handle(t, q.group, p.Commit)
		if r.Next == nil {
			t.Fatalf("%s was removed", q.name)
		}
		q.group = r.Next
	}
	agree(t, list)
	return p
}

// agree checks that all have the same epoch.
func agree(t testing.TB, list []*person) {
	t.Helper()
	for _, p := range list[1:] {
		a, b := list[0].group, p.group
		if !bytes.Equal(a.EpochAuthenticator(), b.EpochAuthenticator()) {
			t.Fatalf("%s and %s disagree in epochs %d and %d", list[0].name, p.name, a.Epoch(), b.Epoch())
		}
		if !bytes.Equal(wire.Marshal(a.GroupContext()), wire.Marshal(b.GroupContext())) || !bytes.Equal(a.interim, b.interim) {
			t.Fatalf("%s and %s have other contexts", list[0].name, p.name)
		}
	}
}
