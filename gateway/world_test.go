package gateway

import (
	"context"
	"crypto"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/groups"
	"parley/mls/wire"
)

// A world is everything a gateway asks, in memory. It keeps the contracts of
// contracts.go: bytes are shared, memberships are visible with their entries,
// done is called once and after the entry is in the log.
//
// A commit's body is a command: "add DEVICE", "remove DEVICE", "history" or
// "readers SITE", where none is said for nobody.
type world struct {
	mu       sync.Mutex
	now      func() time.Time
	rooms    map[groups.RoomID]*worldRoom
	watchers map[groups.DeviceID][]*watcher
	welcomes map[groups.DeviceID][]groups.Welcome
	cursors  map[groups.DeviceID]map[groups.RoomID]groups.Seq
	packages map[groups.DeviceID][]groups.KeyPackage
	seen     map[groups.DeviceID]time.Time
	blobs    map[groups.Hash]*worldBlob
	certs    map[string]worldCert // by certificate bytes
	sent     []signal
	hold     chan struct{} // if set, outcomes wait until it is closed
	held     sync.WaitGroup
}

type worldRoom struct {
	entries  []groups.Stored
	members  map[groups.DeviceID]groups.Membership
	watchers []*watcher
	readers  []groups.SiteID
	history  groups.HistoryMode
	broken   error // what Read answers
	reads    int
}

type watcher struct{ wake func() }

type worldBlob struct {
	size uint64
	data []byte
}

type worldCert struct {
	device   groups.DeviceID
	key      crypto.PublicKey
	notAfter time.Time
}

func newWorld() *world {
	return &world{
		now: time.Now, rooms: make(map[groups.RoomID]*worldRoom), watchers: make(map[groups.DeviceID][]*watcher),
		welcomes: make(map[groups.DeviceID][]groups.Welcome), cursors: make(map[groups.DeviceID]map[groups.RoomID]groups.Seq),
		packages: make(map[groups.DeviceID][]groups.KeyPackage), seen: make(map[groups.DeviceID]time.Time),
		blobs: make(map[groups.Hash]*worldBlob), certs: make(map[string]worldCert),
	}
}

// Submit appends and answers from another goroutine, as a committer would.
func (w *world) Submit(sub groups.Submission, done func(groups.Outcome)) {
	w.mu.Lock()
	o := w.accept(sub)
	wakes := w.wakes(sub.Room)
	hold := w.hold
	w.held.Add(1) // before anybody can see the entry, and stop the server
	w.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
	go func() { // held waits for it
		defer w.held.Done()
		if hold != nil {
			<-hold
		}
		done(o)
	}()
}

// accept is called with mu held.
func (w *world) accept(sub groups.Submission) groups.Outcome {
	o := groups.Outcome{ID: sub.ID}
	r := w.rooms[sub.Room]
	switch {
	case r == nil && sub.Kind == groups.KindCreate:
		r = &worldRoom{members: map[groups.DeviceID]groups.Membership{sub.Device: {Room: sub.Room, Stay: groups.Stay{Joined: 1}}}}
		w.rooms[sub.Room] = r
	case r == nil:
		o.Err = groups.Errorf(groups.NotFound, "no room %s", sub.Room)
		return o
	case r.members[sub.Device].Joined == 0 || r.members[sub.Device].Left != 0:
		o.Err = groups.Errorf(groups.Denied, "not a member")
		return o
	case string(sub.Body) == "stale":
		o.Err = &groups.Error{Kind: groups.StaleEpoch, Text: "another commit won", Epoch: 7, Seq: 42}
		return o
	case string(sub.Body) == "remote":
		o.Err = &groups.RemoteError{Peer: "hub", Kind: groups.KeyStale, Text: "old key"}
		return o
	case string(sub.Body) == "broken":
		o.Err = groups.Errorf(groups.Internal, "secret detail")
		return o
	}
	e := w.append(r, sub.Room, sub.Kind, sub.Body)
	if sub.Kind == groups.KindCommit {
		w.change(r, sub.Room, e, string(sub.Body))
	}
	o.Receipt = groups.Receipt{Room: sub.Room, ID: sub.ID, Seq: e.Seq, Hash: e.Hash()}
	o.Head = w.head(sub.Room, r)
	return o
}

