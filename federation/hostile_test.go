package federation

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/time/rate"

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
