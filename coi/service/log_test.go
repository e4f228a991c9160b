package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// newAudit makes an empty log's directory.
func newAudit(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	_, err := InitAudit(dir, "alpha.example/unwrap/u1")
	must(t, err)
	return dir
}

func openAudit(t testing.TB, dir string) *AuditLog {
	t.Helper()
	l, err := OpenAudit(dir, nil)
	must(t, err)
	return l
}

func used(i int) AuditEntry {
	return AuditEntry{
		Decision: Granted, Time: then.Add(time.Duration(i) * time.Second), Actor: "mimi://alpha.example/d/alice/laptop",
		CoI: "mimi://alpha.example/c/finance", First: uint64(i), Last: uint64(i), Count: 1, Reason: fmt.Sprint("history ", i),
	}
}

// TestAuditEveryEntryIsProven: each entry is in the tree of the checkpoint that
// its caller got, and each checkpoint in all later ones.
func TestAuditEveryEntryIsProven(t *testing.T) {
	ctx := context.Background()
	dir := newAudit(t)
	l := openAudit(t, dir)
	key, err := AuditKey(dir)
	must(t, err)
	var said []Checkpoint
	for i := range 40 {
		if i == 20 { // it goes on where it was
			must(t, l.Close())
			l = openAudit(t, dir)
		}
		r, err := l.Append(ctx, used(i), used(i+100))
		must(t, err)
		c, err := OpenCheckpoint(r.Checkpoint, key)
		must(t, err)
		if r.First != int64(2*i) || c.Size != r.First+2 {
			t.Fatalf("entry %d of %d, want %d", r.First, c.Size, 2*i)
		}
		said = append(said, c)
	}
	must(t, l.Close())
	var tree hashes
	v, err := ReadAudit(dir, nil, func(n int64, e *AuditEntry) error {
		more, err := tlog.StoredHashes(n, e.Marshal(), &tree)
		tree = append(tree, more...)
		return err
	})
	must(t, err)
	if v.Checkpoint != said[39] || v.Unfinished {
		t.Errorf("%+v, want %+v", v, said[39])
	}
	for i, c := range said {
		for at, e := range []AuditEntry{used(i), used(i + 100)} {
			p, err := tlog.ProveRecord(c.Size, int64(2*i+at), &tree)
			must(t, err)
			must(t, tlog.CheckRecord(p, c.Size, c.Root, int64(2*i+at), tlog.RecordHash(e.Marshal())))
		}
		for _, before := range said[:i] {
			p, err := tlog.ProveTree(c.Size, before.Size, &tree)
			must(t, err)
			must(t, tlog.CheckTree(p, c.Size, c.Root, before.Size, before.Root))
		}
	}
}

// hashes is a whole tree, as whoever has the log can make it.
type hashes []tlog.Hash

func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, (*h)[i])
	}
	return out, nil
}

