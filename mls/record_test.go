package mls

import (
	"bytes"
	"errors"
	"iter"
	"maps"
	"reflect"
	"strings"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A shelf is a store of records.
type shelf map[string][]byte

// put writes records, and returns how many bytes they are.
func (s shelf) put(records []Record) (n int) {
	for _, r := range records {
		if r.Value == nil {
			delete(s, r.Key)
			continue
		}
		n += len(r.Key) + len(r.Value)
		s[r.Key] = bytes.Clone(r.Value)
	}
	return n
}

func (s shelf) all() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for k, v := range s {
			if !yield(Record{k, v}) {
				return
			}
		}
	}
}

// snapshot is all of a Group's records, whatever was taken.
func snapshot(g *Group) shelf {
	all := make(changes)
	all.begin(g, nil)
	for _, p := range append([]pastEpoch{{epoch: g.epoch}}, g.past...) {
		all.add(recordID{kind: epochRecord, epoch: p.context.Epoch})
		all.secretTree(p.context.Epoch, p.tree)
	}
	for i := range g.proposals {
		all.add(recordID{kind: proposalRecord, epoch: g.Epoch(), leaf: g.proposals[i].number})
	}
	s := make(shelf)
	for id := range all {
		if v := g.encode(id); v != nil {
			s[id.key()] = v
		}
	}
	return s
}

// reload puts p's changes on the shelf and loads p's Group from there. What is
// loaded must be what was stored.
func (p *person) reload(t testing.TB) {
	t.Helper()
	s := p.shelf
	s.put(p.group.TakeChanges())
	before := snapshot(p.group)
	if !reflect.DeepEqual(before, s) {
		for k := range before {
			if !bytes.Equal(before[k], s[k]) {
				t.Errorf("record %s differs", k)
			}
		}
		for k := range s {
			if _, ok := before[k]; !ok {
				t.Errorf("record %s was not deleted", k)
			}
		}
		t.Fatalf("%s: changes do not add up to what there is", p.name)
	}
	g, err := Load(LoadOptions{
		Records: s.all(), Signers: []*suite.SignaturePrivateKey{p.signer}, Credentials: anyone{}, Policy: p.policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, snapshot(g)) {
		t.Fatalf("%s: loaded Group differs", p.name)
	}
	p.group = g
}

func TestReload(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		list := people(t, s, 4)
		again := func() {
			t.Helper()
			for _, p := range list {
				p.reload(t)
			}
		}
		again()
		talk(t, list)
		again()
		talk(t, list)
		everybody(t, list, 2, CommitOptions{})
		again()
		late := seal(t, list[0].group, "late")
		m, err := list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*person{list[0], list[2], list[3]} {
			handle(t, p.group, m)
		}
		again()
		everybody(t, list, 3, CommitOptions{})
		again()
		talk(t, list)
		if got, err := list[1].group.Open(late); err != nil || string(got.Plaintext) != "late" {
			t.Errorf("message of a past epoch after a restart: %v", err)
		}
		again()
	})
}

// "Generations can never be reused after a restart": restored state reused
// them in Amethyst.
func TestRestartDoesNotReuseGenerations(t *testing.T) {
	list := people(t, testSuite(t), 2)
	list[0].reload(t)
	seen := map[uint32]bool{}
	for range 5 {
		for range 3 {
			m := seal(t, list[0].group, "x")
			got, err := list[1].group.Open(m)
			if err != nil {
				t.Fatal(err)
			}
			if seen[got.Generation] {
				t.Fatalf("generation %d twice", got.Generation)
			}
			seen[got.Generation] = true
		}
		list[0].reload(t) // takes the changes of three messages at once
	}
}

// A message writes its sender's ratchets, never the tree.
func TestMessageWritesLittle(t *testing.T) {
	list := people(t, testSuite(t), 40)
	a, b := list[0].group, list[1].group
	a.TakeChanges()
	b.TakeChanges()
	sizes := func(g *Group) (rows, size int) {
		records := g.TakeChanges()
		for _, r := range records {
			if strings.HasPrefix(r.Key, "tree") || strings.HasPrefix(r.Key, "group") {
				t.Errorf("a message writes %s", r.Key)
			}
		}
		return len(records), shelf{}.put(records)
	}
	for i := range 3 {
		m := seal(t, a, "x")
		rows, size := sizes(a)
		if i > 0 && (rows != 1 || size > 200) {
			t.Errorf("sealing message %d writes %d rows of %d bytes", i, rows, size)
		}
		if _, err := b.Open(m); err != nil {
			t.Fatal(err)
		}
		rows, size = sizes(b)
		if i == 0 && (rows > 3 || size > 1000) || i > 0 && (rows != 1 || size > 200) {
			t.Errorf("opening message %d writes %d rows of %d bytes", i, rows, size)
		}
	}
}

// Changes that a Pending gave may be applied when the commit is accepted, even
// if the old Group has moved its ratchets meanwhile.
func TestPendingChangesApplyLater(t *testing.T) {
	list := people(t, testSuite(t), 3)
	list[0].reload(t)
	s := list[0].shelf
	p := commit(t, list[0].group, CommitOptions{})
	waiting := p.Next.TakeChanges()
	early := seal(t, list[0].group, "while waiting")
	got, err := list[1].group.Open(early)
	if err != nil || got.Generation != 0 {
		t.Fatal(got, err)
	}
	if _, err := list[0].group.Open(seal(t, list[2].group, "while waiting too")); err != nil {
		t.Fatal(err)
	}
	list[0].reload(t) // restart with the commit still waiting
	s.put(waiting)
	g, err := Load(LoadOptions{Records: s.all(), Signers: []*suite.SignaturePrivateKey{list[0].signer}, Credentials: anyone{}})
	if err != nil {
		t.Fatal(err)
	}
	list[0].group = g
	for _, q := range list[1:] {
		q.group = handle(t, q.group, p.Commit).Next
	}
	agree(t, list)
	talk(t, list)
	u, err := g.carried(0+g.Epoch()-1).seek(0, wire.ContentTypeApplication, nil)
	if err != nil || u.step.generation != 1 {
		t.Errorf("the old epoch's ratchet went back to %d: %v", u.step.generation, err)
	}
}

