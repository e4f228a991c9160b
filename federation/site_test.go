package federation

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/groups"
)

// "Any node serves any device by relaying to the owner over the same QUIC link
// that joins sites": beta reaches the owner a1 through its sibling a2, and a2
// holds a copy of its own.
func TestSubmissionTravelsTwoLinks(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a1 := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	a2 := start(t, pki, nodeID(alpha, "a2"), func(c *Config) {
		c.Siblings = []string{a1.Addr().String()}
		peering(beta)(c)
	})
	b := start(t, pki, nodeID(beta, "b1"), peering(alpha, a2))
	room := roomID(alpha, "ops")
	a1.store.create(room, alpha, beta)
	eventually(t, "b1 has the room, by way of a2", func() bool { return b.store.seq(room) == 1 })
	if o := b.relayed(t, submission(room, deviceID(beta, "bob"), "hello")); o.Err != nil || o.Receipt.Seq != 2 {
		t.Fatalf("outcome %+v", o)
	}
	if o := a2.relayed(t, submission(room, deviceID(alpha, "alice"), "hello")); o.Err != nil || o.Receipt.Seq != 3 {
		t.Fatalf("outcome %+v", o)
	}
	eventually(t, "all hold it", func() bool { return b.store.seq(room) == 3 && a2.store.seq(room) == 3 })
	sameLog(t, room, a1.store, b.store)
	sameLog(t, room, a1.store, a2.store)
	if info, err := b.store.Room(room); err != nil || info.Owner != a1.cfg.Node {
		t.Fatalf("b1 thinks %q orders the room", info.Owner)
	}
}

// A node of a follower site that has no link to the hub follows its sibling.
func TestSiblingServesCopyOfOtherSitesRoom(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	b1 := start(t, pki, nodeID(beta, "b1"), peering(alpha, a))
	b2 := start(t, pki, nodeID(beta, "b2"), func(c *Config) { c.Siblings = []string{b1.Addr().String()} })
	room := roomID(alpha, "ops")
	a.store.create(room, alpha, beta)
	a.say(room, 50)
	eventually(t, "b2 has the room", func() bool { return b2.store.seq(room) == 51 })
	sameLog(t, room, a.store, b2.store)
}

// "A follower site and a sibling node are readers with a cursor": a node that
// was away gets what it missed, each entry once.
func TestNodeCatchesUpAfterRestart(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 10)
	eventually(t, "the first are there", func() bool { return b.store.seq(room) == 11 })
	b.Close()
	o := a.relayedElsewhere(room)
	if o == nil {
		t.Fatal("a closed node is thought to be reachable")
	}
	a.say(room, 3000)
	addr := a.Addr().String()
	pki := b.cfg.Peers.(*testPKI)
	again := startWith(t, pki, b.cfg.Node, b.store, func(c *Config) { c.Sites = []Peer{{Site: alpha, Addresses: []string{addr}}} })
	eventually(t, "all are there", func() bool { return again.store.seq(room) == 3011 })
	sameLog(t, room, a.store, again.store)
}

