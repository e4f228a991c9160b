package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/store"
	"parley/groups"
)

// play runs a command and returns its exit code and what it wrote.
func play(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PARLEY_HOME", "")
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(""), &o, &e})
	return code, o.String(), e.String()
}

func TestExitStatusIs0Done1Failed2CalledInAWrongWay(t *testing.T) {
	for _, c := range []struct {
		args string
		want int
	}{
		{"version", 0}, {"--help", 0}, {"room", 0}, {"room ls --help", 0}, {"completion fish", 0},
		{"whoami", 1}, {"room ls", 1}, {"send ops hi", 1}, {"node ls --admin 127.0.0.1:1", 1},
		{"frobnicate", 2}, {"room frobnicate", 2}, {"--frobnicate", 2}, {"room ls x", 2}, {"send ops", 2},
		{"send ops x --offline --wait", 2}, {"read ops --limit x", 2}, {"read ops --limit 0", 2}, {"node ls", 2}, {"chat", 2},
	} {
		if code, _, errs := play(t, strings.Fields(c.args)...); code != c.want {
			t.Errorf("parley %s: exit status %d, want %d; it says %s", c.args, code, c.want, errs)
		}
	}
}

func TestEveryCommandIsExplained(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q", cmd.CommandPath(), cmd.Short)
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(root(&app{}))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("load identity: %w", client.ErrNoIdentity), "parley login --enroll"},
		{groups.Errorf(groups.Unavailable, "127.0.0.1:1 is not reachable"), "127.0.0.1:1 is not reachable; see whether it runs"},
		{&groups.RemoteError{Peer: "a1", Kind: groups.Busy, Text: "too fast"}, "try again in a moment"},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), "wait: no answer in time; give it more time with --timeout"},
		{fmt.Errorf("wait: %w", context.Canceled), "wait: interrupted"},
		{&store.BusyError{Dir: "h", PID: "7"}, "(process 7) uses the home h: close it, or use another --home"},
		{groups.Errorf(groups.NotFound, "no such room"), "no such room"},
	} {
		if have := explain(c.err); !strings.Contains(have, c.want) {
			t.Errorf("explain(%v) = %q, want %q in it", c.err, have, c.want)
		}
	}
	inner := groups.Errorf(groups.NotFound, "no such room")
	for want, err := range map[string]error{
		"no such room":             inner,
		"send: no such room":       fmt.Errorf("send: %w", inner),
		"send: here: no such room": fmt.Errorf("send: %w", groups.Errorf(groups.NotFound, "here: %w", inner)),
		"no such room; see ls":     errors.Join(&groups.Error{Kind: groups.NotFound, Text: "no such room; see ls", Err: inner}),
	} {
		if have := explain(err); have != want {
			t.Errorf("%q, want %q: the kind is for programs", have, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"ops", "ops", 0}, {"ops", "opps", 1}, {"ops", "pos", 2}, {"", "abc", 3}, {"kitten", "sitting", 3}} {
		if have := distance(c.a, c.b); have != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, have, c.want)
		}
	}
}

func TestDevicesAreToldFromPeople(t *testing.T) {
	for name, want := range map[string]bool{
		"alice": false, "bob@beta.example": false, "alice/phone": true, "bob@beta.example/phone": true,
		"mimi://alpha.example/u/alice": false, "mimi://alpha.example/d/alice/phone": true,
	} {
		if isDevice(name) != want {
			t.Errorf("isDevice(%q) = %v", name, !want)
		}
	}
}

func TestLinesOfStandardInputAreMessages(t *testing.T) {
	in := bufio.NewReaderSize(strings.NewReader("one\r\n\ntwo\nbad\xff\nlast"), client.MaxText)
	batch, end := readLines(in)
	var said []string
	for len(batch) > 0 {
		for _, c := range batch {
			said = append(said, c.Text)
		}
		batch, end = readLines(in)
	}
	if have := strings.Join(said, "|"); have != "one|two|bad\ufffd|last" || !errors.Is(end, io.EOF) {
		t.Errorf("have %q, %v", have, end)
	}
	in = bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", client.MaxText+1)), client.MaxText)
	if batch, end := readLines(in); len(batch) > 0 || groups.KindOf(end) != groups.TooLarge {
		t.Errorf("a line that is too long: %d messages, %v", len(batch), end)
	}
	in = bufio.NewReaderSize(strings.NewReader(strings.Repeat("x\n", 3*maxLines)), client.MaxText)
	if batch, _ := readLines(in); len(batch) != maxLines {
		t.Errorf("%d messages in one transaction, at most %d", len(batch), maxLines)
	}
}

func TestALineIsSentBeforeTheNextIsWritten(t *testing.T) {
	r, w := io.Pipe()
	go func() { // ends with the write, or with the reader
		w.Write([]byte("first\nsec"))
	}()
	batch, end := readLines(bufio.NewReader(r))
	if len(batch) != 1 || batch[0].Text != "first" || end != nil {
		t.Errorf("have %v, %v", batch, end)
	}
	r.Close()
}

func TestNodesAreListed(t *testing.T) {
	answer := `[{"state":"alive","rooms":3,"node":"mimi://alpha.example/n/a1","addresses":["127.0.0.1:1","[::1]:1"],"links":{"beta":2,"alpha":1},"since":"0001-01-01T00:00:00Z","evil":"\u001b[2J"}]`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/nodes":
			io.WriteString(w, answer)
		case "/peers":
			io.WriteString(w, "null")
		}
	}))
	defer srv.Close()
	admin := strings.TrimPrefix(srv.URL, "http://")
	code, out, errs := play(t, "node", "ls", "--admin", admin)
	want := "NODE                       STATE  ADDRESSES             EVIL  LINKS            ROOMS  SINCE\n" +
		"mimi://alpha.example/n/a1  alive  127.0.0.1:1, [::1]:1  ␛[2J  alpha 1, beta 2  3      -\n"
	if code != 0 || out != want {
		t.Errorf("exit status %d, %q:\n%s\nwant\n%s", code, errs, out, want)
	}
	_, out, _ = play(t, "node", "ls", "--admin", admin, "--json")
	if !json.Valid([]byte(out)) || !strings.Contains(out, `"rooms":3`) {
		t.Errorf("JSON is %s", out)
	}
	code, out, errs = play(t, "peer", "ls", "--admin", admin)
	if code != 0 || out != "" || errs != "the node has no peer\n" {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
	if _, out, _ = play(t, "peer", "ls", "--admin", admin, "--json"); out != "[]\n" {
		t.Errorf("JSON of no peer is %q", out)
	}
}