// TestAuditManyShareASync: many callers at once, each gets its own index.
func TestAuditManyShareASync(t *testing.T) {
	l := openAudit(t, newAudit(t))
	defer l.Close()
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 5 {
				r, err := l.Append(context.Background(), used(i))
				mu.Lock()
				if err != nil || seen[r.First] {
					t.Errorf("%v: entry %d was given twice", err, r.First)
				}
				seen[r.First] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 320 {
		t.Errorf("%d indexes for 320 entries", len(seen))
	}
}

// filled makes a closed log of n batches of two entries and returns its bytes
// after each.
func filled(t testing.TB, n int) (dir string, ends []int64) {
	t.Helper()
	dir = newAudit(t)
	l := openAudit(t, dir)
	for i := range n {
		_, err := l.Append(context.Background(), used(2*i), used(2*i+1))
		must(t, err)
		info, err := os.Stat(filepath.Join(dir, auditFile))
		must(t, err)
		ends = append(ends, info.Size())
	}
	must(t, l.Close())
	return dir, ends
}

// TestAuditTornTail: "a torn tail is cut only if never acknowledged". The last
// batch is cut at each of its octets, while the checkpoint that was shown is
// that of the batch before, or its own.
func TestAuditTornTail(t *testing.T) {
	dir, ends := filled(t, 2)
	l := openAudit(t, dir)
	_, err := l.Append(context.Background(), used(9))
	must(t, err)
	whole, err := os.ReadFile(filepath.Join(dir, auditFile))
	must(t, err)
	shown, err := os.ReadFile(filepath.Join(dir, checkpointFile)) // of the batch before, or of this one
	must(t, err)
	must(t, l.Close())
	last, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	must(t, err)
	for n := ends[1]; n < int64(len(whole)); n += 7 {
		must(t, os.WriteFile(filepath.Join(dir, auditFile), whole[:n], fileMode))
		must(t, os.WriteFile(filepath.Join(dir, checkpointFile), last, fileMode))
		if l, err := OpenAudit(dir, nil); err == nil {
			l.Close()
			t.Fatalf("cut at %d of %d: it opens although an acknowledged entry is lost", n, len(whole))
		}
		if bytes.Equal(shown, last) {
			continue // the second passed between the two
		}
		must(t, os.WriteFile(filepath.Join(dir, checkpointFile), shown, fileMode))
		l, err := OpenAudit(dir, nil)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", n, len(whole), err)
		}
		r, err := l.Append(context.Background(), used(10))
		must(t, err)
		must(t, l.Close())
		if r.First != 4 {
			t.Fatalf("cut at %d: goes on with entry %d, want 4", n, r.First)
		}
	}
}

