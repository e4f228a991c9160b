package gateway

import (
	"context"
	"slices"
	"testing"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

func past(room groups.RoomID, seq groups.Seq) *devicev1.TailRequest {
	return &devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(room, seq)}, History: true}
}

// "a member may read the log from seq 1 where the room's policy History != none"
func TestMemberReadsThePastWhereThePolicySaysSo(t *testing.T) {
	f := serve(t, nil)
	a, b := f.login(alice, f.http2()), f.login(bob, f.http2())
	a.must(testRoom, groups.KindCreate, "1")
	a.must(testRoom, groups.KindMessage, "2")
	a.must(testRoom, groups.KindCommit, "add "+string(bob))
	nothing := func(why string, m *devicev1.TailRequest) {
		t.Helper()
		r := b.tail(m).all()
		if len(r.bodies) != 0 || len(r.closed) != 1 || r.closed[0].Why != notReadable || r.err != nil {
			t.Errorf("%s: %v, closed %v, %v", why, r.bodies, r.closed, r.err)
		}
	}
	nothing("without history", past(testRoom, 0))
	nothing("of no room", past("mimi://alpha.example/r/none", 0))
	a.must(testRoom, groups.KindCommit, "history all")
	if r := b.tail(past(testRoom, 0)).all(); len(r.bodies[string(testRoom)]) != 4 || len(r.welcomes) != 0 || r.caughtUp != 1 {
		t.Errorf("with history: %v", r.bodies)
	}
	if r := b.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, 0)}}).all(); len(r.bodies[string(testRoom)]) != 2 {
		t.Errorf("an ordinary tail begins before the stay: %v", r.bodies)
	}
	if r := b.tail(past(testRoom, 3)).all(); len(r.bodies[string(testRoom)]) != 1 {
		t.Errorf("from a cursor: %v", r.bodies)
	}
	a.must(testRoom, groups.KindCommit, "remove "+string(bob))
	nothing("who was removed", past(testRoom, 0))

	for _, m := range []*devicev1.TailRequest{
		{AllRooms: true, History: true},
		{History: true},
		{History: true, Cursors: []*devicev1.Cursor{cursor(testRoom, 0), cursor(testRoom, 1)}},
		{History: true, Cursors: []*devicev1.Cursor{cursor("ops", 0)}},
	} {
		refused(t, a.tail(m).all().err, groups.Invalid)
	}
}

// "Readers ... tail the log through their gateway", live, and are told neither
// signals nor what comes after the policy stops naming them; they send nothing.
func TestReadersTailWithoutBeingMembers(t *testing.T) {
	f := serve(t, nil)
	a, b := f.login(alice, f.http2()), f.login(bob, f.http2())
	a.must(testRoom, groups.KindCreate, "1")
	a.must(testRoom, groups.KindCommit, "readers "+string(testSite))
	m := past(testRoom, 0)
	m.Follow = true
	r := b.tail(m)
	r.until("caught up", func() bool { return r.caughtUp == 1 })
	describe := connect.NewRequest(&devicev1.DescribeRoomRequest{Room: string(testRoom)})
	if d, err := b.DescribeRoom(context.Background(), describe); err != nil || d.Msg.Room.Seq != 2 || d.Msg.Room.JoinedSeq != 0 {
		t.Errorf("describe: %v, %v", d, err)
	}
	_, err := b.Submit(context.Background(), connect.NewRequest(&devicev1.SubmitRequest{Submission: submission(testRoom, groups.KindMessage, "x")}))
	refused(t, err, groups.Denied)
	_, err = b.Signal(context.Background(), connect.NewRequest(&devicev1.SignalRequest{Room: string(testRoom), Payload: []byte("x")}))
	refused(t, err, groups.NotFound)
	f.server.Signal(testRoom, phone, []byte("for members"))
	a.must(testRoom, groups.KindMessage, "3")
	r.until("a live message", func() bool { return r.last[string(testRoom)] == 3 })
	a.must(testRoom, groups.KindCommit, "readers none.example")
	a.must(testRoom, groups.KindMessage, "secret")
	r.until("the end", func() bool { return len(r.closed) == 1 })
	if len(r.signals) != 0 || slices.Contains(r.bodies[string(testRoom)], "secret") || r.closed[0].Seq != 3 {
		t.Errorf("a reader got %v and signals %v, closed %v", r.bodies, r.signals, r.closed)
	}
	_, err = b.DescribeRoom(context.Background(), describe)
	refused(t, err, groups.NotFound)
}