// relayedElsewhere says why beta can not be reached, when it can not.
func (n *testNode) relayedElsewhere(groups.RoomID) error {
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if len(n.linksOf(beta)) == 0 {
			_, err := n.toward(roomID(beta, "any"))
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// "A site removed from the room gets entries up to the removal then the
// subscription ends", also if it was away, and begins again when it is added.
func TestRemovedSiteGetsItsRemovalAndNothingAfter(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 20)
	a.store.setSites(room, alpha) // entry 22
	a.say(room, 20)
	eventually(t, "the removal is there", func() bool { return b.store.seq(room) == 22 })
	eventually(t, "the subscription ended", func() bool { return len(a.Peers()) == 1 && subscriptions(a.Node, beta) == 0 })
	if got := b.store.seq(room); got != 22 {
		t.Fatalf("a site that left has entry %d", got)
	}
	b.Close()
	a.store.setSites(room, alpha, beta)
	a.store.setSites(room, alpha) // entry 44
	a.say(room, 5)
	addr := a.Addr().String()
	again := startWith(t, b.cfg.Peers.(*testPKI), b.cfg.Node, b.store, func(c *Config) { c.Sites = []Peer{{Site: alpha, Addresses: []string{addr}}} })
	eventually(t, "the second removal is there", func() bool { return again.store.seq(room) == 44 })
	a.store.setSites(room, alpha, beta) // entry 50
	eventually(t, "it follows again", func() bool { return again.store.seq(room) == 50 })
	sameLog(t, room, a.store, again.store)
}

// "a site that only has readers may subscribe": it is offered the room, follows
// it, and gets the entry that ends it as the last.
func TestSiteOfReadersFollowsAsLongAsThePolicyNamesIt(t *testing.T) {
	a, b, room := twoSites(t)
	a.store.setSites(room, alpha, "readers:"+beta) // entry 2
	a.say(room, 20)
	eventually(t, "the readers' site follows", func() bool { return b.store.seq(room) == 22 })
	a.store.setSites(room, alpha) // entry 23
	a.say(room, 20)
	eventually(t, "its end is there", func() bool { return b.store.seq(room) == 23 })
	eventually(t, "the subscription ended", func() bool { return len(a.Peers()) == 1 && subscriptions(a.Node, beta) == 0 })
	if got := b.store.seq(room); got != 23 {
		t.Fatalf("a site that reads no more has entry %d", got)
	}
	a.store.setSites(room, alpha, "readers:"+beta) // entry 44
	eventually(t, "it follows again", func() bool { return b.store.seq(room) == 44 })
	sameLog(t, room, a.store, b.store)
}

func subscriptions(n *Node, site groups.SiteID) int {
	count := 0
	for _, l := range n.linksOf(site) {
		l.server.mu.Lock()
		count += len(l.server.byRoom)
		l.server.mu.Unlock()
	}
	return count
}

// "Only sites that are members may subscribe": a third site gets nothing.
func TestSiteWithoutMembersGetsNothing(t *testing.T) {
	pki := newPKI(t, alpha, beta, gamma)
	a := start(t, pki, nodeID(alpha, "a1"), func(c *Config) { peering(beta)(c); peering(gamma)(c) })
	b := start(t, pki, nodeID(beta, "b1"), peering(alpha, a))
	g := start(t, pki, nodeID(gamma, "g1"), peering(alpha, a))
	room, open := roomID(alpha, "ops"), roomID(alpha, "open")
	a.store.create(room, alpha, beta)
	a.store.create(open, alpha, beta, gamma)
	eventually(t, "both have theirs", func() bool { return b.store.seq(room) == 1 && g.store.seq(open) == 1 })
	// gamma asks for it nevertheless.
	g.follower.ask(func() { g.follower.offer(room, source{link: g.linksOf(alpha)[0]}) })
	eventually(t, "the refusal is there", func() bool {
		waits := false
		g.follower.ask(func() { waits = !g.follower.rooms[room].retryAt.IsZero() })
		return waits
	})
	if g.store.seq(room) != 0 {
		t.Fatal("a site without members has an entry")
	}
}

// "A bad entry parks its room and tells the operator; it never stalls the peer."
func TestBadEntryParksItsRoomOnly(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	bad, good := roomID(alpha, "bad"), roomID(alpha, "good")
	store := newStore(t, nodeID(beta, "b1"))
	store.refuse = func(b groups.Batch) error {
		if b.Room == bad {
			return groups.Errorf(groups.Invalid, "commit breaks a rule")
		}
		return nil
	}
	a.store.create(bad, alpha, beta)
	a.store.create(good, alpha, beta)
	b := startWith(t, pki, nodeID(beta, "b1"), store, peering(alpha, a))
	eventually(t, "the room is parked", func() bool { return len(b.Parked()) == 1 })
	a.say(good, 100)
	eventually(t, "the other room goes on", func() bool { return b.store.seq(good) == 101 })
	if p := b.Parked()[0]; p.Room != bad || !strings.Contains(p.Why, "breaks a rule") {
		t.Fatalf("parked %+v", p)
	}
	if len(b.linksOf(alpha)) != 1 {
		t.Fatal("the link is gone")
	}
}

// A disk that is full is not the hub's fault: the room waits and goes on.
func TestRoomWaitsWhileStoreHasNoSpace(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	room := roomID(alpha, "ops")
	store, left := newStore(t, nodeID(beta, "b1")), 2
	store.refuse = func(groups.Batch) error {
		if left--; left >= 0 {
			return groups.Errorf(groups.NoSpace, "disk is full")
		}
		return nil
	}
	a.store.create(room, alpha, beta)
	a.say(room, 100)
	b := startWith(t, pki, nodeID(beta, "b1"), store, peering(alpha, a))
	eventually(t, "it went on", func() bool { return b.store.seq(room) == 101 })
	sameLog(t, room, a.store, b.store)
	if len(b.Parked()) != 0 {
		t.Fatal("parked")
	}
}

// A hub that shows another history than the follower holds is found at once.
func TestForkedRoomIsParked(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 5)
	eventually(t, "they agree", func() bool { return b.store.seq(room) == 6 })
	b.Close()
	b.store.mu.Lock()
	b.store.rooms[room].info.Head.Hash[0] ^= 1
	b.store.mu.Unlock()
	addr := a.Addr().String()
	again := startWith(t, b.cfg.Peers.(*testPKI), b.cfg.Node, b.store, func(c *Config) { c.Sites = []Peer{{Site: alpha, Addresses: []string{addr}}} })
	eventually(t, "the room is parked", func() bool { return len(again.Parked()) == 1 })
}