// TestAuditDamageIsFound: whatever single octet of the log changes, it does not
// open, and what was shown to others does not verify any more.
func TestAuditDamageIsFound(t *testing.T) {
	dir, ends := filled(t, 3)
	path := filepath.Join(dir, auditFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	for at := 0; at < len(whole); at += 11 {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x20
		must(t, os.WriteFile(path, bad, fileMode))
		if l, err := OpenAudit(dir, nil); err == nil {
			l.Close()
			t.Fatalf("octet %d changed, and it opens", at)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, bad) {
			t.Fatalf("octet %d changed: the file was touched: %v", at, err)
		}
		if _, err := ReadAudit(dir, nil, nil); err == nil {
			t.Fatalf("octet %d changed, and it verifies", at)
		}
	}
	must(t, os.WriteFile(path, whole[:ends[1]], fileMode))
	if _, err := ReadAudit(dir, nil, nil); err == nil || !strings.Contains(err.Error(), "changed or taken out") {
		t.Errorf("the last batch is gone: %v", err)
	}
}

// TestAuditRollbackIsFound: who puts back an older log together with its older
// checkpoint is found by a checkpoint that somebody else kept.
func TestAuditRollbackIsFound(t *testing.T) {
	dir, _ := filled(t, 2)
	old, err := os.ReadFile(filepath.Join(dir, auditFile))
	must(t, err)
	oldShown, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	must(t, err)
	l := openAudit(t, dir)
	r, err := l.Append(context.Background(), used(77))
	must(t, err)
	must(t, l.Close())
	if _, err := ReadAudit(dir, [][]byte{oldShown, r.Checkpoint}, nil); err != nil {
		t.Errorf("sound log: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, auditFile), old, fileMode))
	must(t, os.WriteFile(filepath.Join(dir, checkpointFile), oldShown, fileMode))
	if _, err := ReadAudit(dir, nil, nil); err != nil {
		t.Errorf("a whole older log: %v", err)
	}
	if _, err := ReadAudit(dir, [][]byte{r.Checkpoint}, nil); err == nil {
		t.Error("a rolled back log verifies against the later checkpoint")
	}
	l = openAudit(t, dir) // another history
	_, err = l.Append(context.Background(), used(78))
	must(t, err)
	must(t, l.Close())
	if _, err := ReadAudit(dir, [][]byte{r.Checkpoint}, nil); err == nil {
		t.Error("another history verifies against the checkpoint of the first")
	}
}

// TestAuditDown: a log that can not be written says so, and after a failed sync
// never again says anything else.
func TestAuditDown(t *testing.T) {
	dir, _ := filled(t, 1)
	l := openAudit(t, dir)
	good := l.f
	bad, err := os.Open(filepath.Join(dir, auditFile)) // read only: writes fail
	must(t, err)
	l.f = bad // nobody has the file between two calls of Append
	if _, err := l.Append(context.Background(), used(5)); !errors.Is(err, ErrLogDown) {
		t.Errorf("%v, want ErrLogDown", err)
	}
	l.f = good
	if _, err := l.Append(context.Background(), used(5)); !errors.Is(err, ErrLogDown) {
		t.Errorf("%v, want ErrLogDown: it could not even cut off what it may have written", err)
	}
	must(t, bad.Close())
	must(t, l.Close())
	l = openAudit(t, dir)
	r, err := l.Append(context.Background(), used(5))
	must(t, err)
	if r.First != 2 {
		t.Errorf("goes on with entry %d, want 2", r.First)
	}
	must(t, l.Close())
	if _, err := l.Append(context.Background(), used(6)); !errors.Is(err, ErrLogDown) {
		t.Errorf("a closed log: %v", err)
	}
}

func TestAuditOneProcess(t *testing.T) {
	dir, _ := filled(t, 1)
	l := openAudit(t, dir)
	defer l.Close()
	if _, err := OpenAudit(dir, nil); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
	if _, err := ReadAudit(dir, nil, nil); err != nil {
		t.Errorf("reading beside the service: %v", err)
	}
}

// auditChild is set in the process that TestAuditKill kills.
const auditChild = "PARLEY_TEST_AUDIT_CHILD"

// TestAuditKill kills a process that writes, with SIGKILL, and finds every
// entry that was acknowledged.
func TestAuditKill(t *testing.T) {
	if dir := os.Getenv(auditChild); dir != "" {
		l := openAudit(t, dir)
		for i := range 1 << 30 {
			r, err := l.Append(context.Background(), used(i), used(i))
			must(t, err)
			fmt.Printf("acknowledged %d\n", r.First+1)
		}
	}
	dir := newAudit(t)
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAuditKill$")
		cmd.Env = append(os.Environ(), auditChild+"="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		said := make([]byte, 1<<10*(round+1))
		n, err := io.ReadFull(out, said)
		must(t, err)
		must(t, cmd.Process.Kill())
		rest, _ := io.ReadAll(out)
		_ = cmd.Wait() // it was killed
		lines := strings.Split(string(append(said[:n], rest...)), "\n")
		var last int64
		_, err = fmt.Sscanf(lines[len(lines)-2], "acknowledged %d", &last) // the one after may be cut
		must(t, err)
		must(t, openAudit(t, dir).Close())
		v, err := ReadAudit(dir, nil, nil)
		must(t, err)
		if v.Checkpoint.Size <= last {
			t.Fatalf("entry %d was acknowledged, %d are there", last, v.Checkpoint.Size)
		}
	}
}

func FuzzParseAuditEntry(f *testing.F) {
	e := used(3)
	f.Add(e.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseAuditEntry(data)
		if err != nil {
			return
		}
		if again := e.Marshal(); !bytes.Equal(again, data) {
			t.Errorf("%x writes %x", data, again)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	dir := newAudit(f)
	v, err := AuditKey(dir)
	must(f, err)
	s, err := auditSigner(dir)
	must(f, err)
	signed, err := Checkpoint{Origin: s.Name(), Size: 7}.sign(s)
	must(f, err)
	f.Add(signed)
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := OpenCheckpoint(data, v); err == nil && c.text() != string(data[:len(c.text())]) {
			t.Errorf("%q says %+v", data, c)
		}
	})
}
