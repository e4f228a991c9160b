package federation

import (
	"bytes"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// FuzzFrameReader: whatever the bytes, and however they are cut into reads, the
// frames are what the lengths say, and the buffer is bounded by what arrived.
func FuzzFrameReader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 'x', 0, 0, 0, 0}, uint8(3))
	f.Add([]byte{0, 0x30, 0, 0, 1, 2, 3}, uint8(1))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint8(4))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		r := newFrameReader(&slowReader{in, int(step%64) + 1}, groups.MaxFrame)
		var again []byte
		for {
			b, err := r.next()
			if len(r.buf) > firstBuffer+2*len(in) {
				t.Fatalf("%d bytes bought a buffer of %d", len(in), len(r.buf))
			}
			if err != nil {
				break
			}
			again = append(again, byte(len(b)>>24), byte(len(b)>>16), byte(len(b)>>8), byte(len(b)))
			again = append(again, b...)
		}
		if !bytes.HasPrefix(in, again) {
			t.Fatal("frames are not what was sent")
		}
	})
}

// A slowReader gives few bytes at a time.
type slowReader struct {
	b    []byte
	step int
}

func (s *slowReader) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.step)], s.b)
	s.b = s.b[n:]
	return n, nil
}

// FuzzFrame: every parser of what a peer sends takes anything without a panic,
// and what it takes is what it gives.
func FuzzFrame(f *testing.F) {
	store := newStore(f, nodeID(alpha, "a1"))
	room := roomID(alpha, "ops")
	store.create(room, alpha, beta)
	eventually(f, "created", func() bool { return store.seq(room) == 1 })
	page, _ := store.Read(room, 0, pageBytes)
	hash := groups.Hash{}
	sub := submission(room, deviceID(beta, "bob"), "x")
	for lane, m := range map[int]*linkv1.Frame{
		0: {Offers: []*linkv1.Offer{{Room: string(room), Owner: "x"}}, Subscribes: []*linkv1.Subscribe{{Room: string(room), Hash: hash[:]}},
			Closed: []*linkv1.Closed{{Why: &linkv1.Refusal{Kind: "busy"}}},
			Calls:  []*linkv1.Call{{Ask: &linkv1.Call_Claim{Claim: &linkv1.Claim{Users: []string{"mimi://alpha.example/u/alice"}}}}}},
		1: {Entries: []*linkv1.RoomEntries{{Entries: [][]byte{page.Entries[0].Bytes}, Head: page.Head.Marshal()}},
			Submissions: []*linkv1.Submission{{Kind: uint32(groups.KindMessage), Room: string(room), Id: sub.ID[:], Device: string(sub.Device)}}},
		2: {Outcomes: []*linkv1.Outcome{{Request: 1, Hash: hash[:]}}, Acks: []*linkv1.Ack{{Subscription: 1, Seq: 1}}},
		3: {},
	} {
		b, _ := proto.Marshal(m)
		f.Add(lane, b)
	}
	f.Fuzz(func(t *testing.T, lane int, in []byte) {
		parseBlobRequest(in)
		parseSignal(in)
		parseNodeRooms(in)
		parseMeta(alpha, string(nodeID(alpha, "a1")), in)
		m, err := parseFrame(lane&3, in)
		if err != nil {
			return
		}
		var j join
		j.reset(0)
		for _, e := range m.Entries {
			if p := parsePiece(lane&3, e); p.err == nil && lane&3 < laneReceipts {
				j.add(lane&3, p.entries)
				j.take()
			}
		}
		for _, s := range m.Submissions {
			parseSubmission(s)
		}
		for _, a := range m.Answers {
			newHarvest().add("", &linkv1.Claim{}, a.GetClaim())
		}
		for _, c := range m.Closed {
			remote("", c.Why)
		}
		again, err := proto.Marshal(m)
		if err != nil {
			t.Fatalf("a frame that was read can not be written: %v", err)
		}
		if m2, err := parseFrame(lane&3, again); err != nil || !proto.Equal(m, m2) {
			t.Fatalf("a frame changed: %v", err)
		}
	})
}

// FuzzLinkDispatch: a live link takes any sequence of frames of a proved peer:
// it goes on or ends, and never panics or accepts what breaks the chain.
func FuzzLinkDispatch(f *testing.F) {
	b, _ := proto.Marshal(&linkv1.Frame{Subscribes: []*linkv1.Subscribe{{Room: string(roomID(alpha, "ops")), Subscription: 1, Hash: make([]byte, 32)}}})
	f.Add(0, b)
	b, _ = proto.Marshal(&linkv1.Frame{Offers: []*linkv1.Offer{{Room: string(roomID(beta, "ops")), Seq: 5}}})
	f.Add(0, b)
	b, _ = proto.Marshal(&linkv1.Frame{Acks: []*linkv1.Ack{{Subscription: 1, Seq: 1 << 60}}})
	f.Add(2, b)
	pki := newPKI(f, alpha, beta)
	a := start(f, pki, nodeID(alpha, "a1"), peering(beta))
	peer := start(f, pki, nodeID(beta, "b1"), peering(alpha, a))
	a.store.create(roomID(alpha, "ops"), alpha, beta)
	peer.store.create(roomID(beta, "ops"), alpha, beta)
	eventually(f, "linked", func() bool { return a.store.seq(roomID(beta, "ops")) == 1 })
	f.Fuzz(func(t *testing.T, lane int, in []byte) {
		links := a.linksOf(beta)
		if len(links) == 0 {
			t.Skip("the link is being opened again")
		}
		lane &= 3
		m, err := parseFrame(lane, in)
		if err == nil && lane < laneCount {
			links[0].handle(links[0].ctx, lane, m)
		}
		if a.store.seq(roomID(alpha, "ops")) < 1 || a.store.seq(roomID(beta, "ops")) != 1 {
			t.Fatal("a log changed")
		}
	})
}