func TestRelayRefusals(t *testing.T) {
	a, b, room := twoSites(t)
	if o := b.relayed(t, submission(room, deviceID(alpha, "alice"), "x")); kindOf(o.Err) != groups.Denied {
		t.Errorf("a site spoke for another's device: %v", o.Err)
	}
	if o := b.relayed(t, submission(roomID(alpha, "nowhere"), deviceID(beta, "bob"), "x")); o.Err == nil {
		t.Error("an unknown room was accepted")
	}
	create := submission(roomID(alpha, "new"), deviceID(beta, "bob"), "x")
	create.Kind = groups.KindCreate
	if o := b.relayed(t, create); kindOf(o.Err) != groups.Denied {
		t.Errorf("a site made a room at another: %v", o.Err)
	}
	if o := b.relayed(t, submission(roomID(gamma, "far"), deviceID(beta, "bob"), "x")); kindOf(o.Err) != groups.Unavailable {
		t.Errorf("a room of an unknown site: %v", o.Err)
	}
	o := b.relayed(t, submission(room, deviceID(beta, "bob"), "refuse me"))
	told, ok := errors.AsType[*groups.RemoteError](o.Err)
	if !ok || told.Kind != groups.StaleEpoch || told.Epoch != 7 || told.Seq != 1 || told.Peer != string(a.cfg.Node) {
		t.Errorf("a refusal lost something: %v", o.Err)
	}
	big := submission(room, deviceID(beta, "bob"), "")
	big.Kind, big.Body = groups.KindCommit, make([]byte, groups.MaxFrame)
	if o := b.relayed(t, big); kindOf(o.Err) != groups.TooLarge {
		t.Errorf("a submission larger than a frame: %v", o.Err)
	}
	big.Body = make([]byte, groups.MaxBody+1)
	if o := b.relayed(t, big); kindOf(o.Err) != groups.TooLarge {
		t.Errorf("a body larger than a body: %v", o.Err)
	}
	if a.store.seq(room) != 1 {
		t.Error("something was accepted")
	}
}

// The largest commit travels whole, with what it names.
func TestLargestCommitTravels(t *testing.T) {
	a, b, room := twoSites(t)
	sub := submission(room, deviceID(beta, "bob"), "")
	sub.Kind, sub.Body = groups.KindCommit, make([]byte, groups.MaxBody)
	sub.Attachments = [][]byte{make([]byte, groups.MaxAttachment), make([]byte, groups.MaxAttachment)}
	if o := b.relayed(t, sub); o.Err != nil {
		t.Fatal(o.Err)
	}
	eventually(t, "it is back", func() bool { return b.store.seq(room) == 2 })
	sameLog(t, room, a.store, b.store)
}

