package storage

import (
	"maps"
	"slices"
	"sync"

	"parley/groups"
)

// A watchers is a list of functions to call when something became durable. A
// call costs some nanoseconds, so that a thousand readers of a room do not
// hold up the committer; the functions flip a bit or leave a token and do not
// block. They are called without a lock, so that whoever stops watching may
// hold one that its function takes.
type watchers struct {
	mu   sync.Mutex
	list []*watcher
}

type watcher struct {
	wake  func()
	place int // in list; -1 when stopped
}

func (w *watchers) add(wake func()) *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := &watcher{wake: wake, place: len(w.list)}
	w.list = append(w.list, entry)
	return entry
}

// remove fills the gap with the last of the list, and reports whether the list
// is empty now.
func (w *watchers) remove(entry *watcher) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry.place >= 0 {
		end := len(w.list) - 1
		w.list[entry.place] = w.list[end]
		w.list[entry.place].place = entry.place
		w.list[end] = nil
		w.list = w.list[:end]
		entry.place = -1
	}
	return len(w.list) == 0
}

// wakeAll calls everybody. It returns buf, which saves the next call from
// making one.
func (w *watchers) wakeAll(buf []func()) []func() {
	buf = buf[:0]
	w.mu.Lock()
	for _, entry := range w.list {
		buf = append(buf, entry.wake)
	}
	w.mu.Unlock()
	for _, wake := range buf {
		wake()
	}
	clear(buf)
	return buf
}

// A watched keeps watchers by what they watch: only what is watched has an
// entry, so the map is bounded by the sessions and links that are open.
type watched[K comparable] struct {
	mu  sync.Mutex
	by  map[K]*watchers
	buf []func() // the committer's, who alone wakes
}

// add calls wake for k until stop is called; stop may be called again.
func (d *watched[K]) add(k K, wake func()) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.by == nil {
		d.by = make(map[K]*watchers)
	}
	w := d.by[k]
	if w == nil {
		w = new(watchers)
		d.by[k] = w
	}
	entry := w.add(wake)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if w.remove(entry) && d.by[k] == w {
			delete(d.by, k)
		}
	}
}

// wake calls those who watch k.
func (d *watched[K]) wake(k K) {
	d.mu.Lock()
	w := d.by[k]
	d.mu.Unlock()
	if w != nil {
		d.buf = w.wakeAll(d.buf)
	}
}

// Watch calls wake after every durable batch that touched the room, until stop
// is called. A room that is not known here yet may be watched. wake must not
// block, nor wait for a write; it may come once more after stop. stop may be
// called more than once.
func (s *Store) Watch(id groups.RoomID, wake func()) (stop func()) {
	return s.logWatchers.add(id, wake)
}

// WatchDevice calls wake when a Welcome waits for the device or one of its
// memberships ended. The rules of Watch hold.
func (s *Store) WatchDevice(d groups.DeviceID, wake func()) (stop func()) {
	return s.deviceWatchers.add(d, wake)
}

// WatchRooms calls wake with a room that is new here, or whose sites, of members
// or of readers, changed.
// The rules of Watch hold.
func (s *Store) WatchRooms(wake func(groups.RoomID)) (stop func()) {
	return s.roomWatchers.add(wake)
}

// A roomWatchers is a list of functions that hear of rooms.
type roomWatchers struct {
	mu   sync.Mutex
	next int
	by   map[int]func(groups.RoomID)
}

func (w *roomWatchers) add(wake func(groups.RoomID)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = make(map[int]func(groups.RoomID))
	}
	n := w.next
	w.next++
	w.by[n] = wake
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.by, n)
	}
}

func (w *roomWatchers) wakeAll(id groups.RoomID) {
	w.mu.Lock()
	list := slices.Collect(maps.Values(w.by))
	w.mu.Unlock()
	for _, wake := range list {
		wake(id)
	}
}
