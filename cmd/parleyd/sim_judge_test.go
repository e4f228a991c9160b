package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/client"
	"parley/groups"
)

// judge waits until nothing more happens and then looks at everything.
func (s *story) judge() {
	began := time.Now()
	s.settle()
	s.Logf("%s of fake time to settle; %d packets, %d lost, %d repeated, %d into partitions; %d changes made, %d refused, %d receipts",
		time.Since(began).Round(time.Millisecond), s.weather.sent, s.weather.lost, s.weather.twice, s.weather.cuts,
		s.changes, s.refused, len(s.receipts))
	for _, room := range []groups.RoomID{simOps, simTea} {
		log := s.sameLog(room)
		s.Logf("%s: %d entries", room, len(log))
		s.chained(log)
		s.oneCommitAnEpoch(log)
		s.receiptsHold(log)
		s.agree(log)
		said := 0
		for _, d := range s.members {
			said = s.readsAll(d, log)
		}
		if said < simMessages/2 {
			s.Errorf("%s has only %d messages: this test proves nothing", room, said)
		}
	}
	if len(s.reads(s.carol, s.log(simOps))) == 0 {
		s.Error("carol was never in: this test proves nothing")
	}
	s.fileArrived()
}

// settle waits until all outboxes are empty and both sites and all devices are
// at the end of the logs, which no longer move.
func (s *story) settle() {
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Minute)
	defer cancel()
	for _, d := range s.members {
		s.must(d.Flush(ctx))
	}
	s.within(5*time.Minute, "all is still", func() error {
		ops, tea := s.sites[simAlpha].head(simOps), s.sites[simBeta].head(simTea)
		time.Sleep(30 * time.Second) // longer than devices wait with what they do unasked
		return errors.Join(s.still(ops), s.still(tea))
	})
}

// still says who is not at the head that a log had a while ago.
func (s *story) still(head groups.Head) error {
	var late []error
	for _, site := range s.sites {
		if now := site.head(head.Room); now != head {
			late = append(late, fmt.Errorf("%s is at entry %d of %s, not at %d", site.config.Site, now.Seq, head.Room, head.Seq))
		}
	}
	for _, d := range s.in(head.Room) {
		if info, err := d.Room(head.Room); err != nil || info.Seq != head.Seq {
			late = append(late, err, fmt.Errorf("%s is at entry %d of %s, not at %d", d, info.Seq, head.Room, head.Seq))
		}
	}
	return errors.Join(late...)
}

// in are the devices that are in a room now.
func (s *story) in(room groups.RoomID) []*simDevice {
	list := slices.Clone(s.members)
	m, ok := s.sites[simAlpha].node.store.Membership(room, s.carol.ID())
	if ok && m.Left == 0 {
		list = append(list, s.carol)
	}
	return list
}

func (s *story) log(room groups.RoomID) []*groups.Entry {
	log, _ := s.sites[room.Site()].entries(room)
	return log
}

// (I4) "Every reader of a room sees the same bytes in the same order, without
// gap or repeat": hub and follower hold the same entries and the same head.
func (s *story) sameLog(room groups.RoomID) []*groups.Entry {
	hub, head := s.sites[simAlpha].entries(room)
	follower, other := s.sites[simBeta].entries(room)
	if len(hub) != len(follower) || head.Head.Hash != other.Head.Hash || head.Head.Seq != groups.Seq(len(hub)) {
		s.Fatalf("%s: alpha has %d entries and head %s, beta %d and %s", room, len(hub), head.Head.Hash, len(follower), other.Head.Hash)
	}
	for i := range hub {
		if !bytes.Equal(hub[i].Marshal(), follower[i].Marshal()) {
			s.Fatalf("%s: entry %d differs", room, i+1)
		}
	}
	for _, site := range s.sites {
		if err := errors.Join(head.Verify(site.node.id), other.Verify(site.node.id)); err != nil {
			s.Errorf("%s: head at %s: %v", room, site.config.Site, err)
		}
	}
	return hub
}

// (I5) "The log is a hash chain with signed heads."
func (s *story) chained(log []*groups.Entry) {
	var prev groups.Hash
	for i, e := range log {
		if e.Seq != groups.Seq(i+1) || e.Prev != prev || groups.HashOf(e.Body) != e.BodyHash {
			s.Fatalf("%s: entry %d does not follow from the one before it", e.Room, i+1)
		}
		prev = e.EntryHeader.Hash()
	}
	for _, site := range s.sites {
		if head := site.head(log[0].Room); head.Hash != prev {
			s.Errorf("%s ends in %s, the head at %s says %s", log[0].Room, prev, site.config.Site, head.Hash)
		}
	}
}

// (I3) "At most one commit per room and epoch."
func (s *story) oneCommitAnEpoch(log []*groups.Entry) {
	commits := 0
	var epoch groups.Epoch
	for _, e := range log {
		switch e.Kind {
		case groups.KindMessage: // a late one may be of an epoch before
			if e.Epoch > epoch || epoch-e.Epoch > groups.PastEpochs {
				s.Errorf("%s: entry %d is of epoch %d in epoch %d", e.Room, e.Seq, e.Epoch, epoch)
			}
		default:
			if e.Epoch != epoch {
				s.Errorf("%s: entry %d, a %v, is of epoch %d in epoch %d", e.Room, e.Seq, e.Kind, e.Epoch, epoch)
			}
		}
		if e.Kind == groups.KindCommit {
			epoch++
			commits++
		}
	}
	if commits < 4 {
		s.Errorf("%s: only %d commits: this test proves nothing", log[0].Room, commits)
	}
}

