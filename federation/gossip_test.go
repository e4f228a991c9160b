package federation

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"parley/groups"
)

// gossiping lets a node gossip on loopback and join others.
func gossiping(key []byte, join ...*testNode) func(*Config) {
	return func(c *Config) {
		c.Gossip = &Gossip{Bind: "127.0.0.1:0", Key: key, Rejoin: 200 * time.Millisecond}
		for _, n := range join {
			c.Gossip.Join = append(c.Gossip.Join, n.gossip.self)
		}
	}
}

var testKey = bytes.Repeat([]byte{7}, gossipKey)

// "Nodes of one site find each other": three nodes, of which two know only the
// first, are linked to each other and follow each other's rooms.
func TestSiblingsFindEachOther(t *testing.T) {
	pki := newPKI(t, alpha)
	a1 := start(t, pki, nodeID(alpha, "a1"), gossiping(testKey))
	a2 := start(t, pki, nodeID(alpha, "a2"), gossiping(testKey, a1))
	a3 := start(t, pki, nodeID(alpha, "a3"), gossiping(testKey, a1))
	nodes := []*testNode{a1, a2, a3}
	for _, n := range nodes {
		eventually(t, "all are linked", func() bool { return len(n.linksOf(alpha)) == 2 })
	}
	room := roomID(alpha, "ops")
	a3.store.create(room, alpha)
	a3.say(room, 10)
	for _, n := range nodes {
		eventually(t, "all follow", func() bool { return n.store.seq(room) == 11 })
	}
	if o := a2.relayed(t, submission(room, deviceID(alpha, "alice"), "x")); o.Err != nil || o.Receipt.Seq != 12 {
		t.Fatalf("outcome %+v", o)
	}
	status := a1.Nodes()
	if len(status) != 3 || status[0].State != "self" || status[1].Node != a2.cfg.Node || status[1].State != "alive" || !status[2].Linked {
		t.Fatalf("nodes %+v", status)
	}
	eventually(t, "gossip tells how many rooms a node has", func() bool {
		s := a1.Nodes()
		return s[1].Rooms == 1 && s[2].Rooms == 1
	})
	a2.Close()
	eventually(t, "one left", func() bool {
		for _, s := range a1.Nodes() {
			if s.Node == a2.cfg.Node {
				return s.State == "left" && !s.Linked
			}
		}
		return false
	})
}

// "Foreign join rejected": the same key and network do not make a node of
// another site a sibling.
func TestGossipRefusesOtherSites(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), gossiping(testKey))
	b := start(t, pki, nodeID(beta, "b1"), gossiping(testKey, a))
	other := start(t, pki, nodeID(alpha, "a2"), gossiping(bytes.Repeat([]byte{8}, gossipKey), a))
	twin := start(t, pki, nodeID(alpha, "a3"), gossiping(testKey, a))
	eventually(t, "the sibling is there", func() bool { return len(a.Nodes()) == 2 && len(twin.Nodes()) == 2 })
	for _, n := range []*testNode{b, other} {
		if got := n.Nodes(); len(got) != 1 {
			t.Errorf("%s sees %+v", n.cfg.Node, got)
		}
	}
	for name, m := range map[string]*memberlist.Node{
		"site":    {Name: string(b.cfg.Node), Meta: b.gossip.NodeMeta(memberlist.MetaMaxSize)},
		"name":    {Name: string(a.cfg.Node), Meta: twin.gossip.NodeMeta(memberlist.MetaMaxSize)},
		"garbage": {Name: string(twin.cfg.Node), Meta: []byte{0xff}},
		"nothing": {Name: string(twin.cfg.Node)},
	} {
		if a.gossip.NotifyAlive(m) == nil || a.gossip.NotifyMerge([]*memberlist.Node{m}) == nil {
			t.Errorf("%s: taken for a sibling", name)
		}
	}
}

