package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// A reader collects what a tail sends.
type reader struct {
	t      testing.TB
	stream *connect.ServerStreamForClient[devicev1.TailResponse]
	cancel context.CancelFunc

	bodies   map[string][]string // by room
	last     map[string]groups.Seq
	welcomes []*devicev1.Welcome
	closed   []*devicev1.RoomClosed
	signals  []*devicev1.SignalEvent
	caughtUp int
	err      error
}

func (c *caller) tail(m *devicev1.TailRequest) *reader {
	c.f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	s, err := c.Tail(ctx, connect.NewRequest(m))
	if err != nil {
		c.f.t.Fatal(err)
	}
	r := &reader{t: c.f.t, stream: s, cancel: cancel, bodies: map[string][]string{}, last: map[string]groups.Seq{}}
	c.f.t.Cleanup(r.close)
	return r
}

func (r *reader) close() {
	r.cancel()
	r.stream.Close()
}

// next takes one response, false at the end.
func (r *reader) next() bool {
	if !r.stream.Receive() {
		r.err = r.stream.Err()
		return false
	}
	m := r.stream.Msg()
	r.welcomes = append(r.welcomes, m.Welcomes...)
	defer func() { r.closed = append(r.closed, m.Closed...) }() // it is read after the rooms
	r.signals = append(r.signals, m.Signals...)
	if m.CaughtUp {
		r.caughtUp++
	}
	for _, x := range m.Rooms {
		head, err := groups.ParseSignedHead(x.Head)
		if err != nil {
			r.t.Fatalf("head: %v", err)
		}
		for _, b := range x.Entries {
			e, err := groups.ParseEntry(b)
			if err != nil {
				r.t.Fatalf("entry: %v", err)
			}
			if last := r.last[x.Room]; last != 0 && e.Seq != last+1 && !r.ended(x.Room) {
				r.t.Fatalf("%s: entry %d after %d (I4)", x.Room, e.Seq, last)
			}
			r.last[x.Room] = e.Seq
			r.bodies[x.Room] = append(r.bodies[x.Room], string(e.Body))
		}
		if head.Head.Seq < r.last[x.Room] {
			r.t.Fatalf("%s: head %d before entry %d", x.Room, head.Head.Seq, r.last[x.Room])
		}
	}
	return true
}

// ended says whether a room was closed, so that it may begin anew.
func (r *reader) ended(room string) bool {
	return slices.ContainsFunc(r.closed, func(c *devicev1.RoomClosed) bool { return c.Room == room })
}

// until takes responses until something is so.
func (r *reader) until(what string, is func() bool) {
	r.t.Helper()
	for !is() {
		if !r.next() {
			r.t.Fatalf("the tail ended before %s: %v", what, r.err)
		}
	}
}

// all takes responses until the end.
func (r *reader) all() *reader {
	for r.next() {
	}
	return r
}

func cursor(room groups.RoomID, seq groups.Seq) *devicev1.Cursor {
	return &devicev1.Cursor{Room: string(room), Seq: uint64(seq)}
}

// "Live delivery, catch-up after a week and a new device are the same loop."
func TestTailCatchesUpAndFollows(t *testing.T) {
	f := serve(t, nil)
	for name, h := range map[string]*http.Client{"http1": f.http1(), "http2": f.http2(), "http3": f.http3()} {
		t.Run(name, func(t *testing.T) {
			c := f.login(alice, h)
			room := groups.RoomID("mimi://alpha.example/r/" + name)
			c.must(room, groups.KindCreate, "0")
			for i := range 20 {
				c.must(room, groups.KindMessage, fmt.Sprint(i+1))
			}
			r := c.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(room, 5)}, Follow: true})
			r.until("caught up", func() bool { return r.caughtUp == 1 })
			if got := r.bodies[string(room)]; len(got) != 16 || got[0] != "5" {
				t.Fatalf("after 5 of 21: %v", got)
			}
			for i := range 20 {
				c.must(room, groups.KindMessage, fmt.Sprint(i+21))
			}
			r.until("all live entries", func() bool { return len(r.bodies[string(room)]) == 36 })
			if r.caughtUp != 1 {
				t.Errorf("caught up %d times", r.caughtUp)
			}
			once := c.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(room, 0)}}).all()
			if once.err != nil || len(once.bodies[string(room)]) != 41 || once.caughtUp != 1 {
				t.Errorf("without follow: %d entries, %v", len(once.bodies[string(room)]), once.err)
			}
		})
	}
}

