package groups

import (
	"testing"
	"time"

	"parley/mls"
	"parley/mls/wire"
)

// record makes the key record of a group's epoch as d, a minute before the hub
// sees it, and signs it after the changes.
func (d *device) record(l *Ledger, g *mls.Group, why KeyReason, changes ...func(*KeyRecord)) *KeyRecord {
	d.t.Helper()
	context := g.GroupContext()
	data, _ := context.Extensions.Find(PolicyExtension)
	p, err := ParsePolicy(data)
	if err != nil {
		d.t.Fatal(err)
	}
	leaf, _ := g.Tree().Leaf(g.OwnLeaf())
	key, err := g.RoomKey()
	if err != nil {
		d.t.Fatal(err)
	}
	id, err := key.ID(&context)
	if err != nil {
		d.t.Fatal(err)
	}
	made := max(l.Head().Time, uint64(start.UnixMilli()))
	r := &KeyRecord{
		Room: ops, Epoch: Epoch(g.Epoch()), ContextHash: ContextHash(&context), KeyID: id,
		AuthorLeaf: uint32(g.OwnLeaf()), AuthorCert: CredentialHash(&leaf.Credential),
		CreatedAt: made, NotAfter: p.KeyEnd(made), Reason: why, Envelope: []byte("envelope"), Prev: l.LastRecord(),
	}
	for _, c := range p.CoIs {
		r.Recipients = append(r.Recipients, CoIRecipient{Name: c.Name, Certificate: Hash{7}, Serial: []byte{8}, Status: Hash{9}, StatusAt: made})
	}
	for _, change := range changes {
		change(r)
	}
	if err := r.Sign(d.id.Signer); err != nil {
		d.t.Fatal(err)
	}
	return r
}

// commitKey is commit with a key record.
func (d *device) commitKey(l *Ledger, o mls.CommitOptions, why KeyReason, changes ...func(*KeyRecord)) (Submission, *mls.Pending) {
	d.t.Helper()
	sub, p := d.commit(l, o)
	return d.with(sub, d.record(l, p.Next, why, changes...)), p
}

// with puts a record into the bundle of a commit.
func (d *device) with(sub Submission, r *KeyRecord) Submission {
	d.t.Helper()
	b, err := ParseCommitBundle(sub.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	b.KeyRecord = r.Marshal()
	sub.Body = b.Marshal()
	return sub
}

// publish submits a record by itself.
func (d *device) publish(l *Ledger, r *KeyRecord) Submission {
	e := RecordEntry{KeyRecord: r.Marshal(), Stamp: d.stamp(l)}
	return d.submission(KindKeyRecord, e.Stamp, e.Marshal())
}

// flagged submits a flag after the changes.
func (d *device) flagged(l *Ledger, changes ...func(*Flag)) Submission {
	d.t.Helper()
	p := l.Policy()
	f := &Flag{
		Room: ops, Epoch: l.Head().Epoch, ConfigHash: ConfigHash(&p, l.LastRecord()), AuthorLeaf: uint32(d.group.OwnLeaf()),
		CreatedAt: l.Head().Time, Officer: "mimi://alpha.example/u/olga", Text: []byte("sealed"), Stamp: d.stamp(l),
	}
	for _, change := range changes {
		change(f)
	}
	if err := f.Sign(d.id.Signer); err != nil {
		d.t.Fatal(err)
	}
	return d.submission(KindFlag, f.Stamp, f.Marshal())
}

// coiRoom makes alice's laptop, phone and bob a room under two communities.
func coiRoom(t *testing.T, p Policy) (w *world, a, ph, b *device) {
	t.Helper()
	w, a, ph, b = newWorld(t), newDevice(t, laptop), newDevice(t, phone), newDevice(t, bob)
	w.take(a.create(w.hub, p))
	sub, pending := a.commitKey(w.hub, mls.CommitOptions{Adds: []*wire.KeyPackage{&ph.kp.Public, &b.kp.Public}}, KeyJoined)
	step := w.take(sub)
	a.group = pending.Next
	ph.join(step)
	b.join(step)
	return w, a, ph, b
}

// advance has d's commit taken, and all others follow.
func (w *world) advance(d *device, sub Submission, p *mls.Pending, others ...*device) *Step {
	w.t.Helper()
	step := w.take(sub)
	d.group = p.Next
	for _, o := range others {
		o.follow(step)
	}
	return step
}

// expire lets time pass until the room's key has ended, and clocks that are
// wrong by ClockSkew agree on it.
func (w *world) expire() {
	p := w.hub.Policy()
	w.now = w.now.Add(p.MaxKeyAge + 2*ClockSkew + time.Second)
}
