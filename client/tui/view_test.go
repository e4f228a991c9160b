package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"parley/client"
	"parley/groups"
)

// conversation fills a device with one of everything.
func conversation() *fake {
	d := newFake()
	r := d.room(ops)
	r.Read, r.Unread = 7, 2
	d.room(lab).Unread = 3
	d.said[ops] = append(d.said[ops], client.Message{Room: ops, Seq: 1, Device: laptop, Time: noon.Add(-26 * time.Hour),
		State: client.Received, Change: &client.Change{Epoch: 1, Policy: true}})
	d.said[ops] = append(d.said[ops], client.Message{Room: ops, Seq: 2, Device: laptop, Time: noon.Add(-26 * time.Hour),
		State: client.Received, Change: &client.Change{Epoch: 2, Added: []groups.DeviceID{phone, bob}}})
	asked := d.say(ops, bob, 25*60, client.Text("is the link to the depot up?"))
	asked.Reactions = []client.Reaction{{User: laptop.User(), Emoji: "👍"}, {User: bob.User(), Emoji: "👍"}, {User: bob.User(), Emoji: "🎉"}}
	d.say(ops, laptop, 60, client.Reply(asked.ID, "since this morning, and it carries the traffic of both lines without loss")).Edited = true
	gone := d.say(ops, laptop, 59, client.Text(""))
	gone.Deleted = true
	d.say(ops, bob, 58, client.Content{Kind: client.KindFile, Text: "the figures", File: &client.File{Name: "report.pdf", Type: "application/pdf", Size: 1_500_000}})
	d.say(ops, phone, 50, client.Text("seen on the train\ntwo lines"))
	d.say(ops, bob, 3, client.Text("evil \x1b[2J\x1b]0;title\x07 \u202etxt"))
	unreadable := d.say(ops, bob, 2, client.Content{})
	unreadable.Problem = "content version 9"
	failed := d.say(ops, laptop, 1, client.Text("too late"))
	failed.State, failed.Seq, failed.Problem = client.Failed, 0, "the key is stale"
	waits := d.say(ops, laptop, 0, client.Text("on its way"))
	waits.State, waits.Seq = client.Queued, 0
	d.members = []client.Member{
		{Device: laptop, User: laptop.User(), Admin: true, Own: true}, {Device: phone, User: phone.User(), Admin: true, Leaf: 1},
		{Device: bob, User: bob.User(), Leaf: 2},
	}
	d.wishes = []client.Wish{{Room: ops, User: carol.User(), Since: noon, Why: "no key packages"}}
	return d
}

func TestConversationAt80x24(t *testing.T) {
	s := newScreen(t, conversation(), 80, 24)
	s.golden("conversation")
	if s.d.rooms[0].Read != 9 {
		t.Errorf("read up to %d, the last entry on the screen is 9", s.d.rooms[0].Read)
	}
	s.press("pgup", "pgup")
	s.golden("conversation-top")
}

func TestMembersReplyAndManyLines(t *testing.T) {
	s := newScreen(t, conversation(), 100, 30)
	s.press("ctrl+t", "ctrl+r", "first line", "alt+enter", "second line")
	s.golden("members")
	s.press("esc")
	s.hides("↳ reply")
}

func TestNarrowScreens(t *testing.T) {
	s := newScreen(t, conversation(), 44, 16)
	s.golden("narrow")
	s.send(tea.WindowSizeMsg{Width: 30, Height: 9})
	s.golden("tiny")
	s.press("shift+tab", "shift+tab")
	s.golden("tiny-rooms")
	s.send(tea.WindowSizeMsg{Width: 19, Height: 5})
	s.golden("too-small")
}

func TestHelp(t *testing.T) {
	s := newScreen(t, conversation(), 80, 34)
	s.press("ctrl+g")
	s.golden("help")
	s.press("x")
	s.hides("Commands")
	for _, c := range commands() {
		s.press("ctrl+g")
		s.shows("/" + c.name)
		s.press("ctrl+g")
	}
}

func TestWelcomeSaysHowToComeIntoARoom(t *testing.T) {
	s := newScreen(t, newFake(), 80, 24)
	s.golden("welcome")
	s.press("hello", "enter")
	s.shows("no room is shown: /create NAME makes one")
	s.press("ctrl+n", "ctrl+t", "pgup", "ctrl+r", "tab", "up", "down", "tab", "up", "esc")
	s.rows()
}

func TestAnAlarmTakesThePlaceOfTheBadge(t *testing.T) {
	d := conversation()
	s := newScreen(t, d, 80, 24)
	a := client.Alarm{Room: ops, Seq: 9, Kind: client.AlarmFork, Text: "the hub has shown two histories\x1b[0m"}
	d.rooms[0].Alarms = []client.Alarm{a}
	s.event(client.Event{Kind: client.EventAlarm, Room: ops, Alarm: &a})
	s.golden("alarm")
	if content := s.m.View().Content; !strings.Contains(content, alarm(" ALARM fork at entry 9: the hub has shown two histories␛[0m ")) {
		t.Error("the alarm does not stand out")
	}
}

