package storage

import (
	"slices"
	"sync/atomic"
	"testing"

	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// layered is a policy that wraps keys to one community, whose site may read.
func layered(m *member, readers ...groups.CoIID) groups.Policy {
	p := groups.DefaultPolicy(m.device.User())
	p.BasicCredentials, p.History, p.Readers = true, groups.HistoryAll, readers
	p.CoIs = []groups.CoI{{Name: "mimi://beta.example/c/legal", Root: groups.Hash{1},
		Lookup: "https://127.0.0.1/s/lookup", Unwrap: []string{"https://127.0.0.1/s/unwrap"}}}
	return p
}

// record makes the key record of a group's epoch.
func (m *member) record(g *mls.Group, why groups.KeyReason, prev groups.Hash) *groups.KeyRecord {
	m.t.Helper()
	context := g.GroupContext()
	leaf, _ := g.Tree().Leaf(g.OwnLeaf())
	made := uint64(start.UnixMilli())
	r := &groups.KeyRecord{Room: m.room, Epoch: groups.Epoch(g.Epoch()), ContextHash: groups.ContextHash(&context), KeyID: groups.Hash{2},
		AuthorLeaf: uint32(g.OwnLeaf()), AuthorCert: groups.CredentialHash(&leaf.Credential), CreatedAt: made, Reason: why,
		Recipients: []groups.CoIRecipient{{Name: "mimi://beta.example/c/legal", Certificate: groups.Hash{3}, Serial: []byte{4}}},
		Envelope:   []byte("envelope"), Prev: prev}
	p := layered(m)
	r.NotAfter = p.KeyEnd(made)
	if err := r.Sign(m.signer); err != nil {
		m.t.Fatal(err)
	}
	return r
}

// foundLayered makes a room with one member under a policy with communities.
func foundLayered(t testing.TB, s *Store, readers ...groups.CoIID) (*member, *groups.KeyRecord) {
	t.Helper()
	m := newMember(t, deviceID(t, alpha, "alice", "laptop"))
	m.room = roomID(t, "layered")
	policy := layered(m, readers...)
	var err error
	m.group, err = mls.Create(mls.CreateOptions{Suite: m.suite, GroupID: []byte(m.room), Identity: m.identity(),
		Leaf: m.leaf(), Extensions: wire.Extensions{policy.Extension()}, Credentials: directory{}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := m.group.GroupInfo(true)
	if err != nil {
		t.Fatal(err)
	}
	id, record := newID(), m.record(m.group, groups.KeyCreated, groups.Hash{})
	genesis := groups.Genesis{GroupInfo: info, Stamp: m.stamp(id), KeyRecord: record.Marshal()}
	mustSubmit(t, s, groups.Submission{Room: m.room, Kind: groups.KindCreate, ID: id, Device: m.device, Body: genesis.Marshal()})
	return m, record
}

// Key records and flags are entries like any: durable, in order, replicated,
// given one place each, and there after a restart.
func TestKeyRecordsAndFlagsAreStoredAndReplicated(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s, b := openTest(t, c), openTest(t, testConfig(beta, t.TempDir()))
	m, first := foundLayered(t, s)
	mustSubmit(t, s, m.say("under the first key"))
	sub, p := m.commit(mls.CommitOptions{})
	mustSubmit(t, s, sub)
	m.group = p.Next
	record := m.record(m.group, groups.KeyRotatedByUser, first.Hash())
	wantKind(t, submit(s, m.say("nobody could read this later")).Err, groups.KeyStale)

	closeTest(t, s)
	s = openTest(t, c)
	wantKind(t, submit(s, m.say("nor this")).Err, groups.KeyStale)
	id := newID()
	entry := groups.RecordEntry{KeyRecord: record.Marshal(), Stamp: m.stamp(id)}
	publish := groups.Submission{Room: m.room, Kind: groups.KindKeyRecord, ID: id, Device: m.device, Body: entry.Marshal()}
	out := mustSubmit(t, s, publish)
	if again := mustSubmit(t, s, publish); again.Receipt != out.Receipt {
		t.Fatalf("the same record again: %+v, want %+v", again.Receipt, out.Receipt)
	}
	mustSubmit(t, s, m.say("under the second key"))

	id = newID()
	flag := groups.Flag{Room: m.room, Epoch: 1, AuthorLeaf: uint32(m.group.OwnLeaf()), Officer: "olga", Text: []byte("sealed"), Stamp: m.stamp(id)}
	if err := flag.Sign(m.signer); err != nil {
		t.Fatal(err)
	}
	mustSubmit(t, s, groups.Submission{Room: m.room, Kind: groups.KindFlag, ID: id, Device: m.device, Body: flag.Marshal()})
	follow(t, s, b, m.room, 1)
	sameLog(t, s, b, m.room)
	if err := s.Rebuild(m.room); err != nil {
		t.Fatal(err)
	}
	mustSubmit(t, s, m.say("goes on"))
}

// "a site that only has readers may subscribe": who may read, and how far back,
// is known of a room wherever it is held, and told when it changes.
func TestRoomsTellWhoReadsThem(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s, b := openTest(t, c), openTest(t, testConfig(beta, t.TempDir()))
	m, first := foundLayered(t, s, "mimi://beta.example/c/legal")
	check := func(s *Store, readers ...groups.SiteID) {
		t.Helper()
		in, err := s.Room(m.room)
		if err != nil || !slices.Equal(in.Readers, readers) || in.History != groups.HistoryAll {
			t.Fatalf("%+v, %v", in, err)
		}
	}
	check(s, beta)
	follow(t, s, b, m.room, 1<<20)
	check(b, beta)
	var woken atomic.Int32
	defer s.WatchRooms(func(groups.RoomID) { woken.Add(1) })()
	policy := layered(m)
	sub, p := m.commit(mls.CommitOptions{Extensions: &wire.Extensions{policy.Extension()}})
	bundle, err := groups.ParseCommitBundle(sub.Body)
	if err != nil {
		t.Fatal(err)
	}
	bundle.KeyRecord = m.record(p.Next, groups.KeyRotatedByPolicy, first.Hash()).Marshal()
	sub.Body = bundle.Marshal()
	end := mustSubmit(t, s, sub).Receipt.Seq
	settle(t, s)
	if woken.Load() == 0 {
		t.Fatal("nobody is told that a site's readers are gone")
	}
	check(s)
	closeTest(t, s)
	s = openTest(t, c)
	check(s)
	if in, err := s.Room(m.room); err != nil || in.Left[beta] != end {
		t.Fatalf("beta's last entry is %d, want %d", in.Left[beta], end)
	}
	follow(t, s, b, m.room, 1<<20)
	check(b)
}
