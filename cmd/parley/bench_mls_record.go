package main

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"time"

	"parley/client"
	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// A wrappedRoom is a room as a member has it whose keys are wrapped to a CoI,
// and the same room in the epoch before, when they were not.
type wrappedRoom struct {
	plain, coi *mls.Group
	me         mls.Identity
	wrapping   *client.KeyWrapping
}

// wrapped measures what a key record adds to a commit: commits of a's, plain and
// with a record in turns, so that whatever else the machine does is done to
// both.
func (b *mlsBench) wrapped(ctx context.Context, r mlsRoom, a *mls.Group, me *someone) error {
	w, err := newWrappedRoom(b.suite, a, me)
	if err != nil {
		return fmt.Errorf("a room with a CoI: %w", err)
	}
	b.stage("%s, %d members: commit_record", r.shape, r.members)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC()
	plain, record, sealed := newMeter(), newMeter(), newMeter()
	for ok := true; ok; ok = (plain.total+sealed.total).Seconds() < 2*b.seconds && ctx.Err() == nil {
		if err := plain.time(func() (int, error) { return bundled(w.plain, nil) }); err != nil {
			return err
		}
		seal := func(next *mls.Group) (k *groups.KeyRecord, err error) {
			err = record.time(func() (int, error) {
				if k, err = client.NewKeyRecord(next, w.me, w.wrapping); err != nil {
					return 0, err
				}
				return len(k.Marshal()), nil
			})
			return k, err
		}
		if err := sealed.time(func() (int, error) { return bundled(w.coi, seal) }); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, m := range []struct {
		op string
		*meter
	}{{"commit_plain", plain}, {"commit_record", sealed}, {"record", record}} {
		result := m.result("mls_" + m.op)
		if m.meter != plain {
			result.Recipients = len(w.wrapping.To)
		}
		if err := b.tell(result, measure{op: m.op, room: r, processors: 1}, m.each()); err != nil {
			return err
		}
	}
	return nil
}

// A meter is a stopwatch that also tells the processors' time.
type meter struct {
	*stopwatch
	cpu time.Duration
}

func newMeter() *meter { return &meter{stopwatch: newStopwatch()} }

// time notes what fn takes; fn returns the bytes it made.
func (m *meter) time(fn func() (int, error)) error {
	before := ownTime()
	err := m.stopwatch.time(fn)
	m.cpu += ownTime() - before
	return err
}

// each is what one took, in milliseconds.
func (m *meter) each() float64 {
	return float64(m.cpu) / float64(time.Millisecond) / float64(max(m.times.TotalCount(), 1))
}

// bundled makes a commit and the body that it has in a room's log, and returns
// the size of that.
func bundled(g *mls.Group, seal func(next *mls.Group) (*groups.KeyRecord, error)) (int, error) {
	p, err := g.Commit(renewal())
	if err != nil {
		return 0, err
	}
	bundle := groups.CommitBundle{Commit: p.Commit, GroupInfo: groups.HashOf(p.GroupInfo)}
	if seal != nil {
		k, err := seal(p.Next)
		if err != nil {
			return 0, err
		}
		bundle.KeyRecord = k.Marshal()
	}
	p.Next.TakeChanges()
	return len(bundle.Marshal()), nil
}

// newWrappedRoom gives a's room a policy, and then one that names a CoI.
func newWrappedRoom(s *suite.Suite, a *mls.Group, me *someone) (*wrappedRoom, error) {
	quantum := strings.Contains(s.String(), "MLKEM")
	to, err := newRecipient(quantum)
	if err != nil {
		return nil, err
	}
	policy := groups.DefaultPolicy("mimi://" + unwrapSite + "/u/u0")
	w := &wrappedRoom{me: me.identity(), wrapping: &client.KeyWrapping{
		To: []wrap.Recipient{*to}, Reason: groups.KeyRotatedByUser, Made: time.Now(),
		Recipients: []groups.CoIRecipient{{
			Name: unwrapCoI, Certificate: sha256.Sum256(to.Certificate.Raw), Serial: to.Certificate.SerialNumber.Bytes(),
			Status: groups.Hash{1}, StatusAt: uint64(time.Now().UnixMilli()),
		}},
	}}
	if w.plain, err = withRoomPolicy(a, &policy); err != nil {
		return nil, err
	}
	policy.CoIs = []groups.CoI{{
		Name: unwrapCoI, Root: groups.Hash{1}, Lookup: "https://lookup.bench.example", Unwrap: []string{"https://unwrap.bench.example"},
		Status: "http://ocsp.bench.example", Officer: "mimi://" + unwrapSite + "/u/officer",
	}}
	policy.PostQuantum = quantum
	w.coi, err = withRoomPolicy(a, &policy)
	return w, err
}

// withRoomPolicy commits a policy, and returns the epoch after.
func withRoomPolicy(g *mls.Group, policy *groups.Policy) (*mls.Group, error) {
	o := renewal()
	o.Extensions = &wire.Extensions{policy.Extension()}
	p, err := g.Commit(o)
	if err != nil {
		return nil, err
	}
	p.Next.TakeChanges()
	return p.Next, nil
}

// newRecipient makes a CoI with a P-256 key and, for post-quantum rooms, an
// X-Wing key in its certificate.
func newRecipient(quantum bool) (*wrap.Recipient, error) {
	now := time.Now()
	authority, err := coi.NewCoIAuthority(unwrapSite, now)
	if err != nil {
		return nil, err
	}
	key, err := coi.NewCoIKey("p256")
	if err != nil {
		return nil, err
	}
	request := &coi.CoIRequest{Key: key.Public()}
	if quantum {
		pq, err := hpke.MLKEM768X25519().GenerateKey()
		if err != nil {
			return nil, err
		}
		request.PostQuantum = pq.PublicKey()
	}
	name, err := coi.ParseName(unwrapCoI)
	if err != nil {
		return nil, err
	}
	cert, err := authority.IssueCoI(name, coi.CoIPlan{Request: request}, now)
	return &wrap.Recipient{Name: unwrapCoI, Certificate: cert}, err
}

// recordsMean explains the table of records.
const recordsMean = `In rooms of shape warm, on one processor, for one P-256 certificate (with an X-Wing seal inside,
in the suite against quantum computers). Plain commits and those with a record are made in turns, so that
both have the same machine; the last column is timed inside of the commit that it belongs to.
Bytes are those of the body of the entry in the room's log.`

// writeRecords writes what a commit in a room with a CoI takes more than in a
// plain one.
func (f *findings) writeRecords(out *bytes.Buffer) {
	begun := false
	for _, s := range f.suites {
		for _, n := range f.sizes {
			at := func(op string) *mlsResult { return f.by[finding{s, shapeWarm, op, n, true}] }
			plain, sealed, record := at("commit_plain"), at("commit_record"), at("record")
			if plain == nil || sealed == nil || record == nil {
				continue
			}
			if !begun {
				fmt.Fprintf(out, "\n### What a key record adds to a commit\n\n%s\n\n", recordsMean)
				head(out, "suite", "members", "commit, plain", "CPU time", "with its record", "CPU time", "more", "the record alone", "CPU time")
				begun = true
			}
			row(out, s, fmt.Sprint(n), plain.cell(true, true), millis(plain.CPU), sealed.cell(true, true), millis(sealed.CPU),
				kilobytes(sealed.Bytes-plain.Bytes), record.cell(true, true), millis(record.CPU))
		}
	}
}
