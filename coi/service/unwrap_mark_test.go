package service

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/groups"
)

// announce shows an epoch and the one before it, and returns the mark.
func (v *vault) announce(from *member, before, e *epoch) groups.KeyMark {
	v.t.Helper()
	x := v.question(from)
	if before != nil {
		x.anchor(before, false)
		x.q.Anchors[0].Next = before.vouch(1, e)
	}
	x.anchor(e, true)
	a, err := x.send()
	must(v.t, err)
	if len(a.Marks) != 1 {
		v.t.Fatalf("%d marks", len(a.Marks))
	}
	return a.Marks[0]
}

// TestKilledUnwrapService is the process that the next test kills.
func TestKilledUnwrapService(t *testing.T) {
	dir := os.Getenv("PARLEY_UNWRAP_KILL")
	if dir == "" {
		t.Skip("only as a child of TestAnAnsweredAnnouncementSurvivesAKill")
	}
	v := newVault(t)
	v.stop()
	v.log = dir
	v.start()
	alice, bob := v.device("alice", "laptop"), v.device("bob", "laptop")
	r := v.room(opsRoom, finance)
	var before *epoch
	for {
		e := r.next(alice, bob)
		if m := v.announce(alice, before, e); m.Epoch != e.record.Epoch {
			t.Fatalf("epoch %d was announced, the mark is %d", e.record.Epoch, m.Epoch)
		}
		fmt.Println("acknowledged", e.record.Epoch)
		before = e
	}
}

// A service that is killed right after its answer has not forgotten at its next
// start what it was told: who was removed stays refused.
func TestAnAnsweredAnnouncementSurvivesAKill(t *testing.T) {
	dir := newAudit(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledUnwrapService$")
	cmd.Env = append(os.Environ(), "PARLEY_UNWRAP_KILL="+dir, "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	acknowledged := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
			acknowledged, _ = strconv.Atoi(n)
		}
		if acknowledged == 20 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait() // it says that it was killed
	if acknowledged < 20 {
		t.Fatalf("the child acknowledged %d", acknowledged)
	}
	state := NewUnwrapState(then)
	log, err := OpenAudit(dir, state.Recall)
	must(t, err)
	defer log.Close()
	m, known := state.mark(log.Room(string(opsRoom)))
	if !known || m.epoch < uint64(acknowledged) {
		t.Errorf("epoch %d was answered for, after the kill the service knows %d (%v)", acknowledged, m.epoch, known)
	}
}

// keys is what an instance says of itself.
func (v *vault) judges() *unwrapv1.KeysResponse {
	v.t.Helper()
	resp, err := v.client.Keys(context.Background(), connect.NewRequest(&unwrapv1.KeysRequest{Cois: []string{finance}}))
	must(v.t, err)
	return resp.Msg
}

// TestE28_InstancesShowWhetherTheyAreEqual: what two instances say of themselves
// is the same if, and only if, they have the same rules and know the same epochs.
func TestE28_InstancesShowWhetherTheyAreEqual(t *testing.T) {
	v, w := newVault(t), newVault(t)
	w.root, w.devices, w.cois = v.root, v.devices, v.cois
	alice, bob := v.device("alice", "laptop"), v.device("bob", "laptop")
	r := v.room(opsRoom, finance)
	other := v.room("mimi://alpha.example/r/other", finance)
	e0, e1, o0 := r.next(alice, bob), r.next(alice), other.next(alice)
	marks := func(want bool, what string) {
		t.Helper()
		if a, b := v.judges().MarksHash, w.judges().MarksHash; string(a) == string(b) != want || len(a) != 32 {
			t.Errorf("%s: %x and %x", what, a, b)
		}
	}
	marks(true, "both know nothing")
	nothing := v.judges().MarksHash
	v.announce(alice, nil, e0)
	marks(false, "one knows a room")
	w.announce(alice, nil, e0)
	marks(true, "both know it")
	v.announce(alice, e0, e1)
	v.announce(alice, nil, o0)
	marks(false, "one has missed two")
	w.announce(alice, nil, o0)
	marks(false, "one has missed a removal")
	w.announce(alice, e0, e1)
	marks(true, "told in another order")
	w.restart()
	marks(true, "after a restart")
	if string(v.judges().MarksHash) == string(nothing) {
		t.Error("the digest says nothing")
	}

	rules := func(want bool, what string) {
		t.Helper()
		a, b := v.judges(), w.judges()
		if same := string(a.RulesHash) == string(b.RulesHash) && a.RulesVersion == b.RulesVersion; same != want || len(a.RulesHash) != 32 {
			t.Errorf("%s: version %d %x and version %d %x", what, a.RulesVersion, a.RulesHash, b.RulesVersion, b.RulesHash)
		}
	}
	rules(false, "each was granted by itself") // at two times
	if _, err := w.rules.Import(v.rules.path); err == nil || !strings.Contains(err.Error(), "each was changed by itself") {
		t.Errorf("rules of the same version: %v", err)
	}
	v.grant(Rule{CoI: finance, Subject: "mimi://alpha.example/u/bob", Effect: Denies, By: "test"})
	_, err := w.rules.Import(v.rules.path)
	must(t, err)
	rules(true, "imported")
	w.question(bob).refused()
	_, err = w.rules.Import(v.rules.path)
	must(t, err) // again, to no effect
	w.grant(Rule{CoI: finance, Subject: "mimi://alpha.example/u/carol", Effect: Denies, By: "test"})
	rules(false, "changed at one")
	if _, err := w.rules.Import(v.rules.path); err == nil || !strings.Contains(err.Error(), "bring the newer rules to the other instance") {
		t.Errorf("older rules: %v", err)
	}
	_, err = v.rules.Import(w.rules.path)
	must(t, err)
	rules(true, "brought back")
	broken := filepath.Join(t.TempDir(), "broken.json")
	must(t, os.WriteFile(broken, []byte(`{"version":99,"rules":[{"subject":"nobody"}]}`), fileMode))
	if _, err := v.rules.Import(broken); err == nil {
		t.Error("rules that the service could not read were imported")
	}
	rules(true, "after what was refused")

	v.announce(alice, nil, o0) // its room is known: nothing new
	_, err = v.rules.Forget(opsRoom, "test")
	must(t, err)
	rules(false, "a room is forgotten at one")
	marks(false, "a room is forgotten at one")
	_, err = w.rules.Import(v.rules.path)
	must(t, err)
	rules(true, "forgotten at both")
	marks(true, "forgotten at both")
}

// Rules that somebody wrote over, under the version that was in force, were used
// and stood in no log.
func TestRulesWithoutANewVersionAreLogged(t *testing.T) {
	v := newVault(t)
	v.judges()
	before := len(v.entries())
	v.judges()
	data, err := os.ReadFile(v.rules.path)
	must(t, err)
	must(t, replace(v.rules.path, []byte(strings.Replace(string(data), `"by": "test"`, `"by": "nobody"`, 1))))
	v.judges()
	v.judges()
	log := v.entries()
	if len(log) != before+1 || log[before].Decision != Changed || !strings.Contains(log[before].Why, "nobody") {
		t.Errorf("%d entries after %d", len(log), before)
	}
	v.restart()
	v.judges()
	if n := len(v.entries()); n != before+1 {
		t.Errorf("%d entries after a restart", n)
	}
}
