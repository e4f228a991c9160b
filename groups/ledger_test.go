package groups

import (
	"slices"
	"testing"
	"time"

	"parley/mls"
	"parley/mls/wire"
)

// room makes alice's laptop, phone and bob a room.
func room(t *testing.T, p Policy) (w *world, a, ph, b *device) {
	t.Helper()
	w, a, ph, b = newWorld(t), newDevice(t, laptop), newDevice(t, phone), newDevice(t, bob)
	w.take(a.create(w.hub, p))
	sub, pending := a.commit(w.hub, mls.CommitOptions{Adds: []*wire.KeyPackage{&ph.kp.Public, &b.kp.Public}})
	step := w.take(sub)
	a.group = pending.Next
	ph.join(step)
	b.join(step)
	return w, a, ph, b
}

func TestARoomsLife(t *testing.T) {
	w, a, ph, b := room(t, openPolicy())
	if got := w.hub.Devices(); !slices.Equal(got, []DeviceID{laptop, phone, bob}) {
		t.Fatalf("members %v", got)
	}
	if got := w.hub.Sites(); !slices.Equal(got, []SiteID{"alpha.example", "beta.example"}) {
		t.Fatalf("sites %v", got)
	}
	step := w.take(b.message(w.hub, "hello"))
	m, err := a.group.Open(step.Entry.Body)
	if err != nil || string(m.Plaintext) != "hello" {
		t.Fatalf("alice reads %v, %v", m, err)
	}
	after := b.message(w.hub, "after")
	// bob leaves: he proposes, somebody else commits.
	stamp := b.stamp(w.hub)
	leave, err := b.group.ProposeRemove(b.group.OwnLeaf(), mls.MessageOptions{Now: start, AuthenticatedData: stamp.Marshal()})
	if err != nil {
		t.Fatal(err)
	}
	step = w.take(b.submission(KindProposal, stamp, leave))
	for _, d := range []*device{a, ph} {
		if _, err := d.group.Handle(step.Entry.Body, start); err != nil {
			t.Fatal(err)
		}
	}
	// "Pending ones must be in the next commit."
	skips, _ := a.commit(w.hub, mls.CommitOptions{IgnorePending: true})
	w.refuse(skips, StaleEpoch, "a commit that leaves out a proposal")
	sub, pending := ph.commit(w.hub, mls.CommitOptions{})
	step = w.take(sub)
	ph.group = pending.Next
	a.follow(step)
	if w.hub.Member(bob) || len(w.hub.Sites()) != 1 || w.hub.Left()["beta.example"] != step.Entry.Seq {
		t.Fatalf("bob is still there: %v, left %v", w.hub.Devices(), w.hub.Left())
	}
	w.refuse(after, Denied, "a message of somebody who left")
	w.take(a.message(w.hub, "bye"))
}

// "At most one commit per room and epoch. The loser of a race gets stale_epoch"
func TestTheLoserOfARaceGetsStaleEpoch(t *testing.T) {
	w, a, ph, _ := room(t, openPolicy())
	first, pending := a.commit(w.hub, mls.CommitOptions{})
	second, _ := ph.commit(w.hub, mls.CommitOptions{})
	w.take(first)
	a.group = pending.Next
	_, err := w.hub.Accept(second, 1, w.now)
	e, ok := err.(*Error)
	if !ok || e.Kind != StaleEpoch || e.Epoch != w.hub.Head().Epoch || e.Seq != w.hub.Head().Seq {
		t.Fatalf("loser gets %#v", err)
	}
}

// "a message of the current epoch, or of an older one within the policy's grace"
func TestGraceOfLateMessages(t *testing.T) {
	p := openPolicy()
	p.GraceEpochs = 1
	w, a, ph, _ := room(t, p)
	late := []Submission{ph.message(w.hub, "one epoch late"), ph.message(w.hub, "two epochs late")}
	for i := range late {
		sub, pending := a.commit(w.hub, mls.CommitOptions{})
		w.take(sub)
		a.group = pending.Next
		if i == 0 {
			step := w.take(late[0])
			if step.Entry.Epoch != w.hub.Head().Epoch-1 {
				t.Fatalf("entry of epoch %d", step.Entry.Epoch)
			}
		}
	}
	w.refuse(late[1], StaleEpoch, "a message beyond the grace")
}

// (I12) "A message under a stale key is refused ... by the hub"
func TestAStaleKeyIsRefused(t *testing.T) {
	p := openPolicy()
	p.MaxKeyMessages, p.MaxKeyAge = 2, time.Hour
	w, a, _, _ := room(t, p)
	w.take(a.message(w.hub, "one"))
	w.take(a.message(w.hub, "two"))
	w.refuse(a.message(w.hub, "three"), KeyStale, "a key that was used too often")
	sub, pending := a.commit(w.hub, mls.CommitOptions{})
	w.take(sub)
	a.group = pending.Next
	w.take(a.message(w.hub, "three"))
	w.now = w.now.Add(2 * time.Hour)
	w.refuse(a.message(w.hub, "four"), KeyStale, "a key that is too old")
}

func TestWhoMayDoWhat(t *testing.T) {
	w, a, ph, b := room(t, openPolicy())
	c := newDevice(t, carol)
	leafOf := func(d *device) wire.LeafIndex { return d.group.OwnLeaf() }

	sub, _ := b.commit(w.hub, mls.CommitOptions{Adds: []*wire.KeyPackage{&c.kp.Public}})
	w.refuse(sub, Denied, "bob adds carol")
	sub, _ = b.commit(w.hub, mls.CommitOptions{Removes: []wire.LeafIndex{leafOf(ph)}})
	w.refuse(sub, Denied, "bob removes alice's phone")
	takeover := openPolicy()
	takeover.Admins = []UserID{bob.User()}
	sub, _ = b.commit(w.hub, mls.CommitOptions{Extensions: &wire.Extensions{takeover.Extension()}})
	w.refuse(sub, Denied, "bob makes himself admin")
	sub, _ = a.commit(w.hub, mls.CommitOptions{Extensions: &wire.Extensions{}})
	w.refuse(sub, Invalid, "the policy is dropped")
	stamp := b.stamp(w.hub)
	body, err := b.group.ProposeRemove(leafOf(a), mls.MessageOptions{Now: start, AuthenticatedData: stamp.Marshal()})
	if err != nil {
		t.Fatal(err)
	}
	w.refuse(b.submission(KindProposal, stamp, body), Denied, "bob proposes to remove alice")
	// his own second device he may add
	tablet := newDevice(t, "mimi://beta.example/d/bob/tablet")
	sub, pending := b.commit(w.hub, mls.CommitOptions{IgnorePending: true, Adds: []*wire.KeyPackage{&tablet.kp.Public}})
	a.follow(w.take(sub))
	b.group = pending.Next
	again := newDevice(t, "mimi://beta.example/d/bob/tablet")
	sub, _ = b.commit(w.hub, mls.CommitOptions{Adds: []*wire.KeyPackage{&again.kp.Public}})
	w.refuse(sub, Conflict, "a device that is in already")
}
