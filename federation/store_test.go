package federation

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/groups"
)

// A memStore keeps rooms, key packages and blobs in memory, with one committer
// goroutine as the real one has, and checks the hash chain of what it is given.
type memStore struct {
	node groups.NodeID
	wg   sync.WaitGroup
	wake chan struct{}
	quit chan struct{}

	mu       sync.Mutex
	rooms    map[groups.RoomID]*memRoom
	watch    map[groups.RoomID]map[int]func()
	watchAll map[int]func(groups.RoomID)
	serial   int
	ops      []func(*memBatch)
	keys     map[groups.UserID][]groups.KeyPackage
	blobs    map[groups.Hash]*memBlob
	signals  []string
	heard    chan struct{}
	learned  map[groups.Hash][]byte
	refuse   func(b groups.Batch) error // a fault
}

type memRoom struct {
	info     groups.RoomInfo
	entries  []groups.Stored
	attached map[groups.Seq][][]byte
	head     *groups.SignedHead
	receipts map[groups.SubmissionID]groups.Receipt
	gaveUp   bool
}

type memBlob struct {
	size uint64
	data []byte
	done bool
}

// A memBatch is what one commit of the store touched.
type memBatch struct {
	touched map[*memRoom]bool
	fresh   map[groups.RoomID]bool
	after   []func()
}

// fakeSigner signs heads with a hash: enough to notice a changed one.
type fakeSigner struct{ site groups.SiteID }

func (s fakeSigner) SignHeads(root groups.Hash) ([]byte, error) {
	h := sha256.Sum256(append([]byte(s.site), groups.HeadsTBS(root)...))
	return h[:], nil
}
func (s fakeSigner) Certificate() groups.Hash { return sha256.Sum256([]byte(s.site)) }

func (fakeSigner) VerifyHeads(site groups.SiteID, signer, root groups.Hash, sig []byte) error {
	s := fakeSigner{site}
	want, _ := s.SignHeads(root)
	if signer != s.Certificate() || !bytes.Equal(want, sig) {
		return groups.Errorf(groups.Denied, "head is not signed by %s", site)
	}
	return nil
}

func newStore(t testing.TB, node groups.NodeID) *memStore {
	s := &memStore{node: node, wake: make(chan struct{}, 1), quit: make(chan struct{}),
		rooms: make(map[groups.RoomID]*memRoom), watch: make(map[groups.RoomID]map[int]func()),
		watchAll: make(map[int]func(groups.RoomID)), keys: make(map[groups.UserID][]groups.KeyPackage),
		blobs: make(map[groups.Hash]*memBlob), heard: make(chan struct{}, 1),
		learned: make(map[groups.Hash][]byte)}
	s.learned[fakeSigner{node.Site()}.Certificate()] = []byte(node.Site())
	s.wg.Go(s.commit)
	t.Cleanup(func() { close(s.quit); s.wg.Wait() })
	return s
}

// commit is the committer: it drains what waits, signs once, then tells.
func (s *memStore) commit() {
	for {
		select {
		case <-s.wake:
		case <-s.quit:
			return
		}
		s.mu.Lock()
		ops := s.ops
		s.ops = nil
		b := &memBatch{touched: make(map[*memRoom]bool), fresh: make(map[groups.RoomID]bool)}
		for _, op := range ops {
			op(b)
		}
		var heads []groups.Head
		var owned []*memRoom
		for r := range b.touched {
			if r.info.Owned && (r.head == nil || r.head.Head.Seq < r.info.Head.Seq) {
				heads, owned = append(heads, r.info.Head), append(owned, r)
			}
		}
		signed, _ := groups.SignHeads(heads, fakeSigner{s.node.Site()})
		var wakes []func()
		for i, r := range owned {
			r.head = &signed[i]
		}
		for r := range b.touched {
			for _, w := range s.watch[r.info.Room] {
				wakes = append(wakes, w)
			}
		}
		for room := range b.fresh {
			for _, w := range s.watchAll {
				wakes = append(wakes, func() { w(room) })
			}
		}
		s.mu.Unlock()
		for _, f := range append(b.after, wakes...) {
			f()
		}
	}
}

func (s *memStore) do(op func(*memBatch)) {
	s.mu.Lock()
	s.ops = append(s.ops, op)
	s.mu.Unlock()
	poke(s.wake)
}

// create makes a room owned here with members in sites, its first entry included.
func (s *memStore) create(room groups.RoomID, sites ...groups.SiteID) {
	done := make(chan struct{})
	s.do(func(b *memBatch) {
		r := s.room(room)
		r.info.Owned, r.info.Owner = true, s.node
		s.append(b, r, groups.KindCreate, sitesBody(sites), nil)
		b.after = append(b.after, func() { close(done) })
	})
	<-done
}

