package groups

import (
	"bytes"
	"testing"
	"time"

	"parley/mls"
	"parley/mls/wire"
)

// "Malformed, oversized, truncated, replayed, wrong-room, wrong-epoch ...
// anything gets a typed error and changes nothing."
func TestBadSubmissionsAreRefused(t *testing.T) {
	w, a, _, b := room(t, openPolicy())
	good := a.message(w.hub, "good")
	commit, _ := a.commit(w.hub, mls.CommitOptions{})
	other := newDevice(t, carol)
	cases := map[string]struct {
		from Submission
		kind Kind
		bend func(*Submission)
	}{
		"empty":              {good, Invalid, func(s *Submission) { s.Body = nil }},
		"truncated":          {good, Invalid, func(s *Submission) { s.Body = s.Body[:len(s.Body)-1] }},
		"trailing":           {good, Invalid, func(s *Submission) { s.Body = append(bytes.Clone(s.Body), 0) }},
		"too large":          {good, TooLarge, func(s *Submission) { s.Body = make([]byte, MaxBody+1) }},
		"other room":         {good, Invalid, func(s *Submission) { s.Room = "mimi://alpha.example/r/other" }},
		"other kind":         {good, Invalid, func(s *Submission) { s.Kind = KindCommit }},
		"as proposal":        {good, Invalid, func(s *Submission) { s.Kind = KindProposal }},
		"reserved kind":      {good, Invalid, func(s *Submission) { s.Kind = KindHubMove }},
		"kind 0":             {good, Invalid, func(s *Submission) { s.Kind = 0 }},
		"other device":       {good, Denied, func(s *Submission) { s.Device = bob }},
		"other id":           {good, Denied, func(s *Submission) { s.ID[0] ^= 1 }},
		"attachment":         {good, Invalid, func(s *Submission) { s.Attachments = [][]byte{{1}} }},
		"no group info":      {commit, Invalid, func(s *Submission) { s.Attachments = nil }},
		"other group info":   {commit, Invalid, func(s *Submission) { s.Attachments = [][]byte{{1}} }},
		"two attachments":    {commit, Invalid, func(s *Submission) { s.Attachments = append(s.Attachments, []byte{1}) }},
		"three attachments":  {commit, TooLarge, func(s *Submission) { s.Attachments = [][]byte{{1}, {2}, {3}} }},
		"large attachment":   {commit, TooLarge, func(s *Submission) { s.Attachments = [][]byte{make([]byte, MaxAttachment+1)} }},
		"commit as message":  {commit, Invalid, func(s *Submission) { s.Kind = KindMessage }},
		"second create":      {good, Conflict, func(s *Submission) { s.Kind = KindCreate }},
		"message of nobody":  {otherMessage(t, other), Denied, func(*Submission) {}},
		"bit flip in commit": {commit, Invalid, func(s *Submission) { s.Body = flip(s.Body, len(s.Body)/2) }},
	}
	for name, c := range cases {
		c.bend(&c.from)
		w.refuse(c.from, c.kind, name)
	}
	w.take(good)
	w.take(b.message(w.hub, "still works"))
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// otherMessage is a message that somebody outside sealed in a group of the same
// name.
func otherMessage(t *testing.T, d *device) Submission {
	d.create(NewLedger(ops, names{}), openPolicy())
	return d.message(NewLedger(ops, names{}), "intruder")
}

func TestARoomBeginsInOrder(t *testing.T) {
	w, a := newWorld(t), newDevice(t, laptop)
	w.refuse(Submission{Room: ops, Kind: KindMessage, Device: laptop, Body: []byte("x")}, NotFound, "message before the room")
	w.refuse(newDevice(t, bob).create(w.hub, openPolicy()), Denied, "a room of alpha made by beta")
	noAdmin := openPolicy()
	noAdmin.Admins = nil
	w.refuse(a.create(w.hub, noAdmin), Invalid, "a room without admins")
	closed := openPolicy()
	closed.BasicCredentials = false
	w.refuse(a.create(w.hub, closed), Invalid, "a basic credential where the policy wants certificates")
	w.take(a.create(w.hub, openPolicy()))
	w.refuse(a.create(w.hub, openPolicy()), Conflict, "the room again")
}

// A follower does not believe the hub: each change of an entry is found.
func TestVerifyFindsChangedEntries(t *testing.T) {
	w, a, _, _ := room(t, openPolicy())
	step, err := w.hub.Accept(a.message(w.hub, "hello"), 1, w.now)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*Entry){
		"seq":      func(e *Entry) { e.Seq++ },
		"back":     func(e *Entry) { e.Seq-- },
		"prev":     func(e *Entry) { e.Prev[0] ^= 1 },
		"room":     func(e *Entry) { e.Room = "mimi://alpha.example/r/other" },
		"term":     func(e *Entry) { e.Term = 0 },
		"epoch":    func(e *Entry) { e.Epoch-- },
		"kind":     func(e *Entry) { e.Kind = KindProposal },
		"body":     func(e *Entry) { e.Body = flip(e.Body, 9) },
		"hash":     func(e *Entry) { e.BodyHash[3] ^= 1 },
		"past":     func(e *Entry) { e.AcceptedAt -= 60_000 },
		"future":   func(e *Entry) { e.AcceptedAt += uint64(time.Hour / time.Millisecond) },
		"new body": func(e *Entry) { e.Body = []byte("x"); e.BodyHash = HashOf(e.Body) },
	}
	for name, change := range changes {
		e := step.Entry
		change(&e)
		before := string(w.follower.Snapshot())
		if _, err := w.follower.Verify(&e, nil, w.now); err == nil {
			t.Errorf("%s: changed entry is taken", name)
		}
		if string(w.follower.Snapshot()) != before {
			t.Errorf("%s: a refusal changed the ledger", name)
		}
	}
	if _, err := w.follower.Verify(&step.Entry, nil, w.now); err != nil {
		t.Fatal(err)
	}
}

