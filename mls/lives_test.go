package mls

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A world is a group with all that can happen to it.
type world struct {
	t        *testing.T
	r        *rand.Rand
	suite    *suite.Suite
	members  []*person
	observer *tree.Observer
	names    int
	late     []letter // messages not yet delivered to everybody
	leaving  [][]byte // SelfRemoves of this epoch
}

// A letter is a message on its way.
type letter struct {
	text    string
	message []byte
	from    *person
	to      []*person
}

// Members come, by Welcome and by themselves, and go, update, mix in PSKs,
// speak, lose their state, are restarted and read out of order; after each commit
// all agree, and so does an Observer who has no secrets.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(6) {
		id := suite.X25519AES128SHA256Ed25519
		if seed == 5 {
			id = suite.P256AES128SHA256P256
		}
		s, err := suite.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, r: rand.New(rand.NewPCG(seed, 7)), suite: s}
			w.begin()
			for range 60 {
				w.step()
			}
			w.deliver(len(w.late))
		})
	}
}

func (w *world) begin() {
	first := w.person("first")
	first.create(w.t)
	w.members = []*person{first}
	info, err := first.group.GroupInfo(true)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := wire.Unmarshal[wire.MLSMessage](info)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.observer, err = tree.NewObserver(m.GroupInfo, first.group.Tree(), w.config()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) config() *tree.Config {
	return &tree.Config{Credentials: anyone{}, Now: start, Accept: everything}
}

// person is somebody who knows the world's PSK and accepts whoever comes.
func (w *world) person(name string) *person {
	p := newPerson(w.t, w.suite, name)
	p.policy = Policy{PSKs: purse{"of the world": []byte("secret")}, Accept: everything}
	return p
}

// somebody is a new person.
func (w *world) somebody() *person {
	w.names++
	return w.person(fmt.Sprintf("person %d", w.names))
}

func (w *world) anybody() *person { return w.members[w.r.IntN(len(w.members))] }

func (w *world) options() MessageOptions {
	return MessageOptions{Now: start, AuthenticatedData: []byte("stamp")}
}

func (w *world) step() {
	switch k := w.r.IntN(12); {
	case k < 3:
		w.speak()
	case k == 3:
		w.anybody().reload(w.t)
	case k == 4:
		w.deliver(w.r.IntN(len(w.late) + 1))
	case k < 7:
		w.propose()
	case k == 7:
		w.enter()
	default:
		w.commit()
	}
}

func (w *world) speak() {
	p := w.anybody()
	text := fmt.Sprintf("%s says %d", p.name, w.r.Uint64())
	m, err := p.group.Seal([]byte("stamp"), []byte(text), w.r.IntN(50))
	if len(p.group.proposals) > 0 {
		if err == nil {
			w.t.Fatal("sealed while proposals wait")
		}
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	l := letter{text: text, message: m, from: p}
	for _, q := range w.members {
		if q != p {
			l.to = append(l.to, q)
		}
	}
	w.late = append(w.late, l)
}

// deliver hands out n letters, in any order.
func (w *world) deliver(n int) {
	for range n {
		i := w.r.IntN(len(w.late))
		l := w.late[i]
		w.late = append(w.late[:i], w.late[i+1:]...)
		for _, q := range l.to {
			w.read(q, &l)
		}
	}
}

func (w *world) read(q *person, l *letter) {
	if q.group == nil {
		return // has left
	}
	m, err := wire.ParsePrivateMessage(l.message)
	if err != nil {
		w.t.Fatal(err)
	}
	old := q.group.Epoch() - m.Epoch
	got, err := q.group.Open(l.message)
	if old > uint64(len(q.group.past)) {
		if err == nil {
			w.t.Fatal("opened a message whose epoch is forgotten")
		}
		return
	}
	if err != nil {
		w.t.Fatalf("%s opens what %s said %d epochs ago: %v", q.name, l.from.name, old, err)
	}
	leaf, err := wire.Unmarshal[wire.LeafNode](got.LeafNode)
	if err != nil || string(got.Plaintext) != l.text || string(leaf.Credential.Identity) != l.from.name {
		w.t.Fatalf("%s read %q of %q, %v", q.name, got.Plaintext, leaf.Credential.Identity, err)
	}
	if _, err := q.group.Open(l.message); err == nil {
		w.t.Fatal("opened twice")
	}
}

// propose sends a proposal to everybody.
func (w *world) propose() {
	p := w.anybody()
	var m []byte
	var err error
	waiting := len(p.group.proposals)
	switch w.r.IntN(5) {
	case 0:
		m, err = p.group.ProposeUpdate(LeafOptions{}, w.options())
	case 1:
		m, err = p.group.ProposeRemove(w.anybody().group.OwnLeaf(), w.options())
	case 2:
		m, err = p.group.ProposeExtensions(wire.Extensions{}, w.options())
	case 3:
		m, err = p.group.ProposePSK(ExternalPSK([]byte("of the world")), w.options())
	case 4:
		if m, err = p.group.ProposeSelfRemove(MessageOptions{Now: start}); errors.Is(err, tree.ErrSelfRemove) {
			return // a second time
		}
		w.leaving = append(w.leaving, m)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, q := range w.members {
		handle(w.t, q.group, m) // to its sender too
	}
	if len(p.group.proposals) > waiting { // else it said the same again
		w.observe(m)
	}
}

// observe lets the observer follow a handshake.
func (w *world) observe(message []byte) {
	w.t.Helper()
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil {
		w.t.Fatal(err)
	}
	next, _, err := w.observer.Handle(m.PublicMessage, w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	w.observer = next
}

// commit lets somebody commit what waits, and perhaps add and remove.
func (w *world) commit() {
	by := w.anybody()
	o := CommitOptions{MessageOptions: w.options(), ForcePath: w.r.IntN(2) == 0}
	var packages []*KeyPackage
	var newcomers []*person
	for range w.r.IntN(4) {
		if len(w.members)+len(newcomers) < 12 {
			p := w.somebody()
			kp := p.keyPackage(w.t)
			newcomers, packages = append(newcomers, p), append(packages, kp)
			o.Adds = append(o.Adds, &kp.Public)
		}
	}
	if w.r.IntN(3) == 0 {
		o.PSKs = append(o.PSKs, ExternalPSK([]byte("of the world")))
	}
	if len(newcomers) == 0 && w.r.IntN(3) == 0 {
		o.PSKs = append(o.PSKs, ResumptionPSK(by.group.GroupID(), by.group.Epoch()))
	}
	if victim := w.anybody(); victim != by && w.r.IntN(3) == 0 {
		o.Removes = []wire.LeafIndex{victim.group.OwnLeaf()}
	}
	p := commit(w.t, by.group, o)
	if w.r.IntN(4) == 0 { // somebody else is faster
		lost := p.Next
		lost.TakeChanges()
		by = w.anybody()
		o.Removes = nil
		p = commit(w.t, by.group, o)
	}
	w.observe(p.Commit)
	w.arrive(by, p, newcomers, packages)
}

// arrive brings everybody into the next epoch.
func (w *world) arrive(by *person, p *Pending, newcomers []*person, packages []*KeyPackage) {
	var stay []*person
	for _, q := range w.members {
		if q == by {
			q.follow(p)
		} else if r := handle(w.t, q.group, p.Commit); r.Removed {
			q.group = nil
			continue
		} else {
			q.group = r.Next
		}
		stay = append(stay, q)
	}
	for i, q := range newcomers {
		q.join(w.t, packages[i], p.Welcome, p.Next.Tree())
		stay = append(stay, q)
	}
	w.members = stay
	w.settle(by)
}

// enter lets somebody join by itself, or come back who has lost its state.
func (w *world) enter() {
	door, p := w.anybody(), w.anybody()
	again := w.r.IntN(2) == 0
	if !again {
		if len(w.members) >= 12 {
			return
		}
		p = w.somebody()
	}
	o := p.external(door.info(w.t))
	o.SelfRemoves = w.leaving
	if again {
		for _, q := range door.group.PendingProposals() {
			if q.Proposal.ProposalType == wire.ProposalTypeSelfRemove && q.Sender == p.group.OwnLeaf() {
				return // leaves anyway
			}
		}
		leaf := p.group.OwnLeaf()
		o.Resync = &leaf
	}
	if w.r.IntN(2) == 0 {
		o.PSKs = []wire.PreSharedKeyID{ExternalPSK([]byte("of the world"))}
	}
	c, err := JoinExternal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.observe(c.Commit)
	var stay []*person
	for _, q := range w.members {
		if r := handle(w.t, q.group, c.Commit); r.Removed {
			q.group = nil
		} else {
			q.group = r.Next
			stay = append(stay, q)
		}
	}
	p.group, p.shelf = c.Next, make(shelf)
	w.members = append(stay, p)
	w.settle(p)
}

// settle checks that all, and the observer, agree with by.
func (w *world) settle(by *person) {
	w.leaving = nil
	agree(w.t, w.members)
	context := wire.Marshal(w.observer.Context())
	if !bytes.Equal(context, wire.Marshal(by.group.GroupContext())) || !bytes.Equal(w.observer.InterimTranscriptHash(), by.group.interim) {
		w.t.Fatal("the observer disagrees")
	}
	if w.observer.Tree().Size() != len(w.members) {
		w.t.Fatalf("%d members in the tree, %d in the world", w.observer.Tree().Size(), len(w.members))
	}
}