// setSites changes a room's sites with a commit.
func (s *memStore) setSites(room groups.RoomID, sites ...groups.SiteID) {
	done := make(chan struct{})
	s.do(func(b *memBatch) {
		s.append(b, s.room(room), groups.KindCommit, sitesBody(sites), [][]byte{[]byte("group info")})
		b.after = append(b.after, func() { close(done) })
	})
	<-done
}

// sitesBody is the body of an entry that says which sites have members now.
func sitesBody(sites []groups.SiteID) []byte {
	b := []byte("sites")
	for _, s := range sites {
		b = append(append(b, ' '), s...)
	}
	return b
}

// follow takes the sites that an entry says; readers: before one says that it
// has no members, but readers.
func (r *memRoom) follow(e *groups.Entry) bool {
	if e.Kind == groups.KindMessage {
		return false
	}
	words := strings.Fields(string(e.Body))
	if len(words) == 0 || words[0] != "sites" {
		return false
	}
	left := make(map[groups.SiteID]groups.Seq)
	for site, seq := range r.info.Left {
		left[site] = seq
	}
	for _, was := range slices.Concat(r.info.Sites, r.info.Readers) {
		left[was] = e.Seq
	}
	r.info.Sites, r.info.Readers, r.info.Left = nil, nil, left
	for _, w := range words[1:] {
		site, reader := strings.CutPrefix(w, "readers:")
		if reader {
			r.info.Readers = append(r.info.Readers, groups.SiteID(site))
		} else {
			r.info.Sites = append(r.info.Sites, groups.SiteID(site))
		}
		delete(left, groups.SiteID(site))
	}
	return true
}

// room finds or makes a room. Called under mu.
func (s *memStore) room(room groups.RoomID) *memRoom {
	r := s.rooms[room]
	if r == nil {
		r = &memRoom{info: groups.RoomInfo{Room: room}, attached: make(map[groups.Seq][][]byte),
			receipts: make(map[groups.SubmissionID]groups.Receipt)}
		r.info.Head.Room = room
		s.rooms[room] = r
	}
	return r
}

// append puts an entry in the log. Called under mu.
func (s *memStore) append(b *memBatch, r *memRoom, kind groups.EntryKind, body []byte, attached [][]byte) groups.Entry {
	h := r.info.Head
	e := groups.Entry{EntryHeader: groups.EntryHeader{Room: h.Room, Seq: h.Seq + 1, Term: 1, Epoch: h.Epoch, Kind: kind,
		BodyHash: groups.HashOf(body), Prev: h.Hash}, Body: body}
	s.take(b, r, &e, attached)
	return e
}

func (s *memStore) take(b *memBatch, r *memRoom, e *groups.Entry, attached [][]byte) {
	r.entries = append(r.entries, groups.Stored{Seq: e.Seq, Kind: e.Kind, Bytes: e.Marshal()})
	if e.Kind == groups.KindCommit {
		r.attached[e.Seq] = attached
	}
	r.info.Head = groups.Head{Room: e.Room, Seq: e.Seq, Hash: e.Hash(), Epoch: e.Epoch, Term: e.Term}
	if e.Seq >= r.info.Fenced && r.info.Fenced > 0 {
		r.info.Fenced, r.info.Parked = 0, ""
	}
	b.touched[r] = true
	if r.follow(e) {
		b.fresh[e.Room] = true
	}
}

// Submit implements Log.
func (s *memStore) Submit(sub groups.Submission, done func(groups.Outcome)) {
	s.do(func(b *memBatch) {
		r := s.rooms[sub.Room]
		out := groups.Outcome{ID: sub.ID}
		switch {
		case r == nil || !r.info.Owned:
			out.Err = groups.Errorf(groups.NotFound, "no such room here")
		case r.info.Parked != "":
			out.Err = groups.Errorf(groups.Unavailable, "%s", r.info.Parked)
		case string(sub.Body) == "refuse me":
			out.Err = &groups.Error{Kind: groups.StaleEpoch, Text: "another commit won", Epoch: 7, Seq: r.info.Head.Seq}
		default:
			receipt, again := r.receipts[sub.ID]
			if !again {
				e := s.append(b, r, sub.Kind, sub.Body, sub.Attachments)
				receipt = groups.Receipt{Room: sub.Room, ID: sub.ID, Seq: e.Seq, Hash: r.info.Head.Hash, Epoch: e.Epoch}
				r.receipts[sub.ID] = receipt
			}
			out.Receipt = receipt
		}
		b.after = append(b.after, func() {
			if out.Err == nil {
				s.mu.Lock()
				out.Head = r.head
				s.mu.Unlock()
			}
			done(out)
		})
	})
}

