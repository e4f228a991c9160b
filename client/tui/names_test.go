package tui

import (
	"testing"
	"time"

	"parley/client"
	"parley/groups"
)

func TestNamesAreShortAtHomeAndWholeElsewhere(t *testing.T) {
	h := Home("alpha.example")
	for have, want := range map[string]string{
		h.Room(ops): "ops", h.Room(lab): "lab@beta.example",
		h.User(laptop.User()): "alice", h.User(bob.User()): "bob@beta.example",
		h.Device(laptop): "alice/laptop", h.Device(bob): "bob@beta.example/desk",
		h.Devices([]groups.DeviceID{laptop, phone, bob}): "alice (2 devices), bob@beta.example/desk",
	} {
		if have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
}

func TestChangesAreToldInWords(t *testing.T) {
	h := Home("alpha.example")
	for want, c := range map[string]client.Change{
		"alice/laptop added carol/pad":                                      {Added: []groups.DeviceID{carol}},
		"alice/laptop removed alice/phone":                                  {Removed: []groups.DeviceID{phone}},
		"alice/laptop added carol/pad and removed alice/phone":              {Added: []groups.DeviceID{carol}, Removed: []groups.DeviceID{phone}},
		"alice/laptop removed bob@beta.example/desk and changed the policy": {Removed: []groups.DeviceID{bob}, Policy: true},
		"alice/laptop made a new key":                                       {Epoch: 3},
		"alice/laptop made the room":                                        {Added: []groups.DeviceID{laptop}},
	} {
		if have := h.What(laptop, &c); have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
	if have := h.What("", &client.Change{Added: []groups.DeviceID{laptop}}); have != "alice/laptop joined" {
		t.Errorf("have %q", have)
	}
}

func TestFiguresAreShort(t *testing.T) {
	for have, want := range map[string]string{
		Code([]byte{0x4f, 0x2a, 0x91, 0xc0, 0x77, 0xde, 1}): "4f2a 91c0 77de", Code([]byte{1, 2, 3}): "0102 03", Code(nil): "",
		Age(-time.Second): "0 s", Age(59 * time.Second): "59 s", Age(90 * time.Minute): "1 h", Age(47 * time.Hour): "47 h", Age(72 * time.Hour): "3 d",
		Size(0): "0 B", Size(999): "999 B", Size(1024): "1.0 KiB", Size(1_500_000): "1.4 MiB", Size(150 << 20): "150 MiB", Size(5 << 40): "5.0 TiB",
	} {
		if have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
}

func TestTallyCountsAPersonOnce(t *testing.T) {
	got := Tally([]client.Reaction{
		{User: bob.User(), Emoji: "🎉"}, {User: bob.User(), Emoji: "🎉"}, {User: carol.User(), Emoji: "👍"}, {User: laptop.User(), Emoji: "🎉"},
	})
	if len(got) != 2 || got[0].Emoji != "🎉" || got[0].Count != 2 || got[1].Count != 1 {
		t.Errorf("have %+v", got)
	}
}

func TestPlainWritesURIsAsPeopleDo(t *testing.T) {
	home := Home("alpha.example")
	for text, want := range map[string]string{
		"mimi://alpha.example/r/ops is closed here":         "ops is closed here",
		"not in mimi://beta.example/r/ops.":                 "not in ops@beta.example.",
		"added [mimi://alpha.example/d/alice/laptop]":       "added [alice/laptop]",
		"mimi://beta.example/u/bob.b may not":               "bob.b@beta.example may not",
		"mimi://beta.example/n/b1 says: busy":               "node b1 of beta.example says: busy",
		"is made for mimi://beta.example, not for mimi://x": "is made for mimi://beta.example, not for mimi://x",
		"mimi://beta.example/q/z stays":                     "mimi://beta.example/q/z stays",
	} {
		if have := home.Plain(text); have != want {
			t.Errorf("%q is written %q, want %q", text, have, want)
		}
	}
}
