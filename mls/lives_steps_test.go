package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"parley/mls/tree"
	"parley/mls/wire"
)

// speak lets somebody seal a message. What was sealed is durable before it
// leaves; if it is not, it never leaves.
func (w *world) speak() {
	w.t.Helper()
	p := w.anybody()
	text := fmt.Sprintf("%s says %d", p.name, w.r.Uint64())
	m, err := p.group.Seal([]byte("stamp"), []byte(text), w.r.IntN(50))
	if len(p.group.proposals) > 0 {
		if !errors.Is(err, ErrCommitRequired) {
			w.t.Fatalf("sealed while proposals wait: %v", err)
		}
		return
	}
	must(w.t, err)
	if w.one(5) { // the power fails before the write
		unread := p.unread
		p.group, p.unread = w.load(p), nil
		for _, m := range unread {
			w.again(p, m)
		}
		return
	}
	w.flush(p)
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
	w.t.Helper()
	for range n {
		i := w.r.IntN(len(w.late))
		l := w.late[i]
		w.late = slices.Delete(w.late, i, i+1)
		for _, q := range l.to {
			w.read(q, &l)
		}
	}
}

// read lets q open a letter, once.
func (w *world) read(q *dweller, l *letter) {
	w.t.Helper()
	if q.away {
		w.wake(q)
	}
	if q.group == nil {
		return // has left
	}
	m, err := wire.ParsePrivateMessage(l.message)
	must(w.t, err)
	if q.group.Epoch() < m.Epoch {
		w.t.Fatalf("%s is behind", q.name)
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
	q.unread = append(q.unread, l.message)
	leaf, err := wire.Unmarshal[wire.LeafNode](got.LeafNode)
	if err != nil || string(got.Plaintext) != l.text || string(leaf.Credential.Identity) != l.from.name {
		w.t.Fatalf("%s read %q of %q, %v", q.name, got.Plaintext, leaf.Credential.Identity, err)
	}
	if _, err := q.group.Open(l.message); !errors.Is(err, ErrReplay) {
		w.t.Fatalf("opened twice: %v", err)
	}
	if w.one(2) {
		w.flush(q)
	}
	if q == l.to[0] {
		use := useOfKey{got.Epoch, got.Sender, got.Generation}
		if w.used[use] {
			w.t.Fatalf("generation %d of leaf %d was used twice in epoch %d", got.Generation, got.Sender, got.Epoch)
		}
		w.used[use] = true
	}
}

// propose sends a proposal to everybody.
func (w *world) propose() {
	w.t.Helper()
	p := w.anybody()
	var m []byte
	var err error
	switch w.r.IntN(5) {
	case 0:
		m, err = p.group.ProposeUpdate(LeafOptions{}, w.options())
	case 1:
		m, err = p.group.ProposeRemove(w.anybody().group.OwnLeaf(), w.options())
	case 2:
		m, err = p.group.ProposeExtensions(w.extensions(), w.options())
	case 3:
		m, err = p.group.ProposePSK(ExternalPSK([]byte("of the world")), w.options())
	case 4:
		if m, err = p.group.ProposeSelfRemove(MessageOptions{Now: start}); errors.Is(err, tree.ErrSelfRemove) {
			return // a second time
		}
		w.leaving = append(w.leaving, m)
	}
	must(w.t, err)
	w.flush(p)
	w.send(p, m)
}

// extensions are those that a group may have next.
func (w *world) extensions() wire.Extensions {
	if w.one(2) {
		return wire.Extensions{}
	}
	return wire.Extensions{requirements(wire.RequiredCapabilities{CredentialTypes: []wire.CredentialType{wire.CredentialTypeBasic}})}
}

// commit lets somebody commit what waits, and perhaps add and remove.
func (w *world) commit() {
	w.t.Helper()
	by := w.anybody()
	o := CommitOptions{MessageOptions: w.options(), ForcePath: w.one(2)}
	var packages []*KeyPackage
	var newcomers []*dweller
	for range w.r.IntN(3) {
		if len(w.members)+len(newcomers) < w.life.limit {
			p := w.somebody()
			kp := p.keyPackage(w.t)
			newcomers, packages = append(newcomers, p), append(packages, kp)
			o.Adds = append(o.Adds, &kp.Public)
		}
	}
	if w.one(3) {
		o.PSKs = append(o.PSKs, ExternalPSK([]byte("of the world")))
	}
	if len(newcomers) == 0 && w.one(3) {
		o.PSKs = append(o.PSKs, ResumptionPSK(by.group.GroupID(), by.group.Epoch()))
	}
	if victim := w.members[w.r.IntN(len(w.members))]; victim != by && victim.stands(by.group.Tree()) && w.one(4) {
		o.Removes = []wire.LeafIndex{victim.leaf()}
	}
	if w.one(6) {
		list := w.extensions()
		o.Extensions = &list
	}
	p := commit(w.t, by.group, o)
	if w.one(4) { // somebody else is faster
		w.flush(by)
		p.Next.TakeChanges()
		by = w.anybody()
		o.Removes = nil
		p = commit(w.t, by.group, o)
	}
	w.accept(by, p)
	for i, q := range newcomers {
		q.join(w.t, packages[i], p.Welcome, p.Next.Tree())
		w.flush(q)
		w.members = append(w.members, q)
	}
	w.leaving = nil
}

// accept lets a commit of by be the one. Its next state is on the disk, apart,
// before it leaves, and in its place when it is accepted, whenever by is
// restarted meanwhile.
func (w *world) accept(by *dweller, p *Pending) {
	w.t.Helper()
	w.flush(by)
	apart := p.Next.TakeChanges()
	w.send(by, p.Commit)
	switch w.r.IntN(4) {
	case 0: // it is restarted before it knows
		by.group = w.load(by)
		if by.group.Epoch()+1 != p.Next.Epoch() {
			w.t.Fatal("restarted in another epoch")
		}
		fallthrough
	case 1: // and between writing and going on
		by.shelf.put(by.group.TakeChanges())
		by.shelf.put(apart)
		by.group = w.load(by)
	default:
		by.shelf.put(by.group.TakeChanges())
		by.shelf.put(apart)
		by.group = p.Next
	}
	by.unread = nil
	if !bytes.Equal(by.group.EpochAuthenticator(), p.Next.EpochAuthenticator()) {
		w.t.Fatal("the committer is in another epoch than its commit")
	}
}

// leaf is where q is, also while it is away.
func (q *dweller) leaf() wire.LeafIndex { return q.group.OwnLeaf() }

// stands reports whether q is in a tree: while away it may have been removed.
func (q *dweller) stands(t *tree.Tree) bool {
	leaf, ok := t.Leaf(q.leaf())
	return ok && string(leaf.Credential.Identity) == q.name
}

// leave lets somebody miss what is sent from now on.
func (w *world) leave() {
	if len(w.present()) > 1 {
		w.anybody().away = true
		return
	}
	w.wakeOne()
}

// wake gives q what it has missed: first the last of it, which is too early, then
// all in order, some of it twice.
func (w *world) wake(q *dweller) {
	w.t.Helper()
	q.away = false
	inbox := q.inbox
	q.inbox = nil
	if n := len(inbox); n > 0 {
		m, err := wire.Unmarshal[wire.MLSMessage](inbox[n-1])
		must(w.t, err)
		before := snapshot(q.group)
		if epochOf(&m) > q.group.Epoch() {
			_, err := q.group.Handle(inbox[n-1], start)
			w.refused(q, before, err, ErrFutureEpoch)
		}
	}
	for _, message := range inbox {
		m, err := wire.Unmarshal[wire.MLSMessage](message)
		must(w.t, err)
		if !w.hear(q, message) {
			q.group = nil
			w.members = slices.DeleteFunc(w.members, func(p *dweller) bool { return p == q })
			return
		}
		if epochOf(&m) < q.group.Epoch() && w.one(2) {
			before := snapshot(q.group)
			_, err := q.group.Handle(message, start)
			w.refused(q, before, err, ErrPastEpoch)
		}
	}
}

// refused checks that q refused a message, and is as it was.
func (w *world) refused(q *dweller, before shelf, err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Fatalf("%s: %v, want %v", q.name, err, want)
	}
	after := snapshot(q.group)
	for k, v := range before {
		if string(after[k]) != string(v) {
			w.t.Fatalf("%s: record %s has changed", q.name, k)
		}
	}
}