// "link lost => Unavailable for those unanswered": nothing waits for ever.
func TestRelayIsUnavailableWhenLinkEnds(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	room := roomID(alpha, "ops")
	store := newStore(t, nodeID(alpha, "a1"))
	store.create(room, alpha, beta)
	a := startWith(t, pki, nodeID(alpha, "a1"), store, func(c *Config) { peering(beta)(c); c.Log = silentLog{store} })
	b := start(t, pki, nodeID(beta, "b1"), peering(alpha, a))
	eventually(t, "they are linked", func() bool { return len(b.linksOf(alpha)) == 1 })
	out := make(chan groups.Outcome, maxInFlight+1)
	for range maxInFlight + 1 {
		b.Relay(submission(room, deviceID(beta, "bob"), "x"), func(o groups.Outcome) { out <- o })
	}
	if o := <-out; kindOf(o.Err) != groups.Busy {
		t.Fatalf("more than %d in flight: %v", maxInFlight, o.Err)
	}
	a.Close()
	for range maxInFlight {
		if o := <-out; kindOf(o.Err) != groups.Unavailable {
			t.Fatalf("outcome %v", o.Err)
		}
	}
}

// A silentLog never answers a submission.
type silentLog struct{ *memStore }

func (silentLog) Submit(groups.Submission, func(groups.Outcome)) {}

func TestClaimAcrossSites(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a1 := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	a2 := start(t, pki, nodeID(alpha, "a2"), func(c *Config) { c.Siblings = []string{a1.Addr().String()} })
	b := start(t, pki, nodeID(beta, "b1"), peering(alpha, a1))
	eventually(t, "they are linked", func() bool { return len(b.linksOf(alpha)) == 1 && len(a1.linksOf(alpha)) == 1 })
	alice, nobody, far := groups.UserID("mimi://alpha.example/u/alice"), groups.UserID("mimi://alpha.example/u/nobody"), groups.UserID("mimi://gamma.example/u/gil")
	laptop, phone := deviceID(alpha, "alice"), groups.DeviceID("mimi://alpha.example/d/alice/phone")
	a1.store.give(alice, []groups.KeyPackage{{Device: laptop, Suite: 1, Bytes: []byte("one")}, {Device: laptop, Suite: 2, Bytes: []byte("other suite")}})
	a2.store.give(alice, []groups.KeyPackage{{Device: phone, Suite: 1, Bytes: []byte("two")}})
	got, failed := b.Claim(t.Context(), []groups.UserID{alice, nobody, far, alice}, roomID(beta, "ops"), 1)
	if len(got) != 2 || len(failed) != 2 {
		t.Fatalf("got %v, failed %v", got, failed)
	}
	if kindOf(failed[nobody]) != groups.NotFound || kindOf(failed[far]) != groups.Unavailable {
		t.Fatalf("failed %v", failed)
	}
	got, failed = b.Claim(t.Context(), []groups.UserID{alice}, roomID(beta, "ops"), 1)
	if len(got) != 0 || kindOf(failed[alice]) != groups.NotFound {
		t.Fatalf("given out twice: %v %v", got, failed)
	}
	a1.store.give(alice, []groups.KeyPackage{{Device: laptop, Suite: 1, Bytes: []byte("three")}})
	if got, _ = a2.Claim(t.Context(), []groups.UserID{alice}, roomID(beta, "ops"), 1); len(got) != 1 || string(got[0].Bytes) != "three" {
		t.Fatalf("a sibling got %v", got)
	}
}

// "Per-requester limits": a site can not drain a user's key packages.
func TestClaimsOfOneUserAreBounded(t *testing.T) {
	_, b, _ := twoSites(t)
	alice := groups.UserID("mimi://alpha.example/u/alice")
	busy := 0
	for range claimBurst + 5 {
		_, failed := b.Claim(t.Context(), []groups.UserID{alice}, roomID(beta, "ops"), 1)
		if kindOf(failed[alice]) == groups.Busy {
			busy++
		}
	}
	if busy != 5 {
		t.Fatalf("%d claims refused, want 5", busy)
	}
}

