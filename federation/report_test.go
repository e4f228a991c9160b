package federation

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes(), []byte(s))
}

// older starts the node of a again from a copy that was made when its room had
// upTo entries, and returns what it logs.
func older(t *testing.T, a, b *testNode, room groups.RoomID, upTo groups.Seq) (*testNode, *lockedBuffer) {
	t.Helper()
	pki, addr := a.cfg.Peers.(*testPKI), b.Addr().String()
	a.Close()
	old := newStore(t, a.cfg.Node)
	if upTo > 0 {
		a.store.mu.Lock()
		was := a.store.rooms[room]
		r := old.room(room)
		r.info = was.info
		r.entries = append(r.entries, was.entries[:upTo]...)
		e, err := groups.ParseEntry(was.entries[upTo-1].Bytes)
		a.store.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		r.info.Head = groups.Head{Room: room, Seq: upTo, Hash: e.Hash(), Epoch: e.Epoch, Term: e.Term}
		signed, err := groups.SignHeads([]groups.Head{r.info.Head}, fakeSigner{alpha})
		if err != nil {
			t.Fatal(err)
		}
		r.head = &signed[0]
	}
	log := &lockedBuffer{}
	again := startWith(t, pki, a.cfg.Node, old, func(c *Config) {
		c.Sites = []Peer{{Site: beta, Addresses: []string{addr}}}
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	})
	return again, log
}

// "Each room's head is compared with the heads that followers report. Lower or
// different: the room is read-only until it is refilled from a verified copy."
func TestOwnerBehindItsFollowerIsRefilled(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 10)
	eventually(t, "all are there", func() bool { return b.store.seq(room) == 11 })
	again, log := older(t, a, b, room, 4)
	eventually(t, "it has all it had promised", func() bool { return again.store.seq(room) == 11 })
	eventually(t, "the operator is told", func() bool { return log.has("a follower holds what its owner here does not") })
	again.say(room, 5)
	eventually(t, "the follower follows again", func() bool { return b.store.seq(room) == 16 })
	sameLog(t, room, again.store, b.store)
	if o := b.relayed(t, submission(room, deviceID(beta, "bob"), "hello")); o.Err != nil || o.Receipt.Seq != 17 {
		t.Fatalf("outcome %+v", o)
	}
	eventually(t, "nobody follows its follower any more", func() bool { return subscriptions(b.Node, alpha) == 0 })
}

// A hub put back to a time before a room was made does not know that it has it.
func TestRoomThatItsOwnerForgotIsRefilled(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 10)
	eventually(t, "all are there", func() bool { return b.store.seq(room) == 11 })
	again, _ := older(t, a, b, room, 0)
	eventually(t, "it has all it had promised", func() bool { return again.store.seq(room) == 11 })
	again.say(room, 5)
	eventually(t, "the follower follows again", func() bool { return b.store.seq(room) == 16 })
	sameLog(t, room, again.store, b.store)
}

// A sibling's copy is as good.
func TestOwnerIsRefilledByItsSibling(t *testing.T) {
	pki := newPKI(t, alpha)
	a := start(t, pki, nodeID(alpha, "a1"), func(*Config) {})
	s := start(t, pki, nodeID(alpha, "a2"), func(c *Config) { c.Siblings = []string{a.Addr().String()} })
	room := roomID(alpha, "ops")
	a.store.create(room, alpha)
	a.say(room, 10)
	eventually(t, "the sibling has it", func() bool { return s.store.seq(room) == 11 })
	a.Close()
	addr := s.Addr().String()
	again := startWith(t, pki, a.cfg.Node, newStore(t, a.cfg.Node), func(c *Config) { c.Siblings = []string{addr} })
	eventually(t, "it is back", func() bool { return again.store.seq(room) == 11 })
	again.say(room, 5)
	eventually(t, "the sibling follows", func() bool { return s.store.seq(room) == 16 })
	sameLog(t, room, again.store, s.store)
}

// What was ordered twice can not be put together: the owner's room is parked and
// so is the follower's, and both say why.
func TestTwoHistoriesParkBothSides(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 10)
	eventually(t, "all are there", func() bool { return b.store.seq(room) == 11 })
	pki := a.cfg.Peers.(*testPKI)
	a.Close()
	fork := newStore(t, a.cfg.Node)
	fork.create(room, alpha, beta)
	alone := startWith(t, pki, a.cfg.Node, fork, func(*Config) {})
	for range 3 {
		o := alone.relayedHere(t, submission(room, deviceID(alpha, "alice"), "another history"))
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	alone.Close()
	addr := b.Addr().String()
	again := startWith(t, pki, a.cfg.Node, fork, func(c *Config) { c.Sites = []Peer{{Site: beta, Addresses: []string{addr}}} })
	eventually(t, "the owner's is read-only, and not refilled", func() bool {
		info, err := again.store.Room(room)
		return err == nil && info.Parked != "" && len(again.Parked()) == 1
	})
	if why := again.Parked()[0].Why; !strings.Contains(why, "entry 4") {
		t.Fatalf("parked for %q", why)
	}
	if fork.seq(room) != 4 || b.store.seq(room) != 11 {
		t.Fatal("a log has changed")
	}
}

