package groups

import (
	"crypto/rand"
	"testing"
	"time"

	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// names is a Directory of basic credentials.
type names struct{}

func (names) Device(cred wire.Credential, _ []byte, _ time.Time) (DeviceID, error) {
	return ParseDeviceID(string(cred.Identity))
}

// trusting lets every credential in: what a room thinks of it is the ledger's.
type trusting struct{}

func (trusting) Validate(wire.Credential, []byte) error { return nil }
func (trusting) Succeeds(_, _ wire.Credential) error    { return nil }

const (
	laptop DeviceID = "mimi://alpha.example/d/alice/laptop"
	phone  DeviceID = "mimi://alpha.example/d/alice/phone"
	bob    DeviceID = "mimi://beta.example/d/bob/laptop"
	carol  DeviceID = "mimi://gamma.example/d/carol/laptop"
	ops    RoomID   = "mimi://alpha.example/r/ops"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// A device is a member, as far as these tests need one.
type device struct {
	t     *testing.T
	name  DeviceID
	id    mls.Identity
	group *mls.Group
	kp    *mls.KeyPackage
}

func newDevice(t *testing.T, name DeviceID) *device {
	t.Helper()
	s, err := suite.Lookup(1)
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, name: name, id: mls.Identity{Credential: wire.BasicCredential([]byte(name)), Signer: key}}
	d.kp, err = mls.NewKeyPackage(s, d.id, d.leaf())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *device) leaf() mls.KeyPackageOptions {
	return mls.KeyPackageOptions{Now: start, Capabilities: mls.DefaultCapabilities(PolicyExtension)}
}

// stamp is fresh authenticated data at the ledger's head.
func (d *device) stamp(l *Ledger) AuthenticatedData {
	a := AuthenticatedData{Device: d.name, Seq: l.Head().Seq, Hash: l.Head().Hash}
	rand.Read(a.ID[:])
	return a
}

func (d *device) submission(kind EntryKind, a AuthenticatedData, body []byte, attachments ...[]byte) Submission {
	return Submission{Room: ops, Kind: kind, ID: a.ID, Device: d.name, Body: body, Attachments: attachments}
}

// create makes the room's first submission, with a key record if the policy
// names communities.
func (d *device) create(l *Ledger, p Policy) Submission {
	d.t.Helper()
	s, _ := suite.Lookup(1)
	g, err := mls.Create(mls.CreateOptions{
		Suite: s, GroupID: []byte(ops), Identity: d.id, Leaf: d.leaf(),
		Extensions: wire.Extensions{p.Extension()}, Credentials: trusting{},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	info, err := g.GroupInfo(true)
	if err != nil {
		d.t.Fatal(err)
	}
	d.group = g
	genesis := Genesis{GroupInfo: info, Stamp: d.stamp(l)}
	if len(p.CoIs) > 0 {
		genesis.KeyRecord = d.record(l, g, KeyCreated).Marshal()
	}
	return d.submission(KindCreate, genesis.Stamp, genesis.Marshal())
}

// commit makes a submission of a commit, and what the group is if it is taken.
func (d *device) commit(l *Ledger, o mls.CommitOptions) (Submission, *mls.Pending) {
	d.t.Helper()
	stamp := d.stamp(l)
	o.Now, o.AuthenticatedData = start, stamp.Marshal()
	p, err := d.group.Commit(o)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.bundle(stamp, p), p
}

func (d *device) bundle(stamp AuthenticatedData, p *mls.Pending) Submission {
	b := CommitBundle{Commit: p.Commit, GroupInfo: HashOf(p.GroupInfo)}
	attachments := [][]byte{p.GroupInfo}
	if p.Welcome != nil {
		h := HashOf(p.Welcome)
		b.Welcome, attachments = &h, append(attachments, p.Welcome)
	}
	return d.submission(KindCommit, stamp, b.Marshal(), attachments...)
}

func (d *device) join(step *Step) {
	d.t.Helper()
	g, err := mls.Join(mls.JoinOptions{Welcome: step.Welcome, KeyPackage: d.kp, Signer: d.id.Signer, RatchetTree: step.Tree, Credentials: trusting{}})
	if err != nil {
		d.t.Fatal(err)
	}
	d.group = g
}

func (d *device) follow(step *Step) {
	d.t.Helper()
	b, err := ParseCommitBundle(step.Entry.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := d.group.Handle(b.Commit, start)
	if err != nil {
		d.t.Fatal(err)
	}
	d.group = r.Next
}

func (d *device) message(l *Ledger, text string) Submission {
	d.t.Helper()
	stamp := d.stamp(l)
	body, err := d.group.Seal(stamp.Marshal(), []byte(text), 0)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.submission(KindMessage, stamp, body)
}

// A world is a room with its hub and a follower that verifies everything.
type world struct {
	t        *testing.T
	hub      *Ledger
	follower *Ledger
	now      time.Time
	steps    []*Step
}

func newWorld(t *testing.T) *world {
	return &world{t: t, hub: NewLedger(ops, names{}), follower: NewLedger(ops, names{}), now: start}
}

// take has the hub accept a submission and the follower verify the entry; the
// two must agree to the byte, also after their ledgers were written down.
func (w *world) take(sub Submission) *Step {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	step, err := w.hub.Accept(sub, 1, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	read, err := ParseEntry(step.Entry.Marshal())
	if err != nil {
		w.t.Fatal(err)
	}
	copied, err := w.follower.Verify(read, step.Attachments, w.now)
	if err != nil {
		w.t.Fatalf("follower refuses entry %d: %v", read.Seq, err)
	}
	restored, err := LoadLedger(w.follower.Snapshot(), names{})
	if err != nil {
		w.t.Fatal(err)
	}
	replayed, err := restored.Replay(read)
	if err != nil {
		w.t.Fatalf("replay of entry %d: %v", read.Seq, err)
	}
	a, b, c := step.Next.Snapshot(), copied.Next.Snapshot(), replayed.Next.Snapshot()
	if string(a) != string(b) || string(a) != string(c) {
		w.t.Fatalf("hub, follower and replay differ after entry %d", read.Seq)
	}
	w.hub, w.follower = step.Next, copied.Next
	w.steps = append(w.steps, step)
	return step
}

// refuse has the hub refuse a submission and keeps its ledger to the byte.
func (w *world) refuse(sub Submission, kind Kind, why string) {
	w.t.Helper()
	before := string(w.hub.Snapshot())
	_, err := w.hub.Accept(sub, 1, w.now)
	if err == nil || KindOf(err) != kind {
		w.t.Errorf("%s: %v, want %v", why, err, kind)
	}
	if string(w.hub.Snapshot()) != before {
		w.t.Errorf("%s: a refusal changed the ledger", why)
	}
}

func openPolicy() Policy {
	p := DefaultPolicy(laptop.User())
	p.BasicCredentials = true
	return p
}
