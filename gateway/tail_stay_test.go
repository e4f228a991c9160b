package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// frames is what a tail sends until it has nothing more, a line for each frame
// in the order in which it is read: w for a Welcome, bodies, x for a room closed.
func frames(t *testing.T, tl *tail) (lines []string) {
	t.Helper()
	for {
		f, err := tl.collect()
		if err != nil {
			t.Fatal(err)
		}
		if f.empty() {
			return lines
		}
		if len(lines) > 100 {
			t.Fatal("it does not end")
		}
		b, _ := f.appendProto(nil)
		m := new(devicev1.TailResponse)
		if err := (protoCodec{}).Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		var line []string
		for _, w := range m.Welcomes {
			line = append(line, fmt.Sprint("w", w.Seq))
		}
		for _, r := range m.Rooms {
			for _, b := range r.Entries {
				e, err := groups.ParseEntry(b)
				if err != nil {
					t.Fatal(err)
				}
				line = append(line, fmt.Sprint(e.Seq))
			}
		}
		for _, c := range m.Closed {
			line = append(line, fmt.Sprint("x", c.Seq))
		}
		if len(line) > 0 {
			lines = append(lines, strings.Join(line, " "))
		}
	}
}

// opened is a tail that nobody reads.
func opened(t *testing.T, f *fixture, device groups.DeviceID, cursors ...*devicev1.Cursor) *tail {
	t.Helper()
	tl := &tail{s: f.server, device: device, all: true, rooms: map[groups.RoomID]*tailRoom{}, bell: make(chan struct{}, 1)}
	t.Cleanup(tl.close)
	if err := tl.open(cursors); err != nil {
		t.Fatal(err)
	}
	return tl
}

func sends(t *testing.T, what string, tl *tail, want ...string) {
	t.Helper()
	if got := frames(t, tl); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// A device that was removed and added again while it was behind did not get the
// rest of its first stay. What lies between two stays is not for it.
func TestTailServesEveryStayInTurn(t *testing.T) {
	f := serve(t, nil)
	a := f.login(alice, f.http2())
	a.must(testRoom, groups.KindCreate, "x")
	a.must(testRoom, groups.KindCommit, "add "+string(bob)) // 2
	live := opened(t, f, bob, cursor(testRoom, 2))
	sends(t, "live", live, "w2")
	a.must(testRoom, groups.KindMessage, "first stay")
	a.must(testRoom, groups.KindCommit, "remove "+string(bob)) // 4
	a.must(testRoom, groups.KindMessage, "secret")
	a.must(testRoom, groups.KindCommit, "add "+string(bob)) // 6
	a.must(testRoom, groups.KindMessage, "second stay")
	a.must(testRoom, groups.KindCommit, "remove "+string(bob)) // 8
	a.must(testRoom, groups.KindMessage, "secret")
	a.must(testRoom, groups.KindCommit, "add "+string(bob)) // 10
	a.must(testRoom, groups.KindMessage, "third stay")
	live.mark(live.rooms[testRoom])
	live.look()
	sends(t, "live", live, "3 4 x4", "w6 6 7 8 x8", "w10 10 11")
	a.must(testRoom, groups.KindMessage, "later")
	live.mark(live.rooms[testRoom])
	sends(t, "live", live, "12")

	f.world.ForgetWelcome(bob, testRoom, 2)
	for at, want := range map[groups.Seq][]string{
		1:  {"x1", "2 3 4 x4", "w6 6 7 8 x8", "w10 10 11 12"},
		2:  {"3 4 x4", "w6 6 7 8 x8", "w10 10 11 12"},
		3:  {"4 x4", "w6 6 7 8 x8", "w10 10 11 12"},
		4:  {"x4", "w6 6 7 8 x8", "w10 10 11 12"},
		5:  {"x5", "w6 6 7 8 x8", "w10 10 11 12"},
		7:  {"w6 8 x8", "w10 10 11 12"},
		11: {"w6 w10 12"}, // whether they are used is for the device to judge
	} {
		sends(t, fmt.Sprint("after ", at), opened(t, f, bob, cursor(testRoom, at)), want...)
	}
	pages := serve(t, func(c *Config) { c.Limits.PageBytes = 1 })
	pages.server.config.Rooms, pages.server.config.Mailbox, pages.server.rings.log = f.world, f.world, f.world
	sends(t, "in small pages", opened(t, pages, bob, cursor(testRoom, 2)), "3", "4 x4", "w6", "6", "7", "8 x8", "w10", "10", "11", "12")
}

// A device without cursors may be new under an old name: it begins with the
// oldest Welcome that waits for it, without one with its last stay.
func TestTailWithoutCursorBeginsWhereTheDeviceHasKeys(t *testing.T) {
	f := serve(t, nil)
	a := f.login(alice, f.http2())
	a.must(testRoom, groups.KindCreate, "x")
	idle := opened(t, f, bob)
	sends(t, "of no room", idle)
	for range 3 {
		a.must(testRoom, groups.KindCommit, "add "+string(bob)) // 2 4 6
		a.must(testRoom, groups.KindCommit, "remove "+string(bob))
	}
	idle.look()
	sends(t, "while it ran", idle, "w2 2 3 x3", "w4 4 5 x5", "w6 6 7 x7")
	sends(t, "all wait", opened(t, f, bob), "w2 2 3 x3", "w4 4 5 x5", "w6 6 7 x7")
	f.world.ForgetWelcome(bob, testRoom, 2)
	f.world.ForgetWelcome(bob, testRoom, 4)
	sends(t, "the last waits", opened(t, f, bob), "w6 6 7 x7")
	f.world.ForgetWelcome(bob, testRoom, 6)
	sends(t, "none waits", opened(t, f, bob), "6 7 x7")
	f.world.SaveCursors(bob, map[groups.RoomID]groups.Seq{testRoom: 2})
	sends(t, "acknowledged long ago", opened(t, f, bob), "6 7 x7")
}

// "Older ones are forgotten": the device is told, and goes on with what is known.
func TestTailOfAForgottenStay(t *testing.T) {
	f := serve(t, nil)
	a := f.login(alice, f.http2())
	a.must(testRoom, groups.KindCreate, "x")
	for range groups.MaxStays + 1 {
		a.must(testRoom, groups.KindCommit, "add "+string(bob))
		a.must(testRoom, groups.KindCommit, "remove "+string(bob))
	}
	a.must(testRoom, groups.KindCommit, "add "+string(bob))
	got := frames(t, opened(t, f, bob, cursor(testRoom, 2)))
	if len(got) < 2 || got[0] != "x2" || got[1] != "w2 w4 w6 6 7 x7" {
		t.Errorf("%q", got)
	}
}

// A Welcome that waited for the end of a stay came never when the stay could
// not be read.
func TestTailOfABrokenStayLetsTheWelcomeGo(t *testing.T) {
	f := serve(t, nil)
	a := f.login(alice, f.http2())
	a.must(testRoom, groups.KindCreate, "x")
	a.must(testRoom, groups.KindCommit, "add "+string(bob))
	a.must(testRoom, groups.KindCommit, "remove "+string(bob))
	a.must(testRoom, groups.KindCommit, "add "+string(bob))
	f.world.ForgetWelcome(bob, testRoom, 2)
	tl := opened(t, f, bob, cursor(testRoom, 2))
	f.world.rooms[testRoom].broken = groups.Errorf(groups.Internal, "disk on fire")
	sends(t, "broken", tl, "x2", "w4 x3")
}