// relayedHere submits at the node that orders the room.
func (n *testNode) relayedHere(t *testing.T, sub groups.Submission) groups.Outcome {
	t.Helper()
	out := make(chan groups.Outcome, 1)
	n.store.Submit(sub, func(o groups.Outcome) { out <- o })
	return <-out
}

// Once an operator has accepted the loss, followers that hold what is lost refuse
// the room and say so, and the owner's goes on.
func TestFollowerRefusesRoomThatGoesOnWithoutWhatItHolds(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 10)
	eventually(t, "all are there", func() bool { return b.store.seq(room) == 11 })
	b.store.mu.Lock()
	b.store.rooms[room].entries[5].Bytes[0] ^= 1 // nobody can be refilled from here
	b.store.mu.Unlock()
	again, _ := older(t, a, b, room, 4)
	eventually(t, "it is read-only", func() bool { info, _ := again.store.Room(room); return info.Fenced == 11 })
	eventually(t, "the follower waits", func() bool { return subscriptions(again.Node, beta) == 1 })
	again.store.giveUp(room)
	again.Look(room)
	eventually(t, "the follower's is parked", func() bool { return len(b.Parked()) == 1 })
	if why := b.Parked()[0].Why; !strings.Contains(why, "without entry 11") && !strings.Contains(why, "given up") {
		t.Fatalf("parked for %q", why)
	}
	if o := again.relayedHere(t, submission(room, deviceID(alpha, "alice"), "goes on")); o.Err != nil {
		t.Fatal(o.Err)
	}
}

// A follower can not park a room by lying, nor show anything of rooms that are not
// of the peer it shows them to.
func TestHeadThatIsNotSignedParksNothing(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 10)
	eventually(t, "all are there", func() bool { return b.store.seq(room) == 11 })
	info, _ := a.store.Room(room)
	info.Head.Seq += 5
	lies, err := groups.SignHeads([]groups.Head{info.Head}, fakeSigner{beta})
	if err != nil {
		t.Fatal(err)
	}
	l := b.linksOf(alpha)[0]
	for _, head := range [][]byte{lies[0].Marshal(), []byte("not one")} {
		f := &linkv1.Frame{Offers: []*linkv1.Offer{
			{Room: string(room), Owner: string(a.cfg.Node), Seq: 16, Head: head},
			{Room: string(room) + "-unknown", Owner: string(a.cfg.Node), Seq: 16, Head: head},
		}}
		if err := l.lanes[laneControl].out.add(f, hardOutbox); err != nil {
			t.Fatal(err)
		}
	}
	a.say(room, 1)
	eventually(t, "it goes on", func() bool { return b.store.seq(room) == 12 })
	if info, _ := a.store.Room(room); info.Parked != "" || len(a.store.Rooms()) != 1 || len(a.linksOf(beta)) != 1 {
		t.Fatalf("%+v", info)
	}
}

// A node that has just started asks before it orders, and not for ever.
func TestNodeAsksItsPeersBeforeItOrders(t *testing.T) {
	now := time.Unix(1000, 0)
	store := newStore(t, nodeID(alpha, "a1"))
	room := roomID(alpha, "ops")
	store.create(room, alpha, beta)
	c := Config{Node: nodeID(alpha, "a1"), Rooms: store, Now: func() time.Time { return now },
		Sites: []Peer{{Site: beta}, {Site: gamma}}}
	var s settling
	if s.waits(room) {
		t.Error("it waits before it starts")
	}
	s.begin(&c)
	s.heard(beta)
	if !s.waits(room) || s.waits(roomID(alpha, "new")) {
		t.Error("it does not wait for gamma, or with a room that is new")
	}
	s.heard(gamma)
	if s.waits(room) {
		t.Error("it waits although all were heard")
	}
	var late settling
	late.begin(&c)
	if now = now.Add(settleTime); late.waits(room) {
		t.Error("it waits for ever for who can not be reached")
	}
	var alone settling
	c.Sites = nil
	if alone.begin(&c); alone.waits(room) {
		t.Error("it waits for nobody")
	}
}