// epochOf is the epoch of a handshake.
func epochOf(m *wire.MLSMessage) uint64 {
	if m.PublicMessage != nil {
		return m.PublicMessage.Content.Epoch
	}
	return m.PrivateMessage.Epoch
}

// enter lets somebody join by itself, or come back who has lost its state.
func (w *world) enter() {
	w.t.Helper()
	door, p := w.anybody(), w.anybody()
	again := w.one(2)
	if !again {
		if len(w.members) >= w.life.limit {
			return
		}
		p = w.somebody()
	}
	o := p.external(door.info(w.t))
	o.SelfRemoves = w.leaving
	if again {
		for _, q := range door.group.PendingProposals() {
			if q.Proposal.ProposalType == wire.ProposalTypeSelfRemove && q.Sender == p.leaf() {
				return // leaves anyway
			}
		}
		leaf := p.leaf()
		o.Resync = &leaf
	}
	if w.one(2) {
		o.PSKs = []wire.PreSharedKeyID{ExternalPSK([]byte("of the world"))}
	}
	c, err := JoinExternal(o)
	must(w.t, err)
	w.members = slices.DeleteFunc(w.members, func(q *dweller) bool { return q == p })
	w.send(p, c.Commit)
	p.group, p.shelf = c.Next, make(shelf)
	w.flush(p)
	w.members = append(w.members, p)
	w.leaving = nil
}

// agree checks that all who are present, and the observer, are in one epoch.
func (w *world) agree() {
	w.t.Helper()
	list := w.present()
	first := list[0].group
	for _, q := range list[1:] {
		if !bytes.Equal(first.EpochAuthenticator(), q.group.EpochAuthenticator()) {
			w.t.Fatalf("%s and %s disagree in epochs %d and %d", list[0].name, q.name, first.Epoch(), q.group.Epoch())
		}
	}
	if first.Tree().Size() != len(w.members) && !slices.ContainsFunc(w.members, func(q *dweller) bool { return q.away }) {
		w.t.Fatalf("%d members in the tree, %d in the world", first.Tree().Size(), len(w.members))
	}
	if w.observer == nil {
		return
	}
	if !bytes.Equal(wire.Marshal(w.observer.Context()), wire.Marshal(first.GroupContext())) ||
		!bytes.Equal(w.observer.InterimTranscriptHash(), first.interim) {
		w.t.Fatal("the observer disagrees")
	}
}