// change does what a commit says; called with mu held.
func (w *world) change(r *worldRoom, room groups.RoomID, e *groups.Entry, body string) {
	verb, name, _ := strings.Cut(body, " ")
	device := groups.DeviceID(name)
	switch verb {
	case "add":
		m := r.members[device]
		m.Room, m.Before = room, slices.Clone(m.Before) // those handed out stay as they are
		m.Enter(e.Seq)
		r.members[device] = m
		w.welcomes[device] = append(w.welcomes[device], groups.Welcome{
			Room: room, Seq: e.Seq, Bytes: []byte("welcome"), EntryHash: e.Hash(), Head: w.head(room, r),
		})
	case "history":
		r.history = groups.HistoryAll
		if name == "none" {
			r.history = groups.HistoryNone
		}
	case "readers":
		r.readers = []groups.SiteID{groups.SiteID(name)}
	case "remove":
		m := r.members[device]
		m.Leave(e.Seq)
		r.members[device] = m
	}
}

// append is called with mu held.
func (w *world) append(r *worldRoom, room groups.RoomID, k groups.EntryKind, body []byte) *groups.Entry {
	e := &groups.Entry{EntryHeader: groups.EntryHeader{Room: room, Seq: groups.Seq(len(r.entries) + 1), Kind: k, BodyHash: sha256.Sum256(body)}, Body: body}
	r.entries = append(r.entries, groups.Stored{Seq: e.Seq, Kind: k, Bytes: e.Marshal()})
	return e
}

func (w *world) head(room groups.RoomID, r *worldRoom) *groups.SignedHead {
	return &groups.SignedHead{Head: groups.Head{Room: room, Seq: groups.Seq(len(r.entries))}, Signature: make([]byte, 64)}
}

// wakes lists whom a change of a room wakes; called with mu held.
func (w *world) wakes(room groups.RoomID) []func() {
	var out []func()
	r := w.rooms[room]
	if r == nil {
		return nil
	}
	for _, x := range r.watchers {
		out = append(out, x.wake)
	}
	for d := range r.members {
		for _, x := range w.watchers[d] {
			out = append(out, x.wake)
		}
	}
	return out
}

func (w *world) Read(room groups.RoomID, after groups.Seq, maxBytes int) (groups.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rooms[room]
	if r == nil {
		return groups.Page{}, groups.Errorf(groups.NotFound, "no room %s", room)
	}
	r.reads++
	if r.broken != nil {
		return groups.Page{}, r.broken
	}
	p := groups.Page{Head: w.head(room, r)}
	if int(after) >= len(r.entries) {
		return p, nil
	}
	n, size := int(after), 0
	for n < len(r.entries) && (size == 0 || size+len(r.entries[n].Bytes) <= maxBytes) {
		size += len(r.entries[n].Bytes)
		n++
	}
	p.Entries = r.entries[after:n:n]
	return p, nil
}

func (w *world) Watch(room groups.RoomID, wake func()) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rooms[room]
	if r == nil {
		r = new(worldRoom)
	}
	x := &watcher{wake}
	r.watchers = append(r.watchers, x)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		r.watchers = slices.DeleteFunc(r.watchers, func(o *watcher) bool { return o == x })
	}
}

func (w *world) WatchDevice(device groups.DeviceID, wake func()) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := &watcher{wake}
	w.watchers[device] = append(w.watchers[device], x)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watchers[device] = slices.DeleteFunc(w.watchers[device], func(o *watcher) bool { return o == x })
	}
}

func (w *world) watching() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, r := range w.rooms {
		n += len(r.watchers)
	}
	for _, ws := range w.watchers {
		n += len(ws)
	}
	return n
}

func (w *world) Room(room groups.RoomID) (groups.RoomInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rooms[room]
	if r == nil {
		return groups.RoomInfo{}, groups.Errorf(groups.NotFound, "no room %s", room)
	}
	return groups.RoomInfo{Room: room, Owner: testNode, Owned: true, Members: len(r.members), Head: w.head(room, r).Head, Sites: []groups.SiteID{testSite},
		Readers: slices.Clone(r.readers), History: r.history}, nil
}

func (w *world) RoomsOf(device groups.DeviceID) ([]groups.Membership, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []groups.Membership
	for _, r := range w.rooms {
		if m, ok := r.members[device]; ok {
			out = append(out, m)
		}
	}
	return out, nil
}

func (w *world) Membership(room groups.RoomID, device groups.DeviceID) (groups.Membership, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.rooms[room]; r != nil {
		m, ok := r.members[device]
		return m, ok
	}
	return groups.Membership{}, false
}