// "resumes from its cursor": a large log comes in many responses, and a reader
// that breaks off goes on where it was.
func TestTailResumes(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.PageBytes = 4 << 10 })
	c := f.login(alice, f.http2())
	body := string(make([]byte, 1000))
	c.must(testRoom, groups.KindCreate, "x")
	for range 100 {
		c.must(testRoom, groups.KindMessage, body)
	}
	var got groups.Seq
	for range 3 {
		r := c.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, got)}, Follow: true})
		r.last[string(testRoom)] = got
		r.next()
		got = r.last[string(testRoom)]
		r.close()
	}
	if got >= 101 {
		t.Fatal("all came at once: this proves nothing")
	}
	r := c.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, got)}})
	r.last[string(testRoom)] = got
	if r.all(); r.last[string(testRoom)] != 101 || r.err != nil {
		t.Errorf("ended at %d: %v", r.last[string(testRoom)], r.err)
	}
}

func TestTailOfManyRooms(t *testing.T) {
	f := serve(t, nil)
	c := f.login(alice, f.http2())
	r := c.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
	r.until("caught up", func() bool { return r.caughtUp == 1 })
	name := func(i int) groups.RoomID { return groups.RoomID(fmt.Sprintf("mimi://alpha.example/r/%d", i)) }
	other := f.login(bob, f.http2())
	for i := range 20 {
		other.must(name(i), groups.KindCreate, "x")
		other.must(name(i), groups.KindMessage, "before alice")
		other.must(name(i), groups.KindCommit, "add "+string(alice))
		other.must(name(i), groups.KindMessage, "hello")
	}
	r.until("all rooms", func() bool {
		n := 0
		for _, b := range r.bodies {
			if len(b) == 2 && b[1] == "hello" {
				n++
			}
		}
		return n == 20 && len(r.welcomes) == 20
	})
	for room, b := range r.bodies {
		if slices.Contains(b, "before alice") {
			t.Errorf("%s: an entry from before the device joined", room)
		}
	}
	// Acknowledged entries do not come again, used Welcomes neither.
	ack := new(devicev1.AckRequest)
	for i := range 10 {
		ack.Cursors = append(ack.Cursors, cursor(name(i), 4))
		ack.Welcomes = append(ack.Welcomes, cursor(name(i), 3))
	}
	if _, err := c.Ack(context.Background(), connect.NewRequest(ack)); err != nil {
		t.Fatal(err)
	}
	again := c.tail(&devicev1.TailRequest{AllRooms: true}).all()
	if len(again.bodies) != 10 || len(again.welcomes) != 10 || again.err != nil {
		t.Errorf("after an ack of half: %d rooms, %d welcomes, %v", len(again.bodies), len(again.welcomes), again.err)
	}
}

// A removed device "gets entries up to and including the commit that removed
// it and nothing after".
func TestTailEndsWithRemoval(t *testing.T) {
	f := serve(t, nil)
	h := f.http2()
	a, b := f.login(alice, h), f.login(bob, h)
	a.must(testRoom, groups.KindCreate, "x")
	a.must(testRoom, groups.KindCommit, "add "+string(bob))
	live := b.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
	live.until("joined", func() bool { return live.last[string(testRoom)] == 2 })
	a.must(testRoom, groups.KindMessage, "for both")
	left := a.must(testRoom, groups.KindCommit, "remove "+string(bob))
	a.must(testRoom, groups.KindMessage, "secret")
	live.until("closed", func() bool { return len(live.closed) == 1 })
	late := b.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, 0)}}).all()
	after := b.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, 99)}}).all()
	for name, r := range map[string]*reader{"live": live, "late": late, "after": after} {
		if len(r.closed) != 1 || groups.Seq(r.closed[0].Seq) != left || r.closed[0].Room != string(testRoom) {
			t.Errorf("%s: closed %v, want at %d", name, r.closed, left)
		}
		if name != "after" && r.last[string(testRoom)] != left {
			t.Errorf("%s: ended at %d, want %d", name, r.last[string(testRoom)], left)
		}
		if slices.Contains(r.bodies[string(testRoom)], "secret") {
			t.Errorf("%s: an entry from after the removal", name)
		}
	}
	if len(after.bodies) != 0 {
		t.Error("entries although all were read")
	}
	stranger := f.login(phone, h).tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, 0)}, Follow: true})
	stranger.until("closed", func() bool { return len(stranger.closed) == 1 })
	if len(stranger.bodies) != 0 || stranger.caughtUp != 1 {
		t.Errorf("a stranger got %v", stranger.bodies)
	}

	// Added again: a new Welcome, and nothing from between.
	again := a.must(testRoom, groups.KindCommit, "add "+string(bob))
	live.until("joined again", func() bool { return live.last[string(testRoom)] == again || len(live.closed) > 1 })
}

