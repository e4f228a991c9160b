package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"parley/groups"
)

// crash makes a copy of a store's directory as a crash would leave it: while
// the store is open, with its write-ahead log as it stands. The journal is
// copied first, so that it is not ahead, and Badger's tables must not change
// meanwhile.
func crash(t testing.TB, dir string) string {
	t.Helper()
	for range 100 {
		to := t.TempDir()
		before := tables(dir)
		journal, err := os.ReadFile(filepath.Join(dir, journalName))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, journalName), journal, 0o600)
		}
		if err == nil {
			err = copySparse(filepath.Join(to, badgerDir), filepath.Join(dir, badgerDir))
		}
		if err == nil && tables(dir) == before {
			return to
		}
		os.RemoveAll(to)
	}
	t.Fatal("the store never rests")
	return ""
}

// copySparse copies the files of a directory; their holes, most of what Badger's
// logs are, take neither time nor space.
func copySparse(to, from string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	list, err := os.ReadDir(from)
	for _, e := range list {
		err = errors.Join(err, copyHoles(filepath.Join(to, e.Name()), filepath.Join(from, e.Name())))
	}
	return err
}

func copyHoles(to, from string) error {
	const seekData, seekHole = 3, 4 // where the system has them
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	end, err := in.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for at := int64(0); at < end && err == nil; {
		data, err1 := in.Seek(at, seekData)
		if errors.Is(err1, syscall.ENXIO) {
			break // nothing but a hole
		}
		hole, err2 := in.Seek(data, seekHole)
		if err1 != nil || err2 != nil {
			data, hole = at, end
		}
		_, err = io.Copy(io.NewOffsetWriter(out, data), io.NewSectionReader(in, data, hole-data))
		at = hole
	}
	return errors.Join(err, out.Truncate(end), out.Close())
}

// tables describes the files that Badger changes by itself.
func tables(dir string) string {
	var all strings.Builder
	list, _ := os.ReadDir(filepath.Join(dir, badgerDir))
	for _, e := range list {
		all.WriteString(e.Name())
		if in, err := e.Info(); err == nil && e.Name() == "MANIFEST" {
			fmt.Fprint(&all, in.Size())
		}
	}
	return all.String()
}

// flip changes one bit of a file in the place where a text stands.
func flip(t *testing.T, dir, pattern string, text []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(b, text); i >= 0 {
			at := i + len(text)/2
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte{b[at] ^ 1}, int64(at))
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%q is in no %s", text, pattern)
}

// TestAFlippedBitInTheWALParksTheRoomInsteadOfShorteningIt: "one flipped bit
// in a log file makes Open drop thousands of acknowledged rows without an
// error".
func TestAFlippedBitInTheWALParksTheRoomInsteadOfShorteningIt(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	bob := found(t, s, "quiet", deviceID(t, alpha, "bob", "desk"))
	flood(alice, s, 500)
	id := newID()
	mustSubmit(t, s, plain(alice.room, 0, alice.stamp(id), []byte("the bit that flips")))
	flood(alice, s, 500)
	dir := crash(t, c.Dir)
	flip(t, filepath.Join(dir, badgerDir), "*.mem", []byte("the bit that flips"))

	c.Dir = dir
	s = openTest(t, c)
	in, err := s.Room(alice.room)
	if err != nil || !strings.Contains(in.Parked, "entry 1002 was promised") || in.Head.Seq >= 1002 {
		t.Fatalf("%+v, %v", in, err)
	}
	wantKind(t, submit(s, alice.say("more")).Err, groups.Unavailable)
	if got := readAll(t, s, alice.room, 1<<20); len(got) != int(in.Head.Seq) {
		t.Fatalf("%d entries of %d can be read", len(got), in.Head.Seq)
	}
	quiet, err := s.Room(bob.room)
	if err != nil || quiet.Parked != "" {
		t.Fatalf("a room that lost nothing is parked: %+v, %v", quiet, err)
	}
	mustSubmit(t, s, bob.say("goes on"))
	closeTest(t, s)
	if in, _ = openTest(t, c).Room(alice.room); in.Parked == "" {
		t.Fatal("the next start has forgotten what was promised")
	}
}

// TestKeyPackagesThatWereTakenDoNotComeBack: the deletion of a key package may
// be among what Badger lost.
func TestKeyPackagesThatWereTakenDoNotComeBack(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	d := deviceID(t, alpha, "alice", "laptop")
	alice := found(t, s, "ops", d)
	put := func(s *Store, text string) int {
		n, err := s.PutKeyPackages(d, []groups.KeyPackage{{Device: d, Suite: 1, Bytes: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	put(s, "first")
	id := newID()
	mustSubmit(t, s, plain(alice.room, 0, alice.stamp(id), []byte("the bit that flips")))
	if got, err := s.TakeKeyPackages(d.User(), 1); err != nil || string(got[0].Bytes) != "first" {
		t.Fatal(got, err)
	}
	dir := crash(t, c.Dir)
	flip(t, filepath.Join(dir, badgerDir), "*.mem", []byte("the bit that flips"))
	c.Dir = dir
	s = openTest(t, c)
	_, err := s.TakeKeyPackages(d.User(), 1)
	wantKind(t, err, groups.NotFound)
	if n, err := s.CountKeyPackages(d); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	put(s, "second")
	if got, err := s.TakeKeyPackages(d.User(), 1); err != nil || string(got[0].Bytes) != "second" {
		t.Fatal(got, err)
	}
}

func TestALogThatRotsInATableIsNotShownShorter(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	flood(alice, s, 100)
	mustSubmit(t, s, plain(alice.room, 0, alice.stamp(newID()), []byte("the bit that flips")))
	flood(alice, s, 100)
	closeTest(t, s) // everything goes to a table
	flip(t, filepath.Join(c.Dir, badgerDir), "*.sst", []byte("the bit that flips"))
	s, err := Open(c)
	if err != nil {
		return // found even earlier
	}
	defer closeTest(t, s)
	after, broken := groups.Seq(0), error(nil)
	for broken == nil {
		page, err := s.Read(alice.room, after, 4<<10)
		if broken = err; err == nil && len(page.Entries) == 0 {
			break
		}
		after += groups.Seq(len(page.Entries))
	}
	if in, _ := s.Room(alice.room); broken == nil || in.Parked == "" {
		t.Fatalf("read %d entries, error %v, parked %q", after, broken, in.Parked)
	}
}

func TestALostStoreIsParkedRoomByRoom(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	closeTest(t, s)
	if err := os.RemoveAll(filepath.Join(c.Dir, badgerDir)); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, c)
	in, err := s.Room(alice.room)
	if err != nil || in.Parked == "" {
		t.Fatalf("%+v, %v", in, err)
	}
	wantKind(t, submit(s, newMember(t, alice.device).create(alice.room)).Err, groups.Unavailable)
	found(t, s, "another", alice.device)
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	c := testConfig(alpha, filepath.Join(t.TempDir(), "node"))
	c.Ballast = 1 << 20
	s := openTest(t, c)
	found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	s.checkSpace()
	closeTest(t, s)
	s = openTest(t, c)
	n := 0
	err := filepath.WalkDir(c.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		in, err := d.Info()
		if err == nil && in.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, in.Mode())
		}
		return err
	})
	if err != nil || n < 6 {
		t.Fatal(n, err)
	}
}
