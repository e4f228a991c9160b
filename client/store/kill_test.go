package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"parley/client"
)

// TestKilledProcess is the process that TestKillLosesNothing kills.
func TestKilledProcess(t *testing.T) {
	dir := os.Getenv("PARLEY_STORE_KILL")
	if dir == "" {
		t.Skip("only as a child of TestKillLosesNothing")
	}
	s := open(t, Config{Dir: dir})
	for i := 1; ; i++ {
		err := s.Update(func(tx client.Tx) error {
			row := fmt.Append(nil, i)
			for _, table := range []client.Table{client.TableRooms, client.TableMessages, client.TableGroups} {
				if err := tx.Put(table, []byte("last"), row); err != nil {
					return err
				}
			}
			return tx.Put(client.TableLog, fmt.Appendf(nil, "%08d", i), row)
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("acknowledged", i)
	}
}

// A process that is killed loses no Update that has returned, and leaves none
// by halves.
func TestKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), "PARLEY_STORE_KILL="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
				acknowledged, _ = strconv.Atoi(n)
			}
			if acknowledged == 40 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if acknowledged < 40 {
			t.Fatalf("the child acknowledged %d", acknowledged)
		}
		check(t, dir, acknowledged)
	}
}

// check opens the home and compares the tables with each other.
func check(t *testing.T, dir string, acknowledged int) {
	t.Helper()
	s := open(t, Config{Dir: dir})
	defer s.Close()
	s.View(func(tx client.Tx) error {
		last, _ := tx.Get(client.TableRooms, []byte("last"))
		n, _ := strconv.Atoi(string(last))
		if n < acknowledged {
			t.Errorf("%d were acknowledged, %d are there", acknowledged, n)
		}
		for _, table := range []client.Table{client.TableMessages, client.TableGroups} {
			if row, _ := tx.Get(table, []byte("last")); string(row) != string(last) {
				t.Errorf("tables do not move together: %q and %q", row, last)
			}
		}
		rows := 0
		tx.Scan(client.TableLog, client.Range{}, func(_, _ []byte) bool { rows++; return true })
		if rows < n {
			t.Errorf("%d rows of %d", rows, n)
		}
		return nil
	})
}
