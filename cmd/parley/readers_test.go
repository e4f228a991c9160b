package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"parley/groups"
)

// texts are what is said in a room as far as a device shows it.
func (p *person) texts(t *testing.T) (list []string) {
	t.Helper()
	messages, err := p.messages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if m.Text != "" {
			list = append(list, m.Text)
		}
	}
	return list
}

// mustRun runs a command, and returns what it prints.
func (p *person) mustRun(t *testing.T, words ...string) string {
	t.Helper()
	out, err := p.run(t.Context(), words...)
	if err != nil {
		t.Fatalf("parley %s: %v", strings.Join(words, " "), err)
	}
	return string(out)
}

// A device reads a room without being a member of it, through real gateways and
// real services: what was said before, what is said while it tails, and what came
// after its process was killed; it can say nothing; members see that there are
// readers, and not as members; and when it is cut off it is told so and reads
// nothing more.
func TestReadersFollowARoomThroughRealPrograms(t *testing.T) {
	d := startedSites(t)
	d.laptop = d.person(d.alpha, "alice", "laptop")
	reader := d.person(d.alpha, "rita", "laptop")
	for _, p := range []*person{d.laptop, reader} {
		if err := p.enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	alice, rita := d.inVault(d.laptop), d.inVault(reader)
	rita.room += "@" + string(d.alpha.name)
	say := func(text string) {
		if err := alice.say(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	alice.mustRun(t, "room", "create", vault, "--coi", d.finance.name, "--reader", d.finance.name)
	say("one")

	var report pastJSON
	if err := rita.ask(t.Context(), &report, "history", rita.room, "--reader"); err != nil || report.Messages != 1 || report.Unreadable != 0 {
		t.Fatalf("rita reads %+v, %v", report, err)
	}
	var room roomJSON
	if err := rita.ask(t.Context(), &room, "room", "info", vault); err != nil || room.State != "reading" || room.Role != "reader" || room.Devices != 1 {
		t.Errorf("to rita the room is %+v, %v", room, err)
	}
	for what, want := range map[string]string{"ls": "reader", "info": "without being a member", "members": "readers:"} {
		words := []string{"room", what, vault}
		if what == "ls" {
			words = words[:2]
		}
		if out := rita.mustRun(t, words...); !strings.Contains(out, want) {
			t.Errorf("room %s says to rita %q", what, out)
		}
	}
	if out := alice.mustRun(t, "room", "members", vault); !strings.Contains(out, "readers:") || strings.Contains(out, "rita") {
		t.Errorf("the members are to alice %q", out)
	}
	if err := alice.ask(t.Context(), &room, "room", "info", vault); err != nil || !slices.ContainsFunc(room.Readers, hasName[groups.CoIID]("finance")) {
		t.Errorf("alice is told of readers %v, %v", room.Readers, err)
	}
	if out, err := rita.run(t.Context(), "send", vault, "no"); err == nil || !strings.Contains(err.Error(), "without being a member") {
		t.Errorf("rita sends: %q, %v", out, err)
	}

	watch, err := startService(d.dir, "watch", append([]string{d.parley}, rita.words([]string{"tail", vault})...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { watch.kill() })
	alice.mustRun(t, "keys", "new", vault, "--yes")
	say("two, under another key")
	err = eventually(t.Context(), func(context.Context) (bool, error) {
		b, err := os.ReadFile(watch.log)
		return bytes.Contains(b, []byte("two, under another key")), err
	})
	if err != nil {
		t.Fatalf("it does not appear as it comes: %v%s", err, watch.lastWords())
	}
	if err := watch.kill(); err != nil {
		t.Fatal(err)
	}
	say("three, after the kill")
	rita.mustRun(t, "sync")
	if got, want := rita.texts(t), []string{"one", "two, under another key", "three, after the kill"}; !slices.Equal(got, want) {
		t.Fatalf("rita shows %q", got)
	}

	if _, err := d.exec(t.Context(), d.pki, "entitle", "deny", "--dir", d.finance.dir("unwrap"), "--coi", d.finance.name, "mimi://"+string(d.alpha.name)+"/u/rita"); err != nil {
		t.Fatal(err)
	}
	say("four, not for rita")
	rita.mustRun(t, "sync")
	if got := rita.texts(t); len(got) != 3 {
		t.Errorf("cut off, rita shows %q", got)
	}
	if out := rita.mustRun(t, "read", vault); !strings.Contains(out, "1 message can not be read") || !strings.Contains(out, "give this device nothing") {
		t.Errorf("rita is told %q", out)
	}
	rita.mustRun(t, "room", "leave", vault)
	if err := rita.ask(t.Context(), &room, "room", "info", vault); err != nil || room.State != "closed" {
		t.Errorf("to rita the room is %+v, %v", room, err)
	}
}

// hasName finds a community by the last part of its name.
func hasName[T ~string](local string) func(T) bool {
	return func(name T) bool { return strings.HasSuffix(string(name), "/"+local) }
}
