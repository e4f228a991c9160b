package storage

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/groups"
)

// killedDir tells a run of this test binary to be the child that is killed.
const killedDir = "PARLEY_STORAGE_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		submitForever(dir)
	}
	os.Exit(m.Run())
}

// submitForever submits to two rooms and prints each receipt, until killed.
func submitForever(dir string) {
	t := new(testing.T)
	s, err := Open(testConfig(alpha, dir))
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	out := make(chan groups.Outcome, maxQueued)
	window := make(chan struct{}, 256)
	go func() {
		w := bufio.NewWriter(os.Stdout)
		for o := range out {
			if o.Err != nil {
				fmt.Println("submit:", o.Err)
				os.Exit(1)
			}
			fmt.Fprintf(w, "%s %d %x\n", o.Receipt.Room.Name(), o.Receipt.Seq, o.Receipt.Hash[:])
			if len(out) == 0 {
				w.Flush()
			}
			<-window
		}
	}()
	for i := 0; ; i++ {
		d := deviceID(t, alpha, fmt.Sprint("user", i%2), "d")
		room := roomID(t, fmt.Sprint("room", i%2))
		if i < 2 && s.find(room) == nil {
			m := newMember(t, d)
			m.t = t
			submit(s, m.create(room))
		}
		window <- struct{}{}
		id := newID()
		s.Submit(plain(room, 0, groups.AuthenticatedData{Device: d, ID: id}, make([]byte, 200)), func(o groups.Outcome) { out <- o })
	}
}

// TestNothingAcknowledgedIsLostToSIGKILL (I2): a process is killed ten times
// while it submits, and each time the log holds every receipt it has printed.
func TestNothingAcknowledgedIsLostToSIGKILL(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	total := 0
	cycles := 10
	if testing.Short() {
		cycles = 3
	}
	for cycle := range cycles {
		receipts := killOnce(t, self, dir)
		total += len(receipts)
		s, err := Open(testConfig(alpha, dir))
		if err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		logs := make(map[string][]*groups.Entry)
		for _, in := range s.Rooms() {
			if in.Parked != "" {
				t.Fatalf("cycle %d: %s is parked: %s", cycle, in.Room, in.Parked)
			}
			logs[in.Room.Name()] = readAll(t, s, in.Room, 1<<20)
		}
		for _, line := range receipts {
			var room, hash string
			var seq int
			fmt.Sscan(line, &room, &seq, &hash)
			log := logs[room]
			if len(log) < seq {
				t.Fatalf("cycle %d: receipt %q is not in a log of %d", cycle, line, len(log))
			}
			if is := log[seq-1].EntryHeader.Hash(); fmt.Sprintf("%x", is[:]) != hash {
				t.Fatalf("cycle %d: receipt %q, the log has %x there", cycle, line, is[:])
			}
		}
		closeTest(t, s)
	}
	if total == 0 {
		t.Fatal("no receipts: this test proved nothing")
	}
	t.Logf("%d receipts over %d kills", total, cycles)
}

// killOnce runs the child until some receipts have come, kills it, and returns
// the lines it has printed.
func killOnce(t *testing.T, self, dir string) []string {
	t.Helper()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(pipe)
	first, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("child: %q, %v", first, err)
	}
	stop := time.AfterFunc(time.Duration(20+rand.IntN(150))*time.Millisecond, func() { cmd.Process.Kill() })
	defer stop.Stop()
	rest, _ := io.ReadAll(r)
	cmd.Wait()
	lines := strings.Split(first+string(rest), "\n")
	for _, l := range lines[:len(lines)-1] {
		if len(strings.Fields(l)) != 3 {
			t.Fatalf("child says %q", l)
		}
	}
	return lines[:len(lines)-1] // the last one may be cut
}
