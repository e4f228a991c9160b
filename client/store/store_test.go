package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"parley/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// each runs a test of the contract of client.Store against every store.
func each(t *testing.T, test func(t *testing.T, s client.Store)) {
	t.Run("memory", func(t *testing.T) {
		s := NewMemory()
		defer s.Close()
		test(t, s)
	})
	t.Run("file", func(t *testing.T) {
		s := open(t, Config{Dir: t.TempDir()})
		defer s.Close()
		test(t, s)
	})
}

func open(t *testing.T, cfg Config) *File {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s client.Store, keys ...string) {
	t.Helper()
	err := s.Update(func(tx client.Tx) error {
		for _, k := range keys {
			if err := tx.Put(client.TableLog, []byte(k), []byte("v"+k)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func scan(t *testing.T, s client.Store, r client.Range) (keys []string) {
	t.Helper()
	err := s.View(func(tx client.Tx) error {
		return tx.Scan(client.TableLog, r, func(k, v []byte) bool {
			if string(v) != "v"+string(k) {
				t.Errorf("row %q holds %q", k, v)
			}
			keys = append(keys, string(k))
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestRowsAreKeptByTableAndKey(t *testing.T) {
	each(t, func(t *testing.T, s client.Store) {
		err := s.Update(func(tx client.Tx) error {
			return errors.Join(
				tx.Put(client.TableLog, []byte("a"), []byte("1")),
				tx.Put(client.TableIDs, []byte("a"), nil),
				tx.Put(client.TableLog, []byte("b"), []byte("2")),
				tx.Put(client.TableLog, []byte("a"), []byte("3")),
				tx.Delete(client.TableLog, []byte("b")),
				tx.Delete(client.TableLog, []byte("never there")))
		})
		if err != nil {
			t.Fatal(err)
		}
		s.View(func(tx client.Tx) error {
			for _, want := range []struct {
				t     client.Table
				key   string
				value []byte
			}{
				{client.TableLog, "a", []byte("3")}, {client.TableIDs, "a", []byte{}},
				{client.TableLog, "b", nil}, {client.TableRooms, "a", nil},
			} {
				got, err := tx.Get(want.t, []byte(want.key))
				if err != nil || !bytes.Equal(got, want.value) || (got == nil) != (want.value == nil) {
					t.Errorf("%s %s: %q, %v", want.t, want.key, got, err)
				}
			}
			return nil
		})
	})
}

func TestScanIsInOrderAndWithinThePrefix(t *testing.T) {
	each(t, func(t *testing.T, s client.Store) {
		put(t, s, "b\xff2", "a1", "b1", "c1", "b\xff\xff", "b3", "b2", "\xff\xff1")
		for _, c := range []struct {
			r    client.Range
			want []string
		}{
			{client.Range{Prefix: []byte("b")}, []string{"b1", "b2", "b3", "b\xff2", "b\xff\xff"}},
			{client.Range{Prefix: []byte("b"), Reverse: true}, []string{"b\xff\xff", "b\xff2", "b3", "b2", "b1"}},
			{client.Range{Prefix: []byte("b"), From: []byte("b2")}, []string{"b2", "b3", "b\xff2", "b\xff\xff"}},
			{client.Range{Prefix: []byte("b"), From: []byte("b2"), Reverse: true}, []string{"b2", "b1"}},
			{client.Range{Prefix: []byte("b"), From: []byte("b21"), Reverse: true}, []string{"b2", "b1"}},
			{client.Range{Prefix: []byte("\xff\xff")}, []string{"\xff\xff1"}},
			{client.Range{Prefix: []byte("\xff\xff"), Reverse: true}, []string{"\xff\xff1"}},
			{client.Range{Prefix: []byte("d")}, nil},
			{client.Range{Prefix: []byte("d"), Reverse: true}, nil},
		} {
			if got := scan(t, s, c.r); !slices.Equal(got, c.want) {
				t.Errorf("%q from %q reverse %v: %q, want %q", c.r.Prefix, c.r.From, c.r.Reverse, got, c.want)
			}
		}
		n := 0
		s.View(func(tx client.Tx) error {
			return tx.Scan(client.TableLog, client.Range{}, func(_, _ []byte) bool { n++; return n < 3 })
		})
		if n != 3 {
			t.Errorf("a scan that is told to stop goes on: %d rows", n)
		}
	})
}

func TestFailedUpdateWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, s client.Store) {
		put(t, s, "a", "b")
		boom := errors.New("boom")
		err := s.Update(func(tx client.Tx) error {
			tx.Put(client.TableLog, []byte("a"), []byte("x"))
			tx.Put(client.TableLog, []byte("a"), []byte("y"))
			tx.Put(client.TableLog, []byte("c"), []byte("x"))
			tx.Delete(client.TableLog, []byte("b"))
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		if got := scan(t, s, client.Range{}); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("have %q", got)
		}
		func() {
			defer func() { recover() }()
			s.Update(func(tx client.Tx) error {
				tx.Put(client.TableLog, []byte("d"), []byte("x"))
				panic("in the middle")
			})
		}()
		if got := scan(t, s, client.Range{}); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("after a panic: have %q", got)
		}
	})
}

func TestViewDoesNotWrite(t *testing.T) {
	each(t, func(t *testing.T, s client.Store) {
		s.View(func(tx client.Tx) error {
			if err := tx.Put(client.TableLog, []byte("a"), nil); !errors.Is(err, client.ErrReadOnly) {
				t.Errorf("put: %v", err)
			}
			if err := tx.Delete(client.TableLog, []byte("a")); !errors.Is(err, client.ErrReadOnly) {
				t.Errorf("delete: %v", err)
			}
			return nil
		})
	})
}

func TestUseAfterCloseIsAnError(t *testing.T) {
	each(t, func(t *testing.T, s client.Store) {
		s.Close()
		nothing := func(client.Tx) error { return nil }
		if s.View(nothing) == nil || s.Update(nothing) == nil {
			t.Error("a closed store answers")
		}
		if err := s.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
	})
}

func TestFileKeepsWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a home #1?with=50% of all+signs")
	s := open(t, Config{Dir: dir})
	put(t, s, "a", "b")
	s.Close()
	s = open(t, Config{Dir: dir})
	defer s.Close()
	if got := scan(t, s, client.Range{}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("have %q", got)
	}
}

// A home of an earlier parley lacks the tables that were added since.
func TestAHomeOfAnEarlierParleyGetsTheNewTables(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	put(t, s, "a")
	if err := s.conn.Exec("DROP TABLE trail; DROP TABLE announcements"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, Config{Dir: dir})
	defer s.Close()
	if got := scan(t, s, client.Range{}); len(got) != 1 {
		t.Errorf("have %q", got)
	}
	err := s.Update(func(tx client.Tx) error { return tx.Put(client.TableAnnouncements, []byte("k"), []byte("v")) })
	if err != nil {
		t.Error(err)
	}
}

func TestFileIsCiphertext(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	defer s.Close()
	canary := []byte("canary-in-a-row-that-nobody-may-read")
	for i := range 200 {
		s.Update(func(tx client.Tx) error {
			return tx.Put(client.TableMessages, fmt.Append(nil, i), bytes.Repeat(canary, 10))
		})
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, canary[:12]) || bytes.Contains(b, []byte("SQLite format")) || bytes.Contains(b, []byte("CREATE TABLE")) {
			t.Errorf("%s holds plaintext", filepath.Base(name))
		}
		info, _ := os.Stat(name)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is readable by others: %v", filepath.Base(name), info.Mode())
		}
	}
	if len(files) < 3 {
		t.Errorf("looked only at %v", files)
	}
}

func TestSecondProcessIsToldWhoHasTheHome(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	_, err := Open(Config{Dir: dir, Wait: -1})
	busy, ok := errors.AsType[*BusyError](err)
	if !ok || busy.PID != fmt.Sprint(os.Getpid()) {
		t.Fatalf("got %v", err)
	}
	put(t, s, "a")
	s.Close()
	open(t, Config{Dir: dir, Wait: -1}).Close()
}

func TestSecondProcessWaits(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	done := make(chan error)
	go func() {
		second, err := Open(Config{Dir: dir})
		if err == nil {
			err = second.Close()
		}
		done <- err
	}()
	put(t, s, "a")
	s.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