func TestBlobIsFetchedAndResumed(t *testing.T) {
	a, b, _ := twoSites(t)
	data := make([]byte, 3*groups.BlobChunk+17)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	hash, other := groups.HashOf(data), groups.HashOf([]byte("not yet"))
	b.store.PutBlob(hash, uint64(len(data)), 0, data[:100]) // a transfer that was cut off
	b.WantBlobs(alpha, []groups.Hash{hash, other})
	eventually(t, "it was asked for", func() bool {
		b.fetcher.mu.Lock()
		defer b.fetcher.mu.Unlock()
		return b.fetcher.wanted[other].tries > 0
	})
	a.store.PutBlob(other, 7, 0, []byte("not yet"))
	a.store.PutBlob(hash, uint64(len(data)), 0, data)
	for _, h := range []groups.Hash{hash, other} {
		eventually(t, "the blob is here", func() bool { _, _, done, _ := b.store.StatBlob(h); return done })
	}
	eventually(t, "nothing is wanted any more", func() bool {
		b.fetcher.mu.Lock()
		defer b.fetcher.mu.Unlock()
		return len(b.fetcher.wanted) == 0
	})
}

func TestSignalReachesAllSitesOfTheRoom(t *testing.T) {
	pki := newPKI(t, alpha, beta, gamma)
	a1 := start(t, pki, nodeID(alpha, "a1"), func(c *Config) { peering(beta)(c); peering(gamma)(c) })
	a2 := start(t, pki, nodeID(alpha, "a2"), func(c *Config) { c.Siblings = []string{a1.Addr().String()} })
	b := start(t, pki, nodeID(beta, "b1"), peering(alpha, a1))
	g := start(t, pki, nodeID(gamma, "g1"), peering(alpha, a1))
	room := roomID(alpha, "ops")
	a1.store.create(room, alpha, beta, gamma)
	eventually(t, "all have the room", func() bool {
		return a2.store.seq(room) == 1 && b.store.seq(room) == 1 && g.store.seq(room) == 1
	})
	heard := func(n *testNode) int {
		n.store.mu.Lock()
		defer n.store.mu.Unlock()
		return len(n.store.signals)
	}
	b.Signal(room, deviceID(beta, "bob"), []byte("typing"))
	eventually(t, "all but the sender's node heard it", func() bool { return heard(a1) == 1 && heard(a2) == 1 && heard(g) == 1 })
	b.Signal(room, deviceID(gamma, "gil"), []byte("forged"))
	b.Signal(room, deviceID(beta, "bob"), make([]byte, groups.MaxSignal+1))
	b.Signal(room, deviceID(beta, "bob"), []byte("typing"))
	eventually(t, "the honest one is heard", func() bool { return heard(a1) == 2 && heard(g) == 2 })
	if heard(b) != 0 || heard(a1) != 2 {
		t.Fatal("a signal came back, or a forged one was heard")
	}
}

// "One link between two nodes is enough whoever dials."
func TestTwoNodesKeepOneLink(t *testing.T) {
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			pki := newPKI(t, alpha, beta)
			ca, cb := mustListen(t), mustListen(t)
			a := start(t, pki, nodeID(alpha, "a1"), func(c *Config) {
				c.PacketConn = ca
				c.Sites = []Peer{{Site: beta, Addresses: []string{cb.LocalAddr().String()}}}
			})
			b := start(t, pki, nodeID(beta, "b1"), func(c *Config) {
				c.PacketConn = cb
				c.Sites = []Peer{{Site: alpha, Addresses: []string{ca.LocalAddr().String()}}}
			})
			room := roomID(alpha, "ops")
			a.store.create(room, alpha, beta)
			eventually(t, "they are linked", func() bool { return b.store.seq(room) == 1 })
			eventually(t, "both keep the same one", func() bool {
				la, lb := a.linksOf(beta), b.linksOf(alpha)
				return len(la) == 1 && len(lb) == 1 && la[0].dialler == lb[0].dialler
			})
		})
	}
}