// A fenced owner, whose term has been passed, orders nothing.
func TestAnOldTermOrdersNothing(t *testing.T) {
	w, a, _, _ := room(t, openPolicy())
	step, err := w.hub.Accept(a.message(w.hub, "term 3"), 3, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := step.Next.Accept(a.message(step.Next, "term 2"), 2, w.now); KindOf(err) != Unavailable {
		t.Fatalf("old term: %v", err)
	}
}

// A leaf's user never changes: checked on a commit's path as on an update.
func TestALeafKeepsItsDevice(t *testing.T) {
	w, _, _, b := room(t, openPolicy())
	b.id.Credential = wire.BasicCredential([]byte(laptop))
	sub, _ := b.commit(w.hub, mls.CommitOptions{Leaf: mls.LeafOptions{Identity: &b.id}})
	w.refuse(sub, Denied, "bob's path takes alice's name")
}

// FuzzLedger gives foreign bytes as every kind of body to a live room, and to
// the reader of snapshots: no panic, no change.
func FuzzLedger(f *testing.F) {
	t := new(testing.T)
	w, a, _, _ := room(t, openPolicy())
	commit, _ := a.commit(w.hub, mls.CommitOptions{})
	f.Add(uint8(KindMessage), a.message(w.hub, "hello").Body)
	f.Add(uint8(KindCommit), commit.Body)
	f.Add(uint8(KindCreate), w.steps[0].Entry.Body)
	f.Add(uint8(0), w.hub.Snapshot())
	before := string(w.hub.Snapshot())
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		if l, err := LoadLedger(body, names{}); err == nil && string(l.Snapshot()) != string(body) {
			t.Fatal("a snapshot does not encode to the same bytes")
		}
		stamp := AuthenticatedData{Device: laptop}
		w.hub.Accept(a.submission(EntryKind(kind), stamp, body), 1, start)
		e := &Entry{EntryHeader: w.steps[1].Entry.EntryHeader, Body: body}
		e.Seq, e.Prev, e.Kind, e.BodyHash = w.hub.Head().Seq+1, w.hub.Head().Hash, EntryKind(kind), HashOf(body)
		w.hub.Verify(e, nil, start.Add(time.Hour))
		if string(w.hub.Snapshot()) != before {
			t.Fatal("the ledger changed")
		}
	})
}