func (w *world) Members(room groups.RoomID) ([]groups.DeviceID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []groups.DeviceID
	for d, m := range w.rooms[room].members {
		if m.Left == 0 {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (w *world) GroupInfo(room groups.RoomID) ([]byte, groups.Head, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []byte("group info"), w.head(room, w.rooms[room]).Head, nil
}

func (w *world) Welcomes(device groups.DeviceID) ([]groups.Welcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.welcomes[device]), nil
}

func (w *world) ForgetWelcome(device groups.DeviceID, room groups.RoomID, seq groups.Seq) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.welcomes[device] = slices.DeleteFunc(w.welcomes[device], func(x groups.Welcome) bool { return x.Room == room && x.Seq == seq })
	return nil
}

func (w *world) SaveCursors(device groups.DeviceID, cursors map[groups.RoomID]groups.Seq) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cursors[device] == nil {
		w.cursors[device] = make(map[groups.RoomID]groups.Seq)
	}
	for r, s := range cursors {
		w.cursors[device][r] = max(s, w.cursors[device][r])
	}
	return nil
}

func (w *world) Cursors(device groups.DeviceID) (map[groups.RoomID]groups.Seq, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[groups.RoomID]groups.Seq)
	for r, s := range w.cursors[device] {
		out[r] = s
	}
	return out, nil
}

func (w *world) PutKeyPackages(device groups.DeviceID, packages []groups.KeyPackage) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packages[device] = append(w.packages[device], packages...)
	return len(w.packages[device]), nil
}

func (w *world) CountKeyPackages(device groups.DeviceID) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.packages[device]), nil
}

func (w *world) Claim(_ context.Context, users []groups.UserID, _ groups.RoomID, suite wire.CipherSuite) ([]groups.KeyPackage, map[groups.UserID]error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []groups.KeyPackage
	failed := make(map[groups.UserID]error)
	for _, u := range users {
		before := len(out)
		for d, ps := range w.packages {
			if d.User() == u && len(ps) > 0 && ps[0].Suite == suite {
				out = append(out, ps[0])
				w.packages[d] = ps[1:]
			}
		}
		if len(out) == before {
			failed[u] = groups.Errorf(groups.NotFound, "%s has no key packages", u)
		}
	}
	return out, failed
}

func (w *world) Devices(_ context.Context, user groups.UserID) ([]groups.DeviceRecord, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []groups.DeviceRecord
	for d, at := range w.seen {
		if d.User() == user {
			out = append(out, groups.DeviceRecord{Device: d, KeyPackages: len(w.packages[d]), LastSeen: uint64(at.UnixMilli())})
		}
	}
	return out, nil
}

func (w *world) SawDevice(device groups.DeviceID, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[device] = now
}

func (w *world) StatBlob(hash groups.Hash) (have, size uint64, complete bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.blobs[hash]
	if b == nil {
		return 0, 0, false, groups.Errorf(groups.NotFound, "no such blob")
	}
	return uint64(len(b.data)), b.size, uint64(len(b.data)) == b.size, nil
}

func (w *world) PutBlob(hash groups.Hash, size, offset uint64, chunk []byte) (uint64, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.blobs[hash]
	if b == nil {
		b = &worldBlob{size: size}
	}
	switch have := uint64(len(b.data)); {
	case offset%groups.BlobChunk != 0 || uint64(len(chunk)) != min(groups.BlobChunk, size-offset):
		return have, false, groups.Errorf(groups.Invalid, "not a chunk")
	case offset < have:
		return have, have == b.size, nil
	case offset > have:
		return have, false, groups.Errorf(groups.Conflict, "a gap")
	}
	w.blobs[hash] = b
	b.data = append(b.data, chunk...)
	if uint64(len(b.data)) == b.size && groups.HashOf(b.data) != hash {
		delete(w.blobs, hash)
		return 0, false, groups.Errorf(groups.Invalid, "content is not its hash")
	}
	return uint64(len(b.data)), uint64(len(b.data)) == b.size, nil
}

func (w *world) ReadBlob(hash groups.Hash, offset uint64, n int) ([]byte, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.blobs[hash]
	if b == nil || uint64(len(b.data)) != b.size {
		return nil, 0, groups.Errorf(groups.NotFound, "no such blob")
	}
	rest := b.data[min(offset, b.size):]
	return rest[:min(n, len(rest))], b.size, nil
}

func (w *world) Device(chain [][]byte, now time.Time) (groups.DeviceID, crypto.PublicKey, time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.certs[string(chain[0])]
	if !ok {
		return "", nil, time.Time{}, groups.Errorf(groups.Denied, "unknown authority")
	}
	return c.device, c.key, c.notAfter, nil
}

func (w *world) Signal(room groups.RoomID, device groups.DeviceID, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, signal{room, device, payload})
}