func TestConnectionIsShown(t *testing.T) {
	s := newScreen(t, conversation(), 80, 24)
	for state, want := range map[client.Connection]string{
		client.Offline: "○ offline", client.Connecting: "◌ connecting", client.Syncing: "◐ syncing", client.Online: "● online",
	} {
		s.event(client.Event{Kind: client.EventConnection, Connection: state})
		s.shows(want)
	}
	s.event(client.Event{Kind: client.EventConnection, Connection: client.Connecting, Err: errors.New("gateway\x1b is not reachable")})
	s.shows("gateway␛ is not reachable")
	s.send(downMsg{groups.Errorf(groups.Denied, "the certificate has ended")})
	s.shows("✗ refused")
	s.send(tea.BlurMsg{})
	s.event(client.Event{Kind: client.EventConnection, Connection: client.Online})
	s.shows("the gateway refuses this device: the certificate has ended")
}

func TestAClosedRoomSaysWhyAndTakesNothing(t *testing.T) {
	d := conversation()
	d.rooms[0].State, d.rooms[0].Why = client.RoomClosed, "removed by bob@beta.example"
	s := newScreen(t, d, 80, 24)
	s.press("ctrl+p", "ctrl+n", "are you there?", "enter")
	s.shows("closed: removed by bob@beta.example")
	s.shows("this device is no longer in ops: removed by bob@beta.example")
	s.shows("> are you there?")
	if len(d.calls) > 0 {
		t.Errorf("it has done %v", d.calls)
	}
}

func TestAReadersRoomSaysSoAndTakesNothing(t *testing.T) {
	d := conversation()
	d.rooms[0].State = client.RoomReading
	d.rooms[0].Policy.Readers = []groups.CoIID{"mimi://alpha.example/c/audit"}
	s := newScreen(t, d, 130, 30)
	s.shows("reader, 2 people")
	s.press("ctrl+t")
	s.shows("readers: ")
	s.press("ctrl+t", "ctrl+p", "ctrl+n", "may I?", "enter")
	s.shows("this device reads ops without being a member: it can not send")
	if len(d.calls) > 0 {
		t.Errorf("it has done %v", d.calls)
	}
	d.rooms[0].Sealed = map[string]int{"no key": 3}
	s.event(client.Event{Kind: client.EventRoom, Room: ops})
	s.shows("reader: 3 messages can not be read")
	d.rooms[0].Why = "its policy does not let this device read it"
	s.event(client.Event{Kind: client.EventRoom, Room: ops})
	s.shows("not served: its policy")
}

func TestAnOldKeyIsWarnedOf(t *testing.T) {
	d := conversation()
	s := newScreen(t, d, 100, 24)
	s.hides("(old)")
	d.rooms[0].KeyMade = noon.Add(-28 * 24 * time.Hour)
	s.event(client.Event{Kind: client.EventRoom, Room: ops})
	s.shows("key 28 d (old)")
	d.rooms[0].KeyMade, d.rooms[0].KeyMessages, d.rooms[0].Policy.MaxKeyMessages = noon, 95, 100
	s.event(client.Event{Kind: client.EventRoom, Room: ops})
	s.shows("key 0 s (old)")
}

func TestAnyTextOnAnyScreenStaysInItsPlace(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := conversation()
		for range rapid.IntRange(0, 5).Draw(r, "messages") {
			c := client.Text(rapid.String().Draw(r, "text") + strings.Repeat("x", rapid.IntRange(0, 200).Draw(r, "long")))
			d.say(ops, bob, 0, c).Reactions = []client.Reaction{{User: bob.User(), Emoji: rapid.String().Draw(r, "emoji")}}
		}
		s := newScreen(t, d, rapid.IntRange(1, 130).Draw(r, "width"), rapid.IntRange(1, 50).Draw(r, "height"))
		for range rapid.IntRange(0, 6).Draw(r, "keys") {
			s.press(rapid.SampledFrom([]string{"tab", "up", "pgup", "pgdown", "ctrl+t", "ctrl+g", "ctrl+r", "ctrl+n", "alt+enter", "some words", "esc", "home"}).Draw(r, "key"))
			s.rows()
		}
		if t.Failed() {
			r.Fatal("see above")
		}
	})
}

func BenchmarkLayout(b *testing.B) {
	d := conversation()
	for i := range pageMessages {
		d.say(ops, bob, 0, client.Text(fmt.Sprintf("message %d of some length, such as people write", i)))
	}
	m := New(b.Context(), Config{Device: d, Events: nil, Now: func() time.Time { return noon }})
	m.width, m.height, m.room, m.rooms = 120, 40, ops, d.rooms
	m.line.take(d.said[ops], pageMessages)
	for b.Loop() {
		m.line.width = 0
		m.layout()
		_ = m.View()
	}
}