// Replicate implements Log.
func (s *memStore) Replicate(in groups.Batch, done func(groups.Head, error)) {
	s.do(func(b *memBatch) {
		r := s.room(in.Room)
		err := s.replicate(b, r, in)
		head := r.info.Head
		b.after = append(b.after, func() { done(head, err) })
	})
}

func (s *memStore) replicate(b *memBatch, r *memRoom, in groups.Batch) error {
	if s.refuse != nil {
		if err := s.refuse(in); err != nil {
			return err
		}
	}
	if err := in.Head.Verify(fakeSigner{}); err != nil {
		return err
	}
	if s.learned[in.Head.Signer] == nil {
		return groups.Errorf(groups.Denied, "the ordering certificate was not shown")
	}
	for _, rep := range in.Entries {
		e := rep.Entry
		h := r.info.Head
		switch {
		case e.Seq <= h.Seq:
			continue
		case e.Seq != h.Seq+1:
			return groups.Errorf(groups.Conflict, "entry %d after %d", e.Seq, h.Seq)
		case e.Prev != h.Hash || e.BodyHash != groups.HashOf(e.Body):
			return groups.Errorf(groups.Invalid, "entry %d breaks the chain", e.Seq)
		case e.Kind == groups.KindCommit && len(rep.Attachments) == 0:
			return groups.Errorf(groups.Invalid, "entry %d lacks its attachments", e.Seq)
		case in.Head.Head.Seq < e.Seq || in.Head.Head.Seq == e.Seq && in.Head.Head.Hash != e.Hash():
			return groups.Errorf(groups.Invalid, "entry %d is not under its head", e.Seq)
		}
		s.take(b, r, e, rep.Attachments)
	}
	r.head = in.Head
	return nil
}

// Read implements Log.
func (s *memStore) Read(room groups.RoomID, after groups.Seq, maxBytes int) (groups.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[room]
	if r == nil {
		return groups.Page{}, groups.Errorf(groups.NotFound, "no such room")
	}
	p := groups.Page{Head: r.head}
	size := 0
	for i := int(after); i < len(r.entries); i++ {
		e := r.entries[i]
		size += len(e.Bytes)
		if len(p.Entries) > 0 && size > maxBytes || r.head == nil || e.Seq > r.head.Head.Seq {
			break
		}
		p.Entries = append(p.Entries, e)
	}
	return p, nil
}

// Attachments implements Log.
func (s *memStore) Attachments(e *groups.Entry) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[e.Room].attached[e.Seq], nil
}

// Watch implements Log.
func (s *memStore) Watch(room groups.RoomID, wake func()) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	id := s.serial
	if s.watch[room] == nil {
		s.watch[room] = make(map[int]func())
	}
	s.watch[room][id] = wake
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watch[room], id)
	}
}

// Room implements Rooms.
func (s *memStore) Room(room groups.RoomID) (groups.RoomInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[room]; r != nil && (r.info.Head.Seq > 0 || r.info.Parked != "") {
		return r.info, nil
	}
	return groups.RoomInfo{}, groups.Errorf(groups.NotFound, "no such room")
}

// Rooms implements Rooms.
func (s *memStore) Rooms() []groups.RoomInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []groups.RoomInfo
	for _, r := range s.rooms {
		if r.info.Head.Seq > 0 {
			out = append(out, r.info)
		}
	}
	return out
}

// SetOwner implements Rooms.
func (s *memStore) SetOwner(room groups.RoomID, node groups.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[room]; r != nil && !r.info.Owned {
		r.info.Owner = node
	}
}

// Fence implements Rooms.
func (s *memStore) Fence(shown *groups.SignedHead) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := shown.Verify(fakeSigner{}); err != nil {
		return err
	}
	head := shown.Head
	r := s.rooms[head.Room]
	if r == nil {
		r = s.room(head.Room)
		r.info.Owned, r.info.Owner = true, s.node
	}
	if !r.info.Owned {
		return nil
	}
	if n := int(head.Seq); n <= len(r.entries) {
		if e, err := groups.ParseEntry(r.entries[n-1].Bytes); err != nil || e.Hash() == head.Hash {
			return err
		}
	}
	switch {
	case r.gaveUp:
		return groups.Errorf(groups.Conflict, "given up")
	case head.Seq <= r.info.Head.Seq:
		r.info.Parked, r.info.Fenced = "two histories", 0
	case head.Seq > r.info.Fenced && (r.info.Parked == "" || r.info.Fenced > 0):
		r.info.Parked, r.info.Fenced = "an older copy", head.Seq
	}
	return nil
}

