package mls

import (
	"errors"
	"testing"

	"parley/mls/tree"
	"parley/mls/wire"
)

// "Cover are the places in PendingProposals of those the commit covers, in this
// order; none of them is left out."
func TestCommitCoversWhatItIsTold(t *testing.T) {
	list := people(t, testSuite(t), 4)
	var messages [][]byte
	for _, leaf := range []wire.LeafIndex{3, 2, 0} {
		m, err := list[1].group.ProposeRemove(leaf, MessageOptions{Now: start})
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
		handle(t, list[0].group, m)
	}
	p := commit(t, list[0].group, CommitOptions{Cover: []int{1}})
	if r := p.Change.Removed; len(r) != 1 || r[0].Index != 2 {
		t.Fatalf("removed %v instead of leaf 2 only", r)
	}
	if r := handle(t, list[1].group, p.Commit); r.Next == nil || r.Next.Tree().Size() != 3 {
		t.Fatal("others see another commit")
	}
	if p := commit(t, list[0].group, CommitOptions{Cover: []int{}}); len(p.Change.Removed) != 0 {
		t.Fatal("none was to be covered")
	}
	if p := commit(t, list[0].group, CommitOptions{}); len(p.Change.Removed) != 2 {
		t.Fatal("without Cover, what fits is covered: not the committer's own removal")
	}
	if _, err := list[0].group.Commit(CommitOptions{Cover: []int{2}}); !errors.Is(err, tree.ErrRemoveCommitter) {
		t.Fatalf("committer's own removal is not left out, but refused: %v", err)
	}
	for _, at := range []int{-1, len(messages)} {
		if _, err := list[0].group.Commit(CommitOptions{Cover: []int{at}}); !errors.Is(err, ErrUnknownProposal) {
			t.Fatalf("place %d: %v", at, err)
		}
	}
}

// "WelcomeTree puts the ratchet tree into the Welcome, for newcomers who are not
// given it apart."
func TestWelcomeWithTree(t *testing.T) {
	list := people(t, testSuite(t), 2)
	carol := newPerson(t, list[0].suite, "carol")
	kp := carol.keyPackage(t)
	o := JoinOptions{KeyPackage: kp, Signer: carol.signer, Credentials: anyone{}}
	for _, with := range []bool{false, true} {
		p := commit(t, list[0].group, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}, WelcomeTree: with})
		o.Welcome = p.Welcome
		g, err := Join(o)
		if !with && !errors.Is(err, ErrTreeMissing) {
			t.Fatalf("joined without a tree: %v", err)
		}
		if with && (err != nil || string(g.EpochAuthenticator()) != string(p.Next.EpochAuthenticator())) {
			t.Fatalf("not joined: %v", err)
		}
	}
}
