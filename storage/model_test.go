package storage

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"parley/groups"
	"parley/mls"
)

// A model is what a store has promised.
type model struct {
	t       *rapid.T
	test    *testing.T
	config  Config
	store   *Store
	rooms   []*member
	logs    map[groups.RoomID][]groups.Hash       // of headers
	subs    map[groups.RoomID][]groups.Submission // accepted, by seq
	cursors map[groups.RoomID]groups.Seq          // of one device, synced
	saved   map[groups.RoomID]groups.Seq          // of it, perhaps not synced
	keys    map[groups.DeviceID][]string          // oldest first
	blobs   map[groups.Hash][]byte                // complete
}

// TestStoreKeepsItsPromises drives a store with random calls, closes and
// crashes, and compares it with a model.
func TestStoreKeepsItsPromises(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		f.Value.Set("4") // each opens many stores
		defer f.Value.Set(f.DefValue)
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		m := &model{t: rt, test: t, config: testConfig(alpha, dir),
			logs: make(map[groups.RoomID][]groups.Hash), subs: make(map[groups.RoomID][]groups.Submission),
			cursors: make(map[groups.RoomID]groups.Seq), saved: make(map[groups.RoomID]groups.Seq),
			keys: make(map[groups.DeviceID][]string), blobs: make(map[groups.Hash][]byte)}
		m.open()
		defer func() { m.store.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.create, "talk": m.talk, "commit": m.commit, "repeat": m.repeat,
			"read": m.read, "cursor": m.cursor, "publish": m.publish, "take": m.take,
			"blob": m.blob, "close": m.reopen, "crash": m.crash, "": m.check,
		})
	})
}

func (m *model) open() {
	s, err := Open(m.config)
	if err != nil {
		m.t.Fatal(err)
	}
	m.store = s
}

func (m *model) room(t *rapid.T) *member {
	if len(m.rooms) == 0 {
		t.Skip("no room yet")
	}
	return rapid.SampledFrom(m.rooms).Draw(t, "room")
}

func (m *model) accepted(t *rapid.T, sub groups.Submission, out groups.Outcome) {
	log := append(m.logs[sub.Room], out.Receipt.Hash)
	if out.Err != nil || out.Receipt.Seq != groups.Seq(len(log)) || out.Receipt.ID != sub.ID {
		t.Fatalf("%+v, want seq %d", out, len(log))
	}
	m.logs[sub.Room], m.subs[sub.Room] = log, append(m.subs[sub.Room], sub)
}

func (m *model) create(t *rapid.T) {
	if len(m.rooms) == 3 {
		t.Skip("enough rooms")
	}
	n := len(m.rooms)
	who := newMember(m.test, deviceID(m.test, alpha, fmt.Sprint("user", n), "d"))
	sub := who.create(roomID(m.test, fmt.Sprint("room", n)))
	m.accepted(t, sub, submit(m.store, sub))
	m.rooms = append(m.rooms, who)
}

func (m *model) talk(t *rapid.T) {
	who := m.room(t)
	n := rapid.IntRange(1, 40).Draw(t, "messages")
	size := rapid.SampledFrom([]int{1, 300, 5000, groups.MaxBody / 2}).Draw(t, "size")
	if size > 5000 {
		n = 1
	}
	outs := make(chan groups.Outcome, n)
	var subs []groups.Submission
	for range n {
		sub := plain(who.room, who.group.Epoch(), who.stamp(newID()), make([]byte, size))
		subs = append(subs, sub)
		m.store.Submit(sub, func(o groups.Outcome) { outs <- o })
	}
	for _, sub := range subs {
		m.accepted(t, sub, <-outs) // receipts of a room come in its order
	}
}

func (m *model) commit(t *rapid.T) {
	who := m.room(t)
	sub, p := who.commit(mls.CommitOptions{})
	m.accepted(t, sub, submit(m.store, sub))
	who.group = p.Next
}

func (m *model) repeat(t *rapid.T) {
	who := m.room(t)
	i := rapid.IntRange(0, len(m.subs[who.room])-1).Draw(t, "which")
	out := submit(m.store, m.subs[who.room][i])
	if out.Err != nil || out.Receipt.Seq != groups.Seq(i+1) || out.Receipt.Hash != m.logs[who.room][i] {
		t.Fatalf("again %d: %+v", i+1, out)
	}
}