// giveUp goes on without what was lost.
func (s *memStore) giveUp(room groups.RoomID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[room]
	r.gaveUp, r.info.Parked, r.info.Fenced = true, "", 0
}

// WatchRooms implements Rooms.
func (s *memStore) WatchRooms(wake func(groups.RoomID)) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	id := s.serial
	s.watchAll[id] = wake
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchAll, id)
	}
}

// give has a user's devices publish here.
func (s *memStore) give(user groups.UserID, packages []groups.KeyPackage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[user] = packages
}

// TakeKeyPackages implements Keys.
func (s *memStore) TakeKeyPackages(user groups.UserID, suite groups.CipherSuite) ([]groups.KeyPackage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := make(map[groups.DeviceID]bool)
	var out, left []groups.KeyPackage
	for _, k := range s.keys[user] {
		if k.Suite == suite && !taken[k.Device] {
			taken[k.Device] = true
			out = append(out, k)
		} else {
			left = append(left, k)
		}
	}
	s.keys[user] = left
	return out, nil
}

// StatBlob implements Blobs.
func (s *memStore) StatBlob(hash groups.Hash) (have, size uint64, complete bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.blobs[hash]; b != nil {
		return uint64(len(b.data)), b.size, b.done, nil
	}
	return 0, 0, false, nil
}

// PutBlob implements Blobs.
func (s *memStore) PutBlob(hash groups.Hash, size, offset uint64, chunk []byte) (uint64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[hash]
	if b == nil {
		b = &memBlob{size: size}
		s.blobs[hash] = b
	}
	if b.done || uint64(len(b.data)) != offset {
		return uint64(len(b.data)), b.done, nil
	}
	b.data = append(b.data, chunk...)
	if uint64(len(b.data)) == size {
		if groups.HashOf(b.data) != hash {
			delete(s.blobs, hash)
			return 0, false, groups.Errorf(groups.Invalid, "blob has another hash")
		}
		b.done = true
	}
	return uint64(len(b.data)), b.done, nil
}

// ReadBlob implements Blobs.
func (s *memStore) ReadBlob(hash groups.Hash, offset uint64, n int) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[hash]
	if b == nil || !b.done {
		return nil, 0, groups.Errorf(groups.NotFound, "no such blob")
	}
	return b.data[offset:min(offset+uint64(n), b.size)], b.size, nil
}

// Signal implements Signals.
func (s *memStore) Signal(room groups.RoomID, device groups.DeviceID, payload []byte) {
	s.mu.Lock()
	s.signals = append(s.signals, string(payload))
	s.mu.Unlock()
	poke(s.heard)
}

// OrderingChain implements Orderings: a certificate is the name of its site.
func (s *memStore) OrderingChain(signer groups.Hash) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.learned[signer]; c != nil {
		return [][]byte{c}
	}
	return nil
}

// LearnOrdering implements Orderings.
func (s *memStore) LearnOrdering(chain [][]byte) error {
	site, err := groups.ParseSiteID(string(chain[0]))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.learned[fakeSigner{site}.Certificate()] = chain[0]
	return nil
}

// seq returns how far a room's log is.
func (s *memStore) seq(room groups.RoomID) groups.Seq {
	info, _ := s.Room(room)
	return info.Head.Seq
}

// eventually waits until ok, and fails the test if that takes too long.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// sameLog fails the test unless two stores hold the same bytes of a room, each
// entry once and in order.
func sameLog(t testing.TB, room groups.RoomID, a, b *memStore) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	ra, rb := a.rooms[room], b.rooms[room]
	if ra == nil || rb == nil || len(ra.entries) != len(rb.entries) {
		t.Fatalf("logs of %s differ in length", room)
	}
	var prev groups.Hash
	for i := range ra.entries {
		if !bytes.Equal(ra.entries[i].Bytes, rb.entries[i].Bytes) {
			t.Fatalf("%s: entry %d differs", room, i+1)
		}
		e, err := groups.ParseEntry(rb.entries[i].Bytes)
		if err != nil || e.Seq != groups.Seq(i+1) || e.Prev != prev {
			t.Fatalf("%s: entry %d breaks the chain: %v", room, i+1, err)
		}
		prev = e.Hash()
	}
}
