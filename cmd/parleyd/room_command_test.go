package main

import (
	"bytes"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/coi/service"
	"parley/groups"
)

// parkedNode is the admin port of a node with three rooms, two of them parked,
// and the config that leads to it.
func parkedNode(t *testing.T) (config, address string, acts *[]string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	acts = new([]string)
	rows := []roomRow{
		{Room: "mimi://alpha.example/r/ops", Owned: true, Seq: 10, Parked: "it was put back to an older copy", Refill: 20},
		{Room: "mimi://alpha.example/r/tea", Owned: true, Seq: 7, Parked: "it has two histories"},
		{Room: "mimi://alpha.example/r/well", Owned: true, Seq: 3},
	}
	admin := serveAdmin(l, prometheus.NewRegistry(), status{
		ready: func() error { return nil }, rooms: func() any { return rows },
		refill: func(room groups.RoomID) (any, error) {
			*acts = append(*acts, "refill "+string(room))
			return rows[0], nil
		},
		acceptLoss: func(room groups.RoomID) (any, error) {
			*acts = append(*acts, "accept-loss "+string(room))
			if room != rows[0].Room {
				return nil, groups.Errorf(groups.Conflict, "%s is not parked", room)
			}
			return lossRow{Room: room, Held: 10, Lost: 20, Term: 6}, nil
		},
	})
	t.Cleanup(func() {
		if err := admin.stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config = filepath.Join(dir, "a1.toml")
	pki, err := service.InitDirectory(filepath.Join(dir, "pki"), service.Plan{Site: "alpha.example", Nodes: []string{"a1"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runParleyd(t, "config", "init", "--site", "alpha.example", "--node", "a1", "--pki", pki.Path(), "--port", strconv.Itoa(n-2), "--out", config); err != nil {
		t.Fatal(err)
	}
	return config, l.Addr().String(), acts
}

// runParleyd runs a command and returns what it prints.
func runParleyd(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root(new(bool))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// An operator sees what is parked, why, and what ends it, and gives up only what
// was said twice.
func TestOperatorSeesAndEndsParkedRooms(t *testing.T) {
	config, _, acts := parkedNode(t)
	out, err := runParleyd(t, "room", "parked", "--config", config)
	if err != nil || !strings.Contains(out, "put back to an older copy") || !strings.Contains(out, "entry 20 is back") ||
		!strings.Contains(out, "accept-loss") || strings.Contains(out, "/r/well") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err = runParleyd(t, "room", "refill", "mimi://alpha.example/r/ops", "--config", config); err != nil || !strings.Contains(out, "entry 20") {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err = runParleyd(t, "room", "accept-loss", "mimi://alpha.example/r/ops", "--config", config); err == nil || len(*acts) != 1 {
		t.Fatalf("a loss was accepted without a word: %v, %v", err, *acts)
	}
	out, err = runParleyd(t, "room", "accept-loss", "mimi://alpha.example/r/ops", "--yes", "--config", config)
	if err != nil || !strings.Contains(out, "entries 11 to 20") || !strings.Contains(out, "term 6") {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err = runParleyd(t, "room", "accept-loss", "mimi://alpha.example/r/well", "--yes", "--config", config); err == nil || !strings.Contains(err.Error(), "is not parked") {
		t.Fatal(err)
	}
	if _, err = runParleyd(t, "room", "refill", "ops", "--config", config); err == nil {
		t.Fatal("a name that is none was taken")
	}
}

// A page in a browser on the node's machine can send a simple request to its admin
// port, and must not change anything by that.
func TestAdminPortChangesNothingForAPageInABrowser(t *testing.T) {
	_, address, acts := parkedNode(t)
	client := http.Client{Timeout: time.Minute}
	for _, path := range []string{"/rooms/refill", "/rooms/accept-loss"} {
		resp, err := client.Post("http://"+address+path+"?room=mimi://alpha.example/r/ops", "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || len(*acts) != 0 {
			t.Errorf("%s: %s, %v", path, resp.Status, *acts)
		}
	}
}
