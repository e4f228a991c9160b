package tui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/groups"
)

func TestCommandsDoWhatTheySay(t *testing.T) {
	for _, c := range []struct{ typed, call, notice string }{
		{"/add bob@beta.example carol", "add ops [mimi://beta.example/u/bob mimi://alpha.example/u/carol]", "added bob@beta.example; waiting for carol: no key packages"},
		{"/remove bob@beta.example", "remove ops [mimi://beta.example/u/bob]", "removed bob@beta.example"},
		{"/remove alice/phone", "remove devices ops [mimi://alpha.example/d/alice/phone]", "removed alice/phone"},
		{"/create lab2 bob@beta.example", "add lab2 [mimi://alpha.example/u/alice mimi://beta.example/u/bob]", "made lab2; added bob@beta.example"},
		{"/leave", "leave ops", "asked to leave ops"},
		{"/react 👍", `send ops reaction 06aa "👍"`, ""},
		{"/react 03aa 🎉", `send ops reaction 03aa "🎉"`, ""},
		{"/unreact 01aa 👍", `send ops unreaction 01aa "👍"`, ""},
		{"/edit 02aa better now", `send ops edit 02aa "better now"`, ""},
		{"/delete 02aa", `send ops delete 02aa ""`, ""},
		{"/reply 01aa it is", `send ops reply 01aa "it is"`, ""},
		{"/retry", "retry 08aa", "queued again"},
		{"/discard", "discard 08aa", "dropped"},
		{"/file report.pdf the figures", `attach ops report.pdf "the figures"`, "queued report.pdf"},
		{"/save", `save report.pdf ""`, "saved saved-here"},
		{"/save 04aa /tmp/x y", `save report.pdf "/tmp/x y"`, "saved saved-here"},
		{"//not a command", `send ops text 0000 "/not a command"`, ""},
	} {
		s := newScreen(t, conversation(), 130, 30)
		s.press(c.typed, "enter")
		if !slices.Contains(s.d.calls, c.call) {
			t.Errorf("%s: did %q, want %q", c.typed, s.d.calls, c.call)
		}
		if !strings.HasPrefix(s.m.notice.text, c.notice) || s.m.notice.bad || (c.notice == "") != (s.m.notice.text == "") {
			t.Errorf("%s: says %q, want %q", c.typed, s.m.notice.text, c.notice)
		}
		if v := s.m.input.Value(); v != "" {
			t.Errorf("%s: %q is left in the composer", c.typed, v)
		}
	}
}

func TestWhatCanNotBeDoneIsExplainedAndKept(t *testing.T) {
	for _, c := range []struct{ typed, notice string }{
		{"/add", "write it like /add bob@beta.example"},
		{"/add Bob", `"Bob" is not a user name`},
		{"/ad", "there is no /ad, did you mean /add?"},
		{"/frobnicate", "there is no /frobnicate: /help lists the commands"},
		{"/create", "write it like /create ops bob@beta.example"},
		{"/create Ops!", "Ops! is not a room name"},
		{"/room nowhere", `this device is in no room called "nowhere"`},
		{"/react", "write it like /react 👍"},
		{"/react 01aa", "write it like /react 01aa 👍"},
		{"/edit 01aa mine now", "only your own messages"},
		{"/delete 08aa", "only your own messages can be taken back, once they are accepted"},
		{"/delete 01aa", "only your own messages"},
		{"/save 01aa", "that message has no file"},
		{"/file", "write it like /file report.pdf"},
	} {
		s := newScreen(t, conversation(), 130, 30)
		s.press(c.typed, "enter")
		if !strings.HasPrefix(s.m.notice.text, c.notice) || !s.m.notice.bad {
			t.Errorf("%s: says %q, want %q", c.typed, s.m.notice.text, c.notice)
		}
		if v := s.m.input.Value(); v != c.typed {
			t.Errorf("%s: %q is left in the composer", c.typed, v)
		}
		if len(s.d.calls) > 0 {
			t.Errorf("%s: did %q", c.typed, s.d.calls)
		}
	}
}

func TestWhatTheDeviceRefusesIsShownAndTextGoesBack(t *testing.T) {
	s := newScreen(t, conversation(), 80, 24)
	s.d.refuse = groups.Errorf(groups.Busy, "the outbox is full")
	s.press("hello", "enter")
	s.shows("not sent: the outbox is full")
	s.shows("> hello")
	s.press("ctrl+u")
	s.d.refuse = errors.New("no gateway")
	s.press("/add carol", "enter")
	s.shows("no gateway")
}