// What a Pending that lost a race would have written does not mix with what the
// winner writes.
func TestLostRaceLeavesNothing(t *testing.T) {
	list := people(t, testSuite(t), 3)
	list[0].reload(t)
	lost := commit(t, list[0].group, CommitOptions{})
	lost.Next.TakeChanges()
	won := commit(t, list[1].group, CommitOptions{Removes: []wire.LeafIndex{2}})
	list[0].group = handle(t, list[0].group, won.Commit).Next
	list[1].group = won.Next
	list[0].reload(t)
	agree(t, list[:2])
	talk(t, list[:2])
}

func TestLoadRefuses(t *testing.T) {
	list := people(t, testSuite(t), 3)
	talk(t, list)
	m, err := list[0].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start})
	if err != nil {
		t.Fatal(err)
	}
	handle(t, list[1].group, m)
	whole := snapshot(list[0].group)
	load := func(s shelf, signer *suite.SignaturePrivateKey) error {
		_, err := Load(LoadOptions{Records: s.all(), Signers: []*suite.SignaturePrivateKey{signer}, Credentials: anyone{}})
		return err
	}
	if err := load(whole, list[0].signer); err != nil {
		t.Fatal(err)
	}
	if err := load(whole, list[1].signer); !errors.Is(err, suite.ErrBadKey) {
		t.Errorf("another signer: %v", err)
	}
	if err := load(shelf{}, list[0].signer); !errors.Is(err, ErrRecord) {
		t.Errorf("nothing stored: %v", err)
	}
	for k := range whole {
		s := maps.Clone(whole)
		delete(s, k)
		needed := strings.HasPrefix(k, "group") || strings.HasPrefix(k, "tree") || k == "epoch/0000000000000001"
		if err := load(s, list[0].signer); needed && err == nil {
			t.Errorf("without %s: loaded", k)
		}
		for _, n := range []int{0, 1, len(whole[k]) / 2, len(whole[k]) - 1} {
			s[k] = whole[k][:n]
			_ = load(s, list[0].signer) // does not panic
		}
		s[k] = append(bytes.Clone(whole[k]), 0)
		if err := load(s, list[0].signer); err == nil {
			t.Errorf("%s with a byte more: loaded", k)
		}
	}
	for _, k := range []string{"", "groups", "group/", "tree", "tree/zz", "ratchets/00", "epoch/0000000000000000/00"} {
		s := maps.Clone(whole)
		s[k] = []byte{1}
		if err := load(s, list[0].signer); !errors.Is(err, ErrRecord) {
			t.Errorf("record %q: %v", k, err)
		}
	}
}

func TestRecordKeys(t *testing.T) {
	for kind := range recordKinds {
		id := recordID{kind: kind}
		l := recordLayouts[kind]
		if l.epoch {
			id.epoch = 1<<64 - 2
		}
		if l.leaf {
			id.leaf = 1<<32 - 1
		}
		if l.content {
			id.content = 2
		}
		if l.block {
			id.block = 77
		}
		got, err := parseKey(id.key())
		if err != nil || got != id {
			t.Errorf("%s: %+v, %v", id.key(), got, err)
		}
	}
}

// Keys of messages not yet seen are stored in blocks, and deleted when they are
// used or fall out of the window.
func TestSkippedKeysStored(t *testing.T) {
	list := people(t, testSuite(t), 2)
	a, b := list[0], list[1]
	b.reload(t)
	messages := make([][]byte, 2100)
	for i := range messages {
		messages[i] = seal(t, a.group, "x")
	}
	open := func(i int, want error) {
		t.Helper()
		got, err := b.group.Open(messages[i])
		if !errors.Is(err, want) || err == nil && got.Generation != uint32(i) {
			t.Fatalf("message %d: %v, want %v", i, err, want)
		}
	}
	open(1025, ErrGeneration)
	open(1000, nil)
	rows := len(b.group.changed)
	b.reload(t)
	if want := 2 + 1 + 1000/blockSize + 1; rows > want {
		t.Errorf("a jump of 1000 writes %d rows, want at most %d", rows, want)
	}
	open(500, nil)
	records := b.group.TakeChanges()
	if size := (shelf{}).put(records); len(records) != 2 || size > 1200 {
		t.Errorf("a message out of order writes %d rows of %d bytes", len(records), size)
	}
	b.shelf.put(records)
	open(2000, nil)
	b.reload(t)
	open(900, ErrReplay) // fell out
	open(1999, nil)
	open(990, nil)
	open(990, ErrReplay)
	b.reload(t)
	open(2001, nil)
	open(1999, ErrReplay)
	b.reload(t)
	everybody(t, list, 0, CommitOptions{})
	open(1500, nil)
	b.reload(t)
	for i := range DefaultPastEpochs {
		everybody(t, list, i%2, CommitOptions{})
	}
	b.reload(t)
	for k := range b.shelf {
		if strings.HasPrefix(k, "skipped") {
			t.Fatalf("%s is still there", k)
		}
	}
}
