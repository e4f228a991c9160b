package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

const (
	room   = groups.RoomID("mimi://alpha.example/r/ops")
	laptop = groups.DeviceID("mimi://alpha.example/d/alice/laptop")
	bob    = groups.DeviceID("mimi://beta.example/d/bob/desk")
)

func at() time.Time { return time.Date(2020, 3, 5, 12, 0, 0, 0, time.Local) }

// The names and forms of --json are a promise to scripts.
func TestJSONIsStable(t *testing.T) {
	id, target := client.MessageID{1, 2}, client.MessageID{3, 4}
	at := at().UTC().Format(time.RFC3339)
	for _, c := range []struct {
		m    client.Message
		want string
	}{
		{client.Message{Room: room, Seq: 7, ID: id, Device: bob, Epoch: 2, Content: client.Reply(target, "<yes>"), State: client.Received, Edited: true,
			Reactions: []client.Reaction{{User: laptop.User(), Emoji: "👍"}}},
			`{"room":"mimi://alpha.example/r/ops","seq":7,"id":"01020000000000000000000000000000","device":"mimi://beta.example/d/bob/desk","user":"mimi://beta.example/u/bob","epoch":2,"time":"` + at + `","kind":"reply","text":"\u003cyes\u003e","target":"03040000000000000000000000000000","state":"received","edited":true,"reactions":[{"user":"mimi://alpha.example/u/alice","emoji":"👍"}]}`},
		{client.Message{Room: room, Seq: 2, Epoch: 1, State: client.Received, Change: &client.Change{Epoch: 2, Added: []groups.DeviceID{bob}}},
			`{"room":"mimi://alpha.example/r/ops","seq":2,"epoch":1,"time":"` + at + `","kind":"change","state":"received","change":{"epoch":2,"added":["mimi://beta.example/d/bob/desk"]}}`},
		{client.Message{Room: room, ID: id, Device: laptop, State: client.Failed, Problem: "no", Content: client.Content{Kind: client.KindFile, File: &client.File{Name: "a.b", Size: 3}}},
			`{"room":"mimi://alpha.example/r/ops","seq":0,"id":"01020000000000000000000000000000","device":"mimi://alpha.example/d/alice/laptop","user":"mimi://alpha.example/u/alice","epoch":0,"time":"` + at + `","kind":"file","state":"failed","file":{"name":"a.b","size":3,"sha256":"` + strings.Repeat("0", 64) + `"},"problem":"no"}`},
	} {
		c.m.Time = time.Date(2020, 3, 5, 12, 0, 0, 0, time.Local)
		b, err := json.Marshal(toJSON(&c.m))
		if err != nil || string(b) != c.want {
			t.Errorf("have %s, %v\nwant %s", b, err, c.want)
		}
	}
}

func TestLinesSayWhatWasSaidAndEscapeNothing(t *testing.T) {
	s := &session{names: tui.Home("alpha.example")}
	id, target := client.MessageID{1, 2}, client.MessageID{3, 4}
	for _, c := range []struct {
		m    client.Message
		want string
	}{
		{client.Message{Content: client.Text("one\ntwo \x1b[2J"), State: client.Received}, "bob@beta.example/desk  one\n    two ␛[2J\n"},
		{client.Message{Content: client.Reply(target, "yes"), State: client.Received}, "bob@beta.example/desk  > 03040000 yes\n"},
		{client.Message{Content: client.Edit(target, "no"), State: client.Queued}, "bob@beta.example/desk  edit 03040000: no  (queued)\n"},
		{client.Message{Content: client.React(target, "👍"), State: client.Sent}, "bob@beta.example/desk  reaction on 03040000: 👍  (sent)\n"},
		{client.Message{Content: client.Delete(target), State: client.Accepted}, "bob@beta.example/desk  delete 03040000\n"},
		{client.Message{Content: client.Content{Kind: client.KindText}, Deleted: true, Edited: true, State: client.Received}, "bob@beta.example/desk  (deleted)\n"},
		{client.Message{Problem: "version 9\x07", State: client.Received}, "bob@beta.example/desk  (version 9␇)\n"},
		{client.Message{Content: client.Text("x"), State: client.Failed, Problem: "stale\n"}, "bob@beta.example/desk  x  (failed: stale)\n"},
		{client.Message{Content: client.Text("x"), Edited: true, State: client.Received, Reactions: []client.Reaction{{User: bob.User(), Emoji: "👍"}, {User: laptop.User(), Emoji: "👍"}}},
			"bob@beta.example/desk  x (edited)  👍 2\n"},
		{client.Message{Content: client.Content{Kind: client.KindFile, Text: "see", File: &client.File{Name: "a.b", Size: 3}}, State: client.Received}, "bob@beta.example/desk  [a.b, 3 B] see\n"},
	} {
		c.m.ID, c.m.Device, c.m.Time = id, bob, at()
		var out strings.Builder
		a := &app{streams: streams{out: &out}}
		if err := a.print("%s", s.line(&c.m)); err != nil {
			t.Fatal(err)
		}
		if want := "2020-03-05 12:00  01020000  " + c.want; out.String() != want {
			t.Errorf("have %q, want %q", out.String(), want)
		}
	}
}