// "Plaintext is refused": by the configuration, and on the wire.
func TestGossipIsNeverInTheClear(t *testing.T) {
	pki := newPKI(t, alpha)
	for _, key := range [][]byte{nil, make([]byte, 16)} {
		g := Gossip{Bind: "127.0.0.1:0", Key: key}
		if _, err := g.check(nodeID(alpha, "a1")); kindOf(err) != groups.Invalid {
			t.Errorf("a key of %d bytes: %v", len(key), err)
		}
	}
	a := start(t, pki, nodeID(alpha, "a1"), gossiping(testKey))
	c := memberlist.DefaultLocalConfig()
	c.Name, c.BindAddr, c.BindPort, c.Label = string(nodeID(alpha, "a2")), "127.0.0.1", 0, "parley/"+string(alpha)
	c.LogOutput = discard{}
	plain, err := memberlist.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Shutdown()
	if _, err := plain.Join([]string{a.gossip.self}); err == nil {
		t.Error("a node without the key joined")
	}
	if got := a.Nodes(); len(got) != 1 {
		t.Errorf("it is listed: %+v", got)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// "Advertise 0.0.0.0 => flapping": refused before it starts.
func TestGossipAddressMustBeReachable(t *testing.T) {
	for _, bind := range []string{"0.0.0.0:7000", "[::]:7000", "localhost:7000", "7000", "127.0.0.1:99999"} {
		g := Gossip{Bind: bind, Key: testKey}
		if _, err := g.check(nodeID(alpha, "a1")); kindOf(err) != groups.Invalid {
			t.Errorf("%s: %v", bind, err)
		}
	}
	g := Gossip{Bind: "0.0.0.0:7000", Advertise: "192.0.2.1:7000", Key: testKey}
	if _, err := g.check(nodeID(alpha, "a1")); err != nil {
		t.Error(err)
	}
}

// "memberlist does not heal long partitions by itself, so nodes re-join in a
// loop": a node that was thought dead and forgotten is found again.
func TestGossipHeals(t *testing.T) {
	pki := newPKI(t, alpha)
	a := start(t, pki, nodeID(alpha, "a1"), gossiping(testKey))
	b := start(t, pki, nodeID(alpha, "a2"), gossiping(testKey, a))
	eventually(t, "they see each other", func() bool { return len(a.linksOf(alpha)) == 1 && len(a.Nodes()) == 2 })
	_, port, _ := net.SplitHostPort(b.gossip.self)
	links := b.Addr().String()
	// a2 dies without a word, and its name is forgotten by memberlist.
	b.ending.Do(func() {})
	b.gossip.list.Shutdown()
	b.cancel(errClosed)
	b.wg.Wait()
	b.unlisten()
	eventually(t, "it is missed", func() bool { return strings.Contains(fmt.Sprint(a.Nodes()), "failed") })
	again := startWith(t, pki, nodeID(alpha, "a2"), b.store, func(c *Config) {
		gossiping(testKey)(c) // without a's address: a has to find it
		c.Gossip.Bind = "127.0.0.1:" + port
		c.Listen = links
	})
	eventually(t, "it is found", func() bool { return len(again.Nodes()) == 2 && len(again.linksOf(alpha)) == 1 })
}

// "Ownership is never taken from gossip": a key holder that says it owns a room
// changes what is asked first, and nothing else.
func TestGossipOfOwnershipIsAdvice(t *testing.T) {
	pki := newPKI(t, alpha)
	a1 := start(t, pki, nodeID(alpha, "a1"), gossiping(testKey))
	a2 := start(t, pki, nodeID(alpha, "a2"), gossiping(testKey, a1))
	a3 := start(t, pki, nodeID(alpha, "a3"), gossiping(testKey, a1))
	room := roomID(alpha, "ops")
	a1.store.create(room, alpha)
	eventually(t, "all follow", func() bool { return a2.store.seq(room) == 1 && a3.store.seq(room) == 1 })
	eventually(t, "the lie is heard", func() bool {
		a3.gossip.MergeRemoteState(a2.liar(room), false)
		a3.gossip.mu.Lock()
		defer a3.gossip.mu.Unlock()
		m := a3.gossip.members[a2.cfg.Node]
		return m != nil && slices.Contains(m.owned, room)
	})
	if o := a3.relayed(t, submission(room, deviceID(alpha, "alice"), "x")); o.Err != nil || o.Receipt.Seq != 2 {
		t.Fatalf("outcome %+v", o)
	}
	if len(a2.store.Rooms()) != 1 || a2.store.Rooms()[0].Owned {
		t.Fatal("a2 owns the room")
	}
}

// liar is the state of a node that says it owns a room.
func (n *testNode) liar(room groups.RoomID) []byte {
	n.store.mu.Lock()
	n.store.rooms[room].info.Owned = true
	n.store.mu.Unlock()
	b := n.gossip.LocalState(false)
	n.store.mu.Lock()
	n.store.rooms[room].info.Owned = false
	n.store.mu.Unlock()
	return b
}
