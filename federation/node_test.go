package federation

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/groups"
)

// TestMain finds goroutines that outlive their node. memberlist's Shutdown does
// not wait for a probe that is under way; it ends within seconds.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).triggerFunc"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).pushPullTrigger"))
}

const (
	alpha groups.SiteID = "alpha.example"
	beta  groups.SiteID = "beta.example"
	gamma groups.SiteID = "gamma.example"
)

func nodeID(site groups.SiteID, name string) groups.NodeID {
	return groups.NodeID("mimi://" + string(site) + "/n/" + name)
}

func roomID(site groups.SiteID, name string) groups.RoomID {
	return groups.RoomID("mimi://" + string(site) + "/r/" + name)
}

func deviceID(site groups.SiteID, user string) groups.DeviceID {
	return groups.DeviceID("mimi://" + string(site) + "/d/" + user + "/laptop")
}

// A testNode is a whole node with its store.
type testNode struct {
	*Node
	store *memStore
}

// testLog is quiet unless PARLEY_TEST_LOG is set.
func testLog(t testing.TB) *slog.Logger {
	if os.Getenv("PARLEY_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// start runs a node on loopback, or as change makes it.
func start(t testing.TB, pki *testPKI, id groups.NodeID, change func(*Config)) *testNode {
	t.Helper()
	store := newStore(t, id)
	return startWith(t, pki, id, store, change)
}

func startWith(t testing.TB, pki *testPKI, id groups.NodeID, store *memStore, change func(*Config)) *testNode {
	t.Helper()
	cfg := Config{Node: id, Listen: "127.0.0.1:0", Peers: pki, Log: store, Rooms: store, Keys: store, Blobs: store,
		Signals: store, Orderings: store, Logger: testLog(t), Software: "parley test"}
	if ca := pki.cas[id.Site()]; ca != nil {
		cfg.Certificate = ca.issue(t, id, 500*time.Hour)
	}
	if change != nil {
		change(&cfg)
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return &testNode{n, store}
}

// peering names another site and where to dial it.
func peering(site groups.SiteID, nodes ...*testNode) func(*Config) {
	return func(c *Config) {
		p := Peer{Site: site}
		for _, n := range nodes {
			p.Addresses = append(p.Addresses, n.Addr().String())
		}
		c.Sites = append(c.Sites, p)
	}
}

// submission makes a message of a device.
func submission(room groups.RoomID, device groups.DeviceID, body string) groups.Submission {
	s := groups.Submission{Room: room, Kind: groups.KindMessage, Device: device, Body: []byte(body)}
	rand.Read(s.ID[:])
	return s
}

// say submits messages to a node's own store.
func (n *testNode) say(room groups.RoomID, count int) {
	for i := range count {
		n.store.Submit(submission(room, deviceID(n.site, "alice"), fmt.Sprintf("message %d", i)), func(groups.Outcome) {})
	}
}

// relayed relays a submission and waits for its outcome.
func (n *testNode) relayed(t testing.TB, sub groups.Submission) groups.Outcome {
	t.Helper()
	out := make(chan groups.Outcome, 1)
	n.Relay(sub, func(o groups.Outcome) { out <- o })
	select {
	case o := <-out:
		return o
	case <-time.After(20 * time.Second):
		t.Fatal("no outcome")
		return groups.Outcome{}
	}
}

// twoSites runs a1 of alpha and b1 of beta, linked, and a room of alpha with
// members in both.
func twoSites(t testing.TB) (a, b *testNode, room groups.RoomID) {
	t.Helper()
	pki := newPKI(t, alpha, beta)
	a = start(t, pki, nodeID(alpha, "a1"), peering(beta))
	b = start(t, pki, nodeID(beta, "b1"), peering(alpha, a))
	room = roomID(alpha, "ops")
	a.store.create(room, alpha, beta)
	eventually(t, "the room is replicated", func() bool { return b.store.seq(room) == 1 })
	return a, b, room
}

func TestEntriesReachFollowerInOrder(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 500)
	a.store.setSites(room, alpha, beta)
	a.say(room, 500)
	eventually(t, "all entries are replicated", func() bool { return b.store.seq(room) == 1002 })
	sameLog(t, room, a.store, b.store)
}

func TestRelayGetsReceipt(t *testing.T) {
	_, b, room := twoSites(t)
	sub := submission(room, deviceID(beta, "bob"), "hello")
	o := b.relayed(t, sub)
	if o.Err != nil || o.ID != sub.ID || o.Receipt.Seq != 2 || o.Receipt.ID != sub.ID || o.Head == nil || o.Head.Head.Seq < 2 {
		t.Fatalf("outcome %+v", o)
	}
	if again := b.relayed(t, sub); again.Receipt != o.Receipt {
		t.Fatalf("the same submission got another receipt: %+v", again)
	}
	eventually(t, "the message is back", func() bool { return b.store.seq(room) == 2 })
}
