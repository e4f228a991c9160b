package federation

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

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