// "a reader that does not take data for 30 s is disconnected (resumes from its
// cursor)"; the others do not notice.
func TestSlowReaderIsEnded(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.StallTimeout = 400 * time.Millisecond })
	for name, h := range map[string]*http.Client{"http1": f.http1(), "http2": f.http2(), "http3": f.http3()} {
		t.Run(name, func(t *testing.T) {
			c := f.login(alice, h)
			room := groups.RoomID("mimi://alpha.example/r/" + name)
			c.must(room, groups.KindCreate, "x")
			r := c.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
			r.next()
			f.world.mu.Lock()
			for range 40 {
				f.world.append(f.world.rooms[room], room, groups.KindMessage, make([]byte, 1<<20))
			}
			wakes := f.world.wakes(room)
			f.world.mu.Unlock()
			for _, wake := range wakes {
				wake()
			}
			eventually(t, "the tail is ended", func() bool { return f.world.watching() == 0 })
			r.all()
			if r.err == nil {
				t.Fatal("the stream ended as if complete")
			}
			last := r.last[string(room)]
			eventually(t, "all is read, however often it is resumed", func() bool {
				again := c.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(room, last)}})
				defer again.close()
				again.last[string(room)] = last
				again.all()
				last = again.last[string(room)]
				return last == 41 // a busy machine makes this a slow reader too
			})
		})
	}
}

// A quiet tail is not a slow reader.
func TestQuietTailLives(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.StallTimeout = 50 * time.Millisecond })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	r := c.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
	r.until("caught up", func() bool { return r.caughtUp == 1 })
	time.Sleep(300 * time.Millisecond)
	c.must(testRoom, groups.KindMessage, "y")
	r.until("the entry", func() bool { return r.last[string(testRoom)] == 2 })
}

// "session expiry ends streams"
func TestStreamEndsWithSession(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.SessionLife = 300 * time.Millisecond })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	r := c.tail(&devicev1.TailRequest{AllRooms: true, Follow: true}).all()
	refused(t, r.err, groups.Denied)
	if connect.CodeOf(r.err) != connect.CodeUnauthenticated {
		t.Errorf("code %s", connect.CodeOf(r.err))
	}
	s := f.login(alice, f.http2()).SubmitStream(context.Background())
	s.Send(nil)
	_, err := s.Receive()
	refused(t, err, groups.Denied)
	s.CloseRequest()
	s.CloseResponse()
}

// "Streams per device <= 16"
func TestStreamsAreBounded(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.Streams = 2 })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	open := func() *reader {
		r := c.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
		r.next()
		return r
	}
	first := open()
	open()
	refused(t, open().err, groups.Busy)
	first.close()
	eventually(t, "the place is free", func() bool { r := open(); defer r.close(); return r.err == nil })
}

func TestTailRequestRefused(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.TailRooms = 2 })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	for _, x := range []struct {
		name string
		kind groups.Kind
		m    *devicev1.TailRequest
	}{
		{"nothing", groups.Invalid, &devicev1.TailRequest{}},
		{"bad name", groups.Invalid, &devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor("ops", 0)}}},
		{"twice", groups.Invalid, &devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, 0), cursor(testRoom, 1)}}},
		{"too many", groups.TooLarge, &devicev1.TailRequest{Cursors: make([]*devicev1.Cursor, 3)}},
	} {
		t.Run(x.name, func(t *testing.T) { refused(t, c.tail(x.m).all().err, x.kind) })
	}
}