func TestMessagesAreQueuedInTheOrderTheyWereTyped(t *testing.T) {
	s := newScreen(t, conversation(), 80, 24)
	var under []tea.Cmd
	for i := range 3 {
		s.m.input.SetValue(fmt.Sprint("message ", i))
		_, cmd := s.m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
		if cmd != nil {
			under = append(under, cmd)
		}
	}
	if len(under) != 1 {
		t.Fatalf("%d sends are under way at once", len(under))
	}
	s.do(under[0])
	want := []string{`send ops text 0000 "message 0"`, `send ops text 0000 "message 1"`, `send ops text 0000 "message 2"`}
	if !slices.Equal(s.d.calls, want) {
		t.Errorf("did %q", s.d.calls)
	}
}

func TestReplyAndEditOfTheSelectedMessage(t *testing.T) {
	s := newScreen(t, conversation(), 80, 40)
	s.press("tab", "tab", "up", "up", "up", "enter", "yes", "enter")
	if want := `send ops reply 06aa "yes"`; !slices.Contains(s.d.calls, want) {
		t.Errorf("did %q, want %q", s.d.calls, want)
	}
	s.press("/edit 02aa", "enter")
	s.shows("↳ change alice/laptop: since this morning")
	s.press(" again", "enter")
	last := s.d.calls[len(s.d.calls)-1]
	if !strings.HasPrefix(last, "send ops edit 02aa") || !strings.HasSuffix(last, `loss again"`) {
		t.Errorf("did %q", last)
	}
}

func TestRoomsAreSteppedThroughAndDraftsStay(t *testing.T) {
	s := newScreen(t, conversation(), 80, 24)
	s.press("half a sentence", "ctrl+n")
	s.shows("# lab@beta.example")
	s.hides("half a sentence")
	s.press("ctrl+n")
	s.shows("> half a sentence")
	s.press("shift+tab", "shift+tab", "down")
	s.shows("# lab@beta.example")
	s.press("x")
	s.shows("> x")
}

func TestOlderMessagesAreReadWhenTheTopIsReached(t *testing.T) {
	d := newFake()
	d.room(ops)
	for i := range 250 {
		d.say(ops, bob, 0, client.Text(fmt.Sprintf("message %d.", i)))
	}
	s := newScreen(t, d, 80, 24)
	s.shows("message 249.")
	if n := len(s.m.line.messages); n != pageMessages {
		t.Fatalf("%d messages are loaded at first", n)
	}
	for range 30 {
		s.press("pgup")
	}
	s.shows("message 0.")
	s.shows("lines below")

	// What comes meanwhile does not move what is read.
	before := s.rows()[3:19]
	d.say(ops, bob, 0, client.Text("and now?"))
	s.event(client.Event{Kind: client.EventMessage, Room: ops})
	if after := s.rows()[3:19]; !slices.Equal(before, after) {
		t.Errorf("the view has moved:\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if d.rooms[0].Read == 251 {
		t.Error("a message that was not seen is marked as read")
	}
	for range 40 {
		s.press("pgdown")
	}
	s.shows("and now?")
	if d.rooms[0].Read != 251 {
		t.Error("the end was seen and is not marked as read")
	}
}

func TestNothingIsReadWhileThePersonIsAway(t *testing.T) {
	d := conversation()
	s := newScreen(t, d, 80, 24)
	s.send(tea.BlurMsg{})
	d.say(ops, bob, 0, client.Text("are you there?")).Seq = 10
	s.event(client.Event{Kind: client.EventMessage, Room: ops})
	if d.rooms[0].Read >= 10 {
		t.Error("marked as read")
	}
	s.send(tea.FocusMsg{})
	if d.rooms[0].Read != 10 {
		t.Error("not marked as read when the person came back")
	}
}

func TestCtrlCAndQuitLeave(t *testing.T) {
	for _, keys := range [][]string{{"ctrl+c"}, {"/quit", "enter"}, {"tab", "ctrl+c"}} {
		s := newScreen(t, conversation(), 80, 24)
		s.press(keys...)
		if !s.quit {
			t.Errorf("%v does not leave", keys)
		}
	}
}

func TestARefreshReadsEverythingAgain(t *testing.T) {
	d := conversation()
	s := newScreen(t, d, 80, 24)
	d.say(ops, bob, 0, client.Text("missed"))
	d.state = client.Connecting
	s.event(client.Event{Kind: client.EventRefresh})
	s.shows("missed")
	s.shows("connecting")
}