// (I2) "A receipt means: durable, in the log, at this sequence number", nodes
// restarted or not.
func (s *story) receiptsHold(log []*groups.Entry) {
	n := 0
	for _, c := range s.receipts {
		if c.Room != log[0].Room {
			continue
		}
		n++
		if int(c.Seq) > len(log) || log[c.Seq-1].EntryHeader.Hash() != c.Hash {
			s.Errorf("%s: the receipt for entry %d does not hold", c.Room, c.Seq)
		}
	}
	if n < len(log)/2 {
		s.Errorf("%s: %d receipts for %d entries: this test proves nothing", log[0].Room, n, len(log))
	}
}

// All members are in one epoch with one key, and nobody has found anything
// wrong.
func (s *story) agree(log []*groups.Entry) {
	room, last := log[0].Room, log[len(log)-1]
	var key []byte
	for _, d := range s.in(room) {
		info, err := d.Room(room)
		s.must(err)
		if key == nil {
			key = info.Authenticator
		}
		if info.Hash != last.EntryHeader.Hash() {
			s.Errorf("%s is at another entry than the log of %s", d, room)
		}
		if len(info.Authenticator) == 0 || !bytes.Equal(info.Authenticator, key) {
			s.Errorf("%s has another key of %s in epoch %d", d, room, info.Epoch)
		}
	}
	for _, d := range append(s.members, s.carol) {
		rooms, err := d.Rooms()
		s.must(err)
		for _, info := range rooms {
			if len(info.Alarms) > 0 || info.Parked {
				s.Errorf("%s: %s: alarms %v, parked %v", d, info.Room, info.Alarms, info.Parked)
			}
		}
	}
}

// reads returns what a device shows of a room, and fails unless it is (I6)
// "exactly once" each message that was sent while the device was a member, in
// the order of the log, readable.
func (s *story) reads(d *simDevice, log []*groups.Entry) (shown []client.Message) {
	room := log[0].Room
	var want, got []groups.Seq
	in, first := d != s.carol, groups.Epoch(0)
	joins := s.joins(room)
	for _, e := range log {
		if c := joins[e.Seq]; c != nil && d == s.carol {
			if slices.Contains(c.Added, d.ID()) {
				in, first = true, c.Epoch
			}
			in = in && !slices.Contains(c.Removed, d.ID())
		}
		// What was sealed before she came is not for her, whenever it arrives.
		if in && e.Kind == groups.KindMessage && e.Epoch >= first {
			want = append(want, e.Seq)
		}
	}
	history, err := d.History(room, client.HistoryQuery{Limit: 100_000})
	s.must(err)
	for _, m := range history {
		if m.Change != nil {
			continue
		}
		if m.Problem != "" {
			s.Errorf("%s can not read entry %d of %s: %s", d, m.Seq, room, m.Problem)
		}
		got, shown = append(got, m.Seq), append(shown, m)
	}
	if !slices.Equal(got, want) {
		s.Errorf("%s shows other messages of %s than the log has:\n%v, want\n%v", d, room, got, want)
	}
	return shown
}

// readsAll fails unless a device shows all that was said, what each sender said
// in the order in which it was said. It returns how much that is.
func (s *story) readsAll(d *simDevice, log []*groups.Entry) (total int) {
	next := make(map[groups.DeviceID]int)
	for _, m := range s.reads(d, log) {
		text, ok := strings.CutPrefix(m.Content.Text, m.Device.Name()+" ")
		if !ok {
			continue // of another kind
		}
		if n := next[m.Device]; text != fmt.Sprint(n) {
			s.Errorf("%s shows %q at entry %d of %s, want number %d", d, m.Content.Text, m.Seq, m.Room, n)
		}
		next[m.Device]++
		total++
	}
	for _, from := range s.members {
		if want := s.said[from.ID()][log[0].Room]; next[from.ID()] != want {
			s.Errorf("%s shows %d messages of %s in %s, want %d", d, next[from.ID()], from, log[0].Room, want)
		}
	}
	return total
}

// joins are what the laptop, a member from the beginning, has seen commits do.
func (s *story) joins(room groups.RoomID) map[groups.Seq]*client.Change {
	history, err := s.laptop.History(room, client.HistoryQuery{Limit: 100_000})
	s.must(err)
	list := make(map[groups.Seq]*client.Change)
	for _, m := range history {
		if m.Change != nil {
			list[m.Seq] = m.Change
		}
	}
	return list
}

// fileArrived fetches the file at the other site.
func (s *story) fileArrived() {
	f, err := os.Create(filepath.Join(s.TempDir(), "plan.txt"))
	s.must(err)
	s.must(s.bob.Fetch(s.Context(), simOps, s.file.ID, f))
	s.must(f.Close())
	got, err := os.ReadFile(f.Name())
	s.must(err)
	if string(got) != simFile() {
		s.Errorf("the file has %d bytes, or others, want %d", len(got), len(simFile()))
	}
}