func (m *model) read(t *rapid.T) {
	who := m.room(t)
	log := m.logs[who.room]
	after := rapid.IntRange(0, len(log)+1).Draw(t, "after")
	page, err := m.store.Read(who.room, groups.Seq(after), rapid.IntRange(0, 20_000).Draw(t, "bytes"))
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Entries) == 0 && after < len(log) {
		t.Fatalf("nothing after %d of %d", after, len(log))
	}
	for i, st := range page.Entries {
		e, err := groups.ParseEntry(st.Bytes)
		if err != nil || e.Seq != groups.Seq(after+i+1) || e.EntryHeader.Hash() != log[after+i] {
			t.Fatalf("entry %d of the page after %d: %+v, %v", i, after, e, err)
		}
	}
}

func (m *model) cursor(t *rapid.T) {
	who := m.room(t)
	seq := groups.Seq(rapid.IntRange(0, len(m.logs[who.room])).Draw(t, "cursor"))
	if err := m.store.SaveCursors("mimi://alpha.example/d/reader/d", map[groups.RoomID]groups.Seq{who.room: seq}); err != nil {
		t.Fatal(err)
	}
	m.saved[who.room] = max(m.saved[who.room], seq)
}

func (m *model) publish(t *rapid.T) {
	d := deviceID(m.test, alpha, "keys", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "device"))
	n := rapid.IntRange(1, 90).Draw(t, "packages")
	var list []groups.KeyPackage
	for range n {
		id := newID()
		list = append(list, groups.KeyPackage{Device: d, Suite: 1, Bytes: id[:]})
		m.keys[d] = append(m.keys[d], string(id[:]))
	}
	m.keys[d] = m.keys[d][max(0, len(m.keys[d])-groups.MaxKeyPackages):]
	if got, err := m.store.PutKeyPackages(d, list); err != nil || got != len(m.keys[d]) {
		t.Fatalf("%d packages, %v, want %d", got, err, len(m.keys[d]))
	}
}

func (m *model) take(t *rapid.T) {
	user := deviceID(m.test, alpha, "keys", "a").User()
	list, err := m.store.TakeKeyPackages(user, 1)
	var want []string
	for _, name := range []string{"a", "b"} {
		d := deviceID(m.test, alpha, "keys", name)
		if len(m.keys[d]) > 0 {
			want = append(want, m.keys[d][0])
			m.keys[d] = m.keys[d][1:]
		}
	}
	var got []string
	for _, p := range list {
		got = append(got, string(p.Bytes))
	}
	if !slices.Equal(got, want) || (len(want) == 0) != (groups.KindOf(err) == groups.NotFound && err != nil) {
		t.Fatalf("took %x, %v, want %x", got, err, want)
	}
}

func (m *model) blob(t *rapid.T) {
	b := someBytes(rapid.IntRange(1, 3*groups.BlobChunk).Draw(t, "size"))
	h := groups.HashOf(b)
	_, complete, err := uploadBlob(m.store, h, b, rapid.IntRange(1, 4).Draw(t, "chunks"))
	if err != nil {
		t.Fatal(err)
	}
	if complete {
		m.blobs[h] = b
	}
}

func (m *model) reopen(t *rapid.T) {
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
	for room, seq := range m.saved {
		m.cursors[room] = seq
	}
	m.open()
}

// crash goes on with a copy of the directory as it stands while it is in use.
func (m *model) crash(t *rapid.T) {
	to := crash(m.test, m.config.Dir)
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(m.config.Dir)
	m.config.Dir = to
	m.open()
	got, err := m.store.Cursors("mimi://alpha.example/d/reader/d")
	if err != nil {
		t.Fatal(err)
	}
	m.saved = got // a second of cursors may be gone
}

func (m *model) check(t *rapid.T) {
	for _, who := range m.rooms {
		log := m.logs[who.room]
		in, err := m.store.Room(who.room)
		if err != nil || in.Parked != "" || in.Head.Seq != groups.Seq(len(log)) || in.Head.Hash != log[len(log)-1] || uint64(in.Head.Epoch) != who.group.Epoch() {
			t.Fatalf("%+v, %v, want %d", in, err, len(log))
		}
	}
	got, err := m.store.Cursors("mimi://alpha.example/d/reader/d")
	if err != nil {
		t.Fatal(err)
	}
	for room, seq := range m.cursors {
		if got[room] < seq || got[room] > m.saved[room] {
			t.Fatalf("cursor %d, want between %d and %d", got[room], seq, m.saved[room])
		}
	}
	for h, b := range m.blobs {
		if got, size, err := m.store.ReadBlob(h, 0, 10); err != nil || size != uint64(len(b)) || string(got) != string(b[:min(10, len(b))]) {
			t.Fatalf("blob of %d: %v", len(b), err)
		}
	}
}
