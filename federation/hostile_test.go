package federation

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// A hub whose refusal is cut in the middle of a letter broke what carried it on: the
// link to a sibling, and the devices' streams.
func TestRefusalCutInALetterTravelsOn(t *testing.T) {
	for _, n := range []int{groups.MaxRefusal - 2, groups.MaxRefusal - 1, groups.MaxRefusal, groups.MaxRefusal + 1} {
		err := remote("mimi://beta.example/n/b1", &linkv1.Refusal{Kind: "denied", Text: strings.Repeat("x", n) + "é"})
		if !utf8.ValidString(err.(*groups.RemoteError).Text) {
			t.Errorf("%d bytes: not text any more", n)
		}
		if err := newOutbox().add(&linkv1.Frame{Outcomes: []*linkv1.Outcome{{Refusal: refusal(err)}}}, maxOutbox); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	own := refusal(groups.Errorf(groups.Invalid, "%s", "a name \xff"+strings.Repeat("y", 1<<20)))
	if err := newOutbox().add(&linkv1.Frame{Outcomes: []*linkv1.Outcome{{Refusal: own}}}, maxOutbox); err != nil || len(own.Text) > groups.MaxRefusal {
		t.Errorf("our own words: %d bytes, %v", len(own.Text), err)
	}
}

// What was accepted is not refused because of the head beside it: a hub's head that
// can not be read, or is another room's, is left out.
func TestReceiptWithABadHeadIsAReceipt(t *testing.T) {
	n := &Node{metrics: newMetrics(prometheus.NewRegistry())}
	room := roomID(alpha, "ops")
	heads := func(room groups.RoomID, seq groups.Seq) []byte {
		signed, err := groups.SignHeads([]groups.Head{{Room: room, Seq: seq}}, fakeSigner{alpha})
		if err != nil {
			t.Fatal(err)
		}
		return signed[0].Marshal()
	}
	for name, head := range map[string][]byte{
		"no head": []byte("head"), "another room's": heads(roomID(alpha, "other"), 9), "an older one": heads(room, 6), "good": heads(room, 7),
	} {
		r := newRelays("mimi://alpha.example/n/a1")
		var got groups.Outcome
		r.waiting[1] = &relayed{room: room, done: func(o groups.Outcome) { got = o }}
		r.answered(n, &linkv1.Outcome{Request: 1, Seq: 7, Hash: make([]byte, 32), Head: head})
		if got.Err != nil || got.Receipt.Seq != 7 || (got.Head != nil) != (name == "good") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A hub that can not serve any of its many rooms now cost a look at all of them for
// each one that was tried again, and the rooms of all other sites waited.
func TestRetryOfOneRoomLooksAtOneRoom(t *testing.T) {
	const rooms = 60_000
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	hub := offering(a)
	defer hub.close(errClosed)
	a.follower.ask(func() {
		for i := range rooms {
			room := roomID(beta, fmt.Sprint("r", i))
			a.follower.offer(room, source{link: hub, seq: 5})
			a.follower.later(a.follower.rooms[room], groups.Errorf(groups.Unavailable, "not now"))
		}
	})
	eventually(t, "all were asked for again", func() bool {
		waits := 0
		a.follower.ask(func() {
			for _, r := range a.follower.rooms {
				if r.source == nil {
					waits++
				}
			}
		})
		return waits == 0
	})
}

// Rooms of which nothing is held are forgotten with the link that offered them, also
// those that sent what is not acceptable: a site can not fill the table by coming back.
func TestParkedRoomsWithoutACopyEndWithTheirLink(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	hub := offering(a)
	a.follower.ask(func() {
		for i := range 100 {
			room := roomID(beta, fmt.Sprint("r", i))
			a.follower.offer(room, source{link: hub, seq: 5})
			a.follower.bad(a.follower.rooms[room], groups.Errorf(groups.Invalid, "no entry"))
		}
	})
	if n := testutil.ToFloat64(a.metrics.parked); n != 100 {
		t.Fatalf("%v rooms are parked", n)
	}
	if n := testutil.ToFloat64(a.metrics.faults.WithLabelValues("invalid")); n != 100 {
		t.Errorf("%v faults are counted", n)
	}
	hub.close(errClosed)
	a.follower.down(hub)
	left := 0
	a.follower.ask(func() { left = len(a.follower.rooms) })
	if left != 0 || testutil.ToFloat64(a.metrics.parked) != 0 {
		t.Errorf("%d rooms are left", left)
	}
}

// offering makes a link to a hub at beta of which nothing is read or sent.
func offering(n *testNode) *link {
	hub := &link{node: n.Node, peer: nodeID(beta, "b1"), lines: rate.NewLimiter(1, 1)}
	hub.ctx, hub.cancel = context.WithCancelCause(n.ctx)
	hub.lanes[laneControl] = &lane{out: newOutbox()}
	return hub
}

// A peer that subscribes again and again, and reads nothing, fills no queue.
func TestSubscriptionsThatReplaceEachOtherAreForgotten(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	room := roomID(alpha, "ops")
	a.store.create(room, alpha, beta)
	v := newServer(offering(a))
	defer v.stop()
	for i := range 10_000 {
		if err := v.subscribe(&linkv1.Subscribe{Room: string(room), Subscription: uint64(i), Hash: make([]byte, 32)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(v.queue); n > 2*minQueue || v.queue[n-1].gone {
		t.Errorf("%d subscriptions wait, of one room", n)
	}
}

// "One site's malice disturbs only its own link": a site whose blobs come slowly kept
// all workers, and the blobs of all other sites waited.
func TestASlowSiteDelaysItsOwnBlobsAlone(t *testing.T) {
	f := newFetcher(&Node{metrics: newMetrics(prometheus.NewRegistry())})
	want := func(site groups.SiteID, n int) {
		for i := range n {
			w := &want{hash: groups.HashOf([]byte(fmt.Sprint(site, i))), site: site}
			f.due[site] = append(f.due[site], w)
		}
	}
	want(gamma, 1000)
	for range blobWorkers {
		if w := f.next(); w == nil || w.site != gamma {
			t.Fatalf("got %v", w)
		}
	}
	if w := f.next(); w != nil {
		t.Fatalf("one more than %d fetches of one site", blobWorkers)
	}
	want(beta, 1)
	if w := f.next(); w == nil || w.site != beta {
		t.Fatal("another site's blob has to wait")
	}
	f.ended(beta)
	if w := f.next(); w != nil {
		t.Fatal("a worker of one site serves another")
	}
	f.ended(gamma)
	if w := f.next(); w == nil || w.site != gamma {
		t.Fatal("a worker that is free stays so")
	}
}

// "One site's malice disturbs only its own link": a site that opens connections and
// says no hello, from however many nodes, keeps no other site out.
func TestHalfOpenConnectionsOfOneSiteKeepNobodyOut(t *testing.T) {
	pki := newPKI(t, alpha, beta, gamma)
	a := start(t, pki, nodeID(alpha, "a1"), func(c *Config) { peering(beta)(c); peering(gamma)(c) })
	node := nodeID(gamma, "g1")
	cert := pki.cas[gamma].issue(t, node, time.Hour)
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ALPN}, ServerName: string(alpha), MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert() }}
	began := time.Now()
	for range maxOpening + 10 {
		conn, err := quic.DialAddr(t.Context(), a.Addr().String(), conf, quicConfig())
		if err != nil {
			continue // sent away
		}
		defer conn.CloseWithError(0, "")
	}
	quick := time.Since(began) < handshakeTime/2 // else the first are given up meanwhile
	eventually(t, "only some are half open", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.half[gamma] <= maxHalfOpen
	})
	b := start(t, pki, nodeID(beta, "b1"), peering(alpha, a))
	eventually(t, "another site is let in", func() bool { return len(b.linksOf(alpha)) == 1 })
	if quick && testutil.ToFloat64(a.metrics.dropped.WithLabelValues("incoming")) == 0 {
		t.Error("nobody was sent away")
	}
}

// A site that certifies node after node gets no more links than a site has nodes.
func TestLinksOfOneSiteAreBounded(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	for i := range maxSiteLinks + 5 {
		l := &link{node: a.Node, peer: nodeID(beta, fmt.Sprint("b", i)), since: time.Now()}
		l.ctx, l.cancel = context.WithCancelCause(a.ctx)
		l.lanes[laneControl] = &lane{out: newOutbox()}
		if err := a.admit(l); (err != nil) != (i >= maxSiteLinks) {
			t.Fatalf("link %d: %v", i, err)
		}
		defer l.close(errClosed)
	}
}

// "A request for a blob buys no memory": it is as long as a name and an offset.
func TestBlobRequestIsShort(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	b := nodeID(beta, "b1")
	c := caller{pki.cas[beta].issue(t, b, time.Hour), string(alpha), ALPN}
	conn, _ := c.lanes(t, a, &linkv1.Hello{Version: 1, Node: string(b), Incarnation: make([]byte, 16)})
	eventually(t, "the link is up", func() bool { return len(a.linksOf(beta)) == 1 })
	s, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	s.Write(binary.BigEndian.AppendUint32([]byte{blobStream}, firstBuffer+1))
	eventually(t, "it is refused and counted", func() bool {
		return testutil.ToFloat64(a.metrics.faults.WithLabelValues("invalid")) == 1
	})
	if len(a.linksOf(beta)) != 1 {
		t.Error("the link ended with it")
	}
}

// Parts that are empty are two bytes each, and cost a hundred to read: a frame of
// nothing else bought memory of fifty times its length.
func TestAFrameOfEmptyPartsBuysNothing(t *testing.T) {
	for name, b := range map[string][]byte{
		"acks":    bytes.Repeat([]byte{8<<3 | 2, 0}, groups.MaxFrame/2),
		"entries": bytes.Repeat([]byte{5<<3 | 2, 0}, groups.MaxFrame/2),
	} {
		var err error
		cost := allocated(func() { _, err = parseFrame(laneReceipts, b) })
		if !errors.Is(err, errProtocol) || cost > 1<<20 {
			t.Errorf("%s: %v, for %d bytes", name, err, cost)
		}
	}
	p := parsePiece(laneMessages, &linkv1.RoomEntries{Entries: make([][]byte, maxPiece+1)})
	if kindOf(p.err) != groups.TooLarge || cap(p.entries) != 0 {
		t.Errorf("empty entries: %v, room for %d", p.err, cap(p.entries))
	}
	acks := &linkv1.Frame{}
	for len(acks.Acks) < coalesce/6 {
		acks.Acks = append(acks.Acks, &linkv1.Ack{Subscription: 1, Seq: 1})
	}
	b, err := proto.Marshal(acks)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseFrame(laneReceipts, b); err != nil {
		t.Errorf("the most acks that an honest peer sends: %v", err)
	}
}

// allocated returns how many bytes the process allocates while f runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
