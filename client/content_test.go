package client_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/client"
)

func contents() []client.Content {
	id := client.MessageID{1, 2, 3}
	file := &client.File{Name: "plan.pdf", Type: "application/pdf", Size: 12345, Blob: [32]byte{1}, Key: [32]byte{2}, SHA256: [32]byte{3}}
	return []client.Content{
		client.Text("hello"), client.Reply(id, "yes"), client.Edit(id, "no"), client.Delete(id),
		client.React(id, "\U0001F44D"), client.Unreact(id, "\U0001F44D"),
		{Kind: client.KindFile, Text: "look", File: file}, {Kind: client.KindFile, File: file},
	}
}

func TestContentIsReadAsItWasWritten(t *testing.T) {
	for _, c := range contents() {
		b, err := c.Marshal()
		if err != nil {
			t.Fatalf("%s: %v", c.Kind, err)
		}
		back, err := client.ParseContent(b)
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("%s: %+v, %v", c.Kind, back, err)
		}
		for i := range b {
			if _, err := client.ParseContent(b[:i]); !errors.Is(err, client.ErrContent) {
				t.Errorf("%s cut at %d: %v", c.Kind, i, err)
			}
		}
		if _, err := client.ParseContent(append(b, 0)); !errors.Is(err, client.ErrContent) {
			t.Errorf("%s with a tail: %v", c.Kind, err)
		}
	}
}

func TestContentHasLimits(t *testing.T) {
	id := client.MessageID{1}
	file := func(name string) client.Content {
		return client.Content{Kind: client.KindFile, File: &client.File{Name: name}}
	}
	for name, c := range map[string]client.Content{
		"nothing":            {},
		"unknown kind":       {Kind: 99, Text: "x"},
		"no text":            client.Text(""),
		"long text":          client.Text(strings.Repeat("x", client.MaxText+1)),
		"not UTF-8":          client.Text("a\xffb"),
		"long emoji":         client.React(id, strings.Repeat("x", client.MaxEmoji+1)),
		"no emoji":           client.React(id, ""),
		"text with a file":   {Kind: client.KindText, Text: "x", File: &client.File{Name: "x"}},
		"file without file":  {Kind: client.KindFile},
		"path":               file("../../etc/passwd"),
		"windows path":       file(`c:\x`),
		"dot dot":            file(".."),
		"empty name":         file(""),
		"control characters": file("a\x1b[31m"),
		"large file":         {Kind: client.KindFile, File: &client.File{Name: "x", Size: client.MaxFile + 1}},
		"bad media type":     {Kind: client.KindFile, File: &client.File{Name: "x", Type: "a\nb"}},
	} {
		if _, err := c.Marshal(); err == nil {
			t.Errorf("%s is sent", name)
		}
	}
}

func FuzzParseContent(f *testing.F) {
	for _, c := range contents() {
		f.Add(must(c.Marshal()))
	}
	f.Add([]byte{1, 7, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := client.ParseContent(b)
		if err != nil {
			if !errors.Is(err, client.ErrContent) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		again, err := c.Marshal()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x becomes %x, %v", b, again, err)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("00112233445566778899aabbccddeeff")
	f.Add("queued")
	f.Add("live")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := client.ParseMessageID(s); err == nil && id.String() != strings.ToLower(s) {
			t.Errorf("%q is read as %s", s, id)
		}
		var state client.State
		var room client.RoomState
		var id client.MessageID
		for _, v := range []interface {
			UnmarshalText(b []byte) error
			String() string
		}{&state, &room, &id} {
			if err := v.UnmarshalText([]byte(s)); err == nil && v.String() != strings.ToLower(s) {
				t.Errorf("%q is read as %s", s, v)
			}
		}
	})
}

func TestEditsDeletionsAndReactions(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		sent := must(alice.Send(ops, client.Text("helo"), client.Text("secret"), client.Text("third")))
		settle()
		one, two, three := sent[0].ID, sent[1].ID, sent[2].ID
		must(alice.Send(ops, client.Edit(one, "hello"), client.Delete(two)))
		must(bob.Send(ops, client.React(one, "+1"), client.React(one, "+1"), client.React(one, "-1"), client.Unreact(one, "-1"),
			client.Reply(three, "indeed"), client.Edit(three, "hijacked"), client.Delete(three), client.React(client.MessageID{9}, "?")))
		settle()
		for _, p := range []*phone{alice, bob} {
			list := slices.DeleteFunc(must(p.History(ops, client.HistoryQuery{})), func(m client.Message) bool { return m.Change != nil })
			m := list[0]
			if m.Content.Text != "hello" || !m.Edited || len(m.Reactions) != 1 || m.Reactions[0] != (client.Reaction{User: bob.User(), Emoji: "+1"}) {
				t.Errorf("%s: first %+v", p.ID(), m)
			}
			if m = list[1]; !m.Deleted || m.Content.Text != "" {
				t.Errorf("%s: second %+v", p.ID(), m)
			}
			if m = list[2]; m.Content.Text != "third" || m.Edited || m.Deleted {
				t.Errorf("%s: third %+v", p.ID(), m)
			}
			if m = list[3]; m.Content.Target != three || m.Content.Text != "indeed" {
				t.Errorf("%s: reply %+v", p.ID(), m)
			}
			if len(list) != 7 || list[4].Problem == "" || list[5].Problem == "" || list[6].Problem == "" {
				t.Errorf("%s: what may not be is shown as a problem: %+v", p.ID(), list[4:])
			}
			if found := must(p.FindMessage(ops, one.String()[:8])); found.ID != one {
				t.Errorf("%s finds %s", p.ID(), found.ID)
			}
		}
	})
}
