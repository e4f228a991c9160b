package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"parley/groups"
)

// programs builds the three programs once, as a user would, and says where
// they are.
var programs = sync.OnceValues(func() (binaries, error) {
	dir, err := os.MkdirTemp("", "parley-programs-")
	if err != nil {
		return binaries{}, err
	}
	builtIn = dir
	out, err := exec.Command("go", "build", "-o", dir, "parley/cmd/...").CombinedOutput()
	if err != nil {
		return binaries{}, fmt.Errorf("go build: %w: %s", err, out)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return binaries{at("parley"), at("parleyd"), at("parley-pki")}, nil
})

// builtIn is the folder that programs made, for TestMain to remove.
var builtIn string

// tidy removes what programs built when all tests have run.
type tidy struct{ *testing.M }

// Run runs the tests.
func (m tidy) Run() int {
	code := m.M.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	return code
}

func builtPrograms(t *testing.T) binaries {
	t.Helper()
	if testing.Short() {
		t.Skip("runs whole sites: not with -short")
	}
	b, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The demonstration is the acceptance test: two sites, real processes, every
// step verified, and nothing left behind.
func TestDemo(t *testing.T) {
	b := builtPrograms(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "sites")
	cmd := exec.Command(b.parley, "demo", "--once", "--dir", dir)
	cmd.Dir = parent
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("parley demo --once: %v\n%s", err, out)
	}
	if !regexp.MustCompile(`All \d+ steps were verified`).Match(out) || bytes.Contains(out, []byte("✗")) {
		t.Errorf("parley demo --once ended well but says:\n%s", out)
	}
	if bytes.Contains(out, []byte("\x1b[")) {
		t.Error("there are colours in a pipe")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder was left behind: %v", err)
	}
}

// A step that can not be done ends the demonstration with exit status 1, says
// why, and leaves the folder to look into.
func TestDemoSaysWhatFailed(t *testing.T) {
	b := builtPrograms(t)
	broken := t.TempDir()
	for from, to := range map[string]string{b.parley: "parley", b.pki: "parley-pki"} {
		if err := os.Link(from, filepath.Join(broken, to)); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\necho the disk is on fire >&2\nexit 3\n"
	if err := os.WriteFile(filepath.Join(broken, "parleyd"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "sites")
	cmd := exec.Command(filepath.Join(broken, "parley"), "demo", "--once", "--dir", dir)
	cmd.Env = append(os.Environ(), "PATH="+broken)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitFailure {
		t.Errorf("exit: %v", err)
	}
	for _, want := range []string{"✗ their gateways run", "the disk is on fire", "kept: " + dir} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
}

// TestSites runs scripts against two whole sites.
func TestSites(t *testing.T) {
	b := builtPrograms(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/sites",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(b.parley)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("HOME", e.WorkDir+"/person")
			e.Setenv("PARLEY_HOME", "")
			e.Setenv("XDG_DATA_HOME", "")
			d := &demo{app: &app{streams: streams{nil, io.Discard, io.Discard}}, binaries: b, dir: e.WorkDir}
			d.story = newStory(d.app)
			e.Values[sitesKey{}] = d
			e.Defer(func() {
				if err := d.stop(); err != nil {
					t.Error(err)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sites": scriptSites, "enrol": scriptEnrol, "start": scriptStart, "stop": scriptStop, "poll": scriptPoll,
			"field": scriptField, "samehashes": scriptSameHashes,
		},
	})
}

// sitesKey is where a script keeps its sites.
type sitesKey struct{}

func sitesOf(ts *testscript.TestScript) *demo { return ts.Value(sitesKey{}).(*demo) }

// scriptSites makes alpha and beta and starts them:
//
//	sites
//
// It sets A1, A2, B1 to the nodes' addresses for devices, and ENROLL_ALPHA and
// ENROLL_BETA to the enrolment services' URLs.
func scriptSites(ts *testscript.TestScript, _ bool, _ []string) {
	d, ctx := sitesOf(ts), context.Background()
	ts.Check(d.newSites())
	for _, act := range []act{
		d.makePKI(d.alpha), d.makePKI(d.beta), d.exchangeTrust, d.startNodes, d.seeEachOther, d.startEnrolment,
	} {
		_, err := act(ctx)
		ts.Check(err)
	}
	for _, n := range append(d.alpha.nodes, d.beta.nodes...) {
		ts.Setenv(strings.ToUpper(n.Node), n.Devices)
	}
	ts.Setenv("ENROLL_ALPHA", "https://"+d.alpha.listen)
	ts.Setenv("ENROLL_BETA", "https://"+d.beta.listen)
}

// scriptEnrol makes a device, with the home USER-DEVICE:
//
//	enrol alpha alice laptop
func scriptEnrol(ts *testscript.TestScript, _ bool, args []string) {
	d := sitesOf(ts)
	site := map[string]*demoSite{"alpha": d.alpha, "beta": d.beta}[args[0]]
	ts.Check(d.person(site, args[1], args[2]).enrol(context.Background()))
}

// scriptStart starts a node that was stopped:
//
//	start b1
func scriptStart(ts *testscript.TestScript, _ bool, args []string) {
	d := sitesOf(ts)
	for _, n := range append(d.alpha.nodes, d.beta.nodes...) {
		if n.Node == args[0] {
			_, err := d.startNode(context.Background(), n)
			ts.Check(err)
		}
	}
}

// scriptStop stops a node, orderly or by SIGKILL:
//
//	stop b1 [KILL]
func scriptStop(ts *testscript.TestScript, _ bool, args []string) {
	d := sitesOf(ts)
	i := slices.IndexFunc(d.services, func(s *service) bool { return s.name == args[0] })
	if i < 0 {
		ts.Fatalf("%s does not run", args[0])
	}
	end := d.services[i].stop
	if len(args) > 1 {
		end = d.services[i].kill
	}
	ts.Check(end())
	d.services = slices.Delete(d.services, i, i+1)
}

// scriptPoll runs a program until what it prints matches:
//
//	poll PATTERN PROGRAM ARG...
func scriptPoll(ts *testscript.TestScript, _ bool, args []string) {
	d, pattern := sitesOf(ts), regexp.MustCompile("(?m)"+args[0])
	var out []byte
	err := eventually(context.Background(), func(ctx context.Context) (bool, error) {
		cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(d.parley), args[1]), args[2:]...)
		cmd.Dir = d.dir
		out, _ = cmd.CombinedOutput() // that it matches is what counts
		return pattern.Match(out), nil
	})
	if err != nil {
		ts.Fatalf("%s: %v\n%s", args[0], err, out)
	}
}

// scriptField sets a variable to a member of the JSON that was printed last:
//
//	field NAME VARIABLE
func scriptField(ts *testscript.TestScript, _ bool, args []string) {
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	ts.Setenv(args[1], fmt.Sprint(v[args[0]]))
}

// scriptSameHashes compares the hashes of two room logs, printed with --json,
// from the first entry that both have:
//
//	samehashes FILE FILE
func scriptSameHashes(ts *testscript.TestScript, _ bool, args []string) {
	var logs [2]map[groups.Seq]string
	for i := range logs {
		var entries []logJSON
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[i])), &entries))
		logs[i] = make(map[groups.Seq]string)
		for _, e := range entries {
			logs[i][e.Seq] = e.Hash
		}
	}
	both := 0
	for seq, hash := range logs[0] {
		if other, ok := logs[1][seq]; ok {
			both++
			if other != hash {
				ts.Fatalf("entry %d: %s and %s", seq, hash, other)
			}
		}
	}
	if both < 5 {
		ts.Fatalf("the logs have only %d entries in common", both)
	}
}

// Who stops reading what the demonstration prints leaves no process and no
// folder behind.
func TestDemoEndsWithItsReader(t *testing.T) {
	b := builtPrograms(t)
	dir := filepath.Join(t.TempDir(), "sites")
	cmd := exec.Command(b.parley, "demo", "--dir", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := regexp.MustCompile(`process (\d+),`).FindStringSubmatch(lines.Text()); m != nil {
			pids = append(pids, m[1])
		}
		if len(pids) == 3 {
			break
		}
	}
	out.Close()
	if err := cmd.Wait(); err == nil {
		t.Error("it ended well, without having done anything")
	}
	for _, pid := range pids {
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := os.FindProcess(n); err == nil && p.Signal(syscall.Signal(0)) == nil {
			t.Errorf("process %d still runs", n)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder was left behind: %v", err)
	}
}