// One room that can not be read disturbs no other.
func TestBrokenRoom(t *testing.T) {
	f := serve(t, nil)
	c := f.login(alice, f.http2())
	const broken = groups.RoomID("mimi://alpha.example/r/broken")
	c.must(broken, groups.KindCreate, "x")
	c.must(testRoom, groups.KindCreate, "x")
	f.world.mu.Lock()
	f.world.rooms[broken].broken = errors.New("disk on fire")
	f.world.mu.Unlock()
	r := c.tail(&devicev1.TailRequest{AllRooms: true}).all()
	if r.err != nil || r.last[string(testRoom)] != 1 || len(r.closed) != 1 || r.closed[0].Room != string(broken) {
		t.Errorf("err %v, entries %v, closed %v", r.err, r.last, r.closed)
	}
}

// A million readers of one entry encode it once.
func TestPagesAreShared(t *testing.T) {
	f := serve(t, nil)
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	rs := newRings(f.world, Limits{}.withDefaults())
	var tails []*tailRoom
	for range 100 {
		tr := &tailRoom{tail: &tail{bell: make(chan struct{}, 1)}, room: testRoom}
		rs.join(tr)
		tails = append(tails, tr)
	}
	before := f.world.rooms[testRoom].reads
	for _, tr := range tails {
		if p, err := tr.ring.page(0); err != nil || p.upto != 1 {
			t.Fatal(p, err)
		}
	}
	if n := f.world.rooms[testRoom].reads - before; n != 1 {
		t.Errorf("%d reads for 100 tails", n)
	}
	c.must(testRoom, groups.KindMessage, "y")
	if p, _ := tails[0].ring.page(0); p.upto != 2 {
		t.Error("a stale page was sent")
	}
	for _, tr := range tails {
		rs.leave(tr)
	}
	if rs.shared.Load() != 0 || len(rs.m) != 0 {
		t.Errorf("%d bytes, %d rings are left", rs.shared.Load(), len(rs.m))
	}
}

// "Ephemeral signals": to who is online in the room, not to the sender.
func TestSignals(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.Signals = 5 })
	h := f.http2()
	a, b := f.login(alice, h), f.login(bob, h)
	a.must(testRoom, groups.KindCreate, "x")
	a.must(testRoom, groups.KindCommit, "add "+string(bob))
	ra := a.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
	rb := b.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
	ra.until("caught up", func() bool { return ra.caughtUp == 1 })
	rb.until("caught up", func() bool { return rb.caughtUp == 1 })
	send := func(c *caller, n int) error {
		_, err := c.Signal(context.Background(), connect.NewRequest(&devicev1.SignalRequest{Room: string(testRoom), Payload: make([]byte, n)}))
		return err
	}
	if err := send(a, groups.MaxSignal); err != nil {
		t.Fatal(err)
	}
	rb.until("the signal", func() bool { return len(rb.signals) == 1 })
	if s := rb.signals[0]; s.Device != string(alice) || s.Room != string(testRoom) || len(s.Payload) != groups.MaxSignal {
		t.Errorf("signal %v", s)
	}
	f.server.Signal(testRoom, "mimi://beta.example/d/carol/x", []byte("from afar"))
	ra.until("the signal from afar", func() bool { return len(ra.signals) == 1 })
	if s := ra.signals[0]; string(s.Payload) != "from afar" {
		t.Errorf("a device got its own signal: %v", s)
	}
	if len(f.world.sent) != 1 {
		t.Errorf("%d signals went out to other nodes", len(f.world.sent))
	}
	refused(t, send(a, groups.MaxSignal+1), groups.TooLarge)
	refused(t, send(f.login(phone, h), 1), groups.NotFound)
	err := error(nil)
	for range 50 {
		if err = send(a, 1); err != nil {
			break
		}
	}
	refused(t, err, groups.Busy)
}
