package mls

import (
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

func eachSuite(t *testing.T, f func(*testing.T, *suite.Suite)) {
	for _, id := range suite.IDs() {
		s, err := suite.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.String(), func(t *testing.T) { f(t, s) })
	}
}

// talk lets everybody say something that everybody else opens.
func talk(t testing.TB, list []*person) {
	t.Helper()
	for _, p := range list {
		m := seal(t, p.group, "hello from "+p.name)
		for _, q := range list {
			if p == q {
				continue
			}
			got, err := q.group.Open(m)
			if err != nil {
				t.Fatalf("%s opens what %s said: %v", q.name, p.name, err)
			}
			if string(got.Plaintext) != "hello from "+p.name || got.Sender != p.group.OwnLeaf() {
				t.Fatalf("%s read %q from leaf %d", q.name, got.Plaintext, got.Sender)
			}
		}
	}
}

func TestGroupLife(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		list := people(t, s, 5)
		agree(t, list)
		talk(t, list)
		everybody(t, list, 3, CommitOptions{}) // renews keys
		talk(t, list)
		everybody(t, list, 1, CommitOptions{MessageOptions: MessageOptions{Private: true, Padding: 100}})

		// somebody leaves: proposes it, and another commits
		m, err := list[4].group.ProposeRemove(list[4].group.OwnLeaf(), MessageOptions{Now: start})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list[:4] {
			handle(t, p.group, m)
		}
		p := commit(t, list[2].group, CommitOptions{})
		if r := handle(t, list[4].group, p.Commit); !r.Removed || r.Next != nil {
			t.Errorf("the leaver got %+v", r)
		}
		list[2].follow(p)
		for _, i := range []int{0, 1, 3} {
			list[i].group = handle(t, list[i].group, p.Commit).Next
		}
		list = list[:4]
		agree(t, list)
		talk(t, list)

		// an update by proposal, with extensions replaced by value
		m, err = list[0].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list[1:] {
			handle(t, p.group, m)
		}
		everybody(t, list, 1, CommitOptions{Extensions: &wire.Extensions{}})
		talk(t, list)
		everybody(t, list, 0, CommitOptions{ForcePath: true})

		// a newcomer into the blank leaf
		eve := newPerson(t, s, "eve")
		kp := eve.keyPackage(t)
		w := everybody(t, list, 3, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}, ForcePath: true})
		eve.join(t, kp, w.Welcome, list[3].group.Tree())
		list = append(list, eve)
		agree(t, list)
		talk(t, list)
		everybody(t, list, 4, CommitOptions{})
		talk(t, list)
	})
}
