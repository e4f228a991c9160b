package storage

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

const (
	alpha = groups.SiteID("alpha.example")
	beta  = groups.SiteID("beta.example")
)

// start is when tests begin.
var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// An ordering is a site's ordering key, as signer and verifier.
type ordering struct {
	site groups.SiteID
	key  ed25519.PrivateKey
}

func newOrdering(site groups.SiteID) ordering {
	seed := groups.HashOf([]byte(site))
	return ordering{site, ed25519.NewKeyFromSeed(seed[:])}
}

func (o ordering) SignHeads(root groups.Hash) ([]byte, error) {
	return ed25519.Sign(o.key, groups.HeadsTBS(root)), nil
}

func (o ordering) Certificate() groups.Hash { return groups.HashOf([]byte(o.site)) }

func (ordering) VerifyHeads(site groups.SiteID, signer, root groups.Hash, sig []byte) error {
	o := newOrdering(site)
	if signer != o.Certificate() || !ed25519.Verify(o.key.Public().(ed25519.PublicKey), groups.HeadsTBS(root), sig) {
		return groups.Errorf(groups.Denied, "not signed by %s", site)
	}
	return nil
}

// A directory takes names in basic credentials at their word.
type directory struct{}

func (directory) Device(cred wire.Credential, _ []byte, _ time.Time) (groups.DeviceID, error) {
	return groups.ParseDeviceID(string(cred.Identity))
}

// Validate and Succeeds make a directory judge leaves for members.
func (directory) Validate(wire.Credential, []byte) error { return nil }
func (directory) Succeeds(_, _ wire.Credential) error    { return nil }
func testConfig(site groups.SiteID, dir string) Config {
	node, err := groups.NewNodeID(site, "n1")
	if err != nil {
		panic(err)
	}
	o := newOrdering(site)
	return Config{Dir: dir, Node: node, Signer: o, Verifier: o, Directory: directory{},
		LowWater: 1, Ballast: -1, Now: func() time.Time { return start }}
}

func openTest(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTest(t, s) })
	return s
}

func closeTest(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// newStore opens a store of alpha in a directory of its own.
func newStore(t testing.TB) *Store { return openTest(t, testConfig(alpha, t.TempDir())) }

func roomID(t testing.TB, name string) groups.RoomID {
	t.Helper()
	id, err := groups.NewRoomID(alpha, name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func deviceID(t testing.TB, site groups.SiteID, user, device string) groups.DeviceID {
	t.Helper()
	u, err := groups.NewUserID(site, user)
	if err != nil {
		t.Fatal(err)
	}
	d, err := groups.NewDeviceID(u, device)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newID() (id groups.SubmissionID) {
	rand.Read(id[:])
	return id
}

// A member is a device with a group.
type member struct {
	t      testing.TB
	device groups.DeviceID
	suite  *suite.Suite
	signer *suite.SignaturePrivateKey
	room   groups.RoomID
	group  *mls.Group
	head   groups.Head // last entry it knows of
}

func newMember(t testing.TB, d groups.DeviceID) *member {
	t.Helper()
	s, err := suite.Lookup(suite.X25519AES128SHA256Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	return &member{t: t, device: d, suite: s, signer: signer}
}

func (m *member) identity() mls.Identity {
	return mls.Identity{Credential: wire.BasicCredential([]byte(m.device)), Signer: m.signer}
}

func (m *member) leaf() mls.KeyPackageOptions {
	return mls.KeyPackageOptions{Now: start, Capabilities: mls.DefaultCapabilities(groups.PolicyExtension)}
}

func (m *member) keyPackage() *mls.KeyPackage {
	m.t.Helper()
	kp, err := mls.NewKeyPackage(m.suite, m.identity(), m.leaf())
	if err != nil {
		m.t.Fatal(err)
	}
	return kp
}

// create makes the member's group and returns what founds the room.
func (m *member) create(room groups.RoomID) groups.Submission {
	m.t.Helper()
	policy := groups.DefaultPolicy(m.device.User())
	policy.BasicCredentials = true
	g, err := mls.Create(mls.CreateOptions{Suite: m.suite, GroupID: []byte(room), Identity: m.identity(),
		Leaf: m.leaf(), Extensions: wire.Extensions{policy.Extension()}, Credentials: directory{}})
	if err != nil {
		m.t.Fatal(err)
	}
	info, err := g.GroupInfo(true)
	if err != nil {
		m.t.Fatal(err)
	}
	m.room, m.group = room, g
	id := newID()
	genesis := groups.Genesis{GroupInfo: info, Stamp: m.stamp(id)}
	return groups.Submission{Room: room, Kind: groups.KindCreate, ID: id, Device: m.device, Body: genesis.Marshal()}
}

func (m *member) stamp(id groups.SubmissionID) groups.AuthenticatedData {
	return groups.AuthenticatedData{Device: m.device, ID: id, Seq: m.head.Seq, Hash: m.head.Hash}
}

// say seals a text.
func (m *member) say(text string) groups.Submission {
	m.t.Helper()
	id := newID()
	stamp := m.stamp(id)
	body, err := m.group.Seal(stamp.Marshal(), []byte(text), 0)
	if err != nil {
		m.t.Fatal(err)
	}
	return groups.Submission{Room: m.room, Kind: groups.KindMessage, ID: id, Device: m.device, Body: body}
}

// commit makes a commit; the caller takes its Next when it is accepted.
func (m *member) commit(o mls.CommitOptions) (groups.Submission, *mls.Pending) {
	m.t.Helper()
	id := newID()
	stamp := m.stamp(id)
	o.Now, o.AuthenticatedData = start, stamp.Marshal()
	p, err := m.group.Commit(o)
	if err != nil {
		m.t.Fatal(err)
	}
	bundle := groups.CommitBundle{Commit: p.Commit, GroupInfo: groups.HashOf(p.GroupInfo)}
	sub := groups.Submission{Room: m.room, Kind: groups.KindCommit, ID: id, Device: m.device}
	if p.Welcome != nil {
		h := groups.HashOf(p.Welcome)
		bundle.Welcome = &h
		sub.Attachments = append(sub.Attachments, p.Welcome)
	}
	sub.Attachments = append(sub.Attachments, p.GroupInfo)
	sub.Body = bundle.Marshal()
	return sub, p
}

// add commits others to the room.
func (m *member) add(s *Store, others ...*member) groups.Outcome {
	m.t.Helper()
	var adds []*wire.KeyPackage
	for _, o := range others {
		adds = append(adds, &o.keyPackage().Public)
	}
	sub, p := m.commit(mls.CommitOptions{Adds: adds})
	out := mustSubmit(m.t, s, sub)
	m.group = p.Next
	return out
}

// submit waits for the outcome of a submission.
func submit(s *Store, sub groups.Submission) groups.Outcome {
	ended := make(chan groups.Outcome, 1)
	s.Submit(sub, func(o groups.Outcome) { ended <- o })
	return <-ended
}

func mustSubmit(t testing.TB, s *Store, sub groups.Submission) groups.Outcome {
	t.Helper()
	out := submit(s, sub)
	if out.Err != nil {
		t.Fatalf("submit %s: %v", sub.Kind, out.Err)
	}
	return out
}

// found makes a room with one member.
func found(t testing.TB, s *Store, room string, d groups.DeviceID) *member {
	t.Helper()
	m := newMember(t, d)
	mustSubmit(t, s, m.create(roomID(t, room)))
	return m
}

// plain makes a message that nobody can open: a hub can not tell.
func plain(room groups.RoomID, epoch uint64, stamp groups.AuthenticatedData, ciphertext []byte) groups.Submission {
	m := wire.MLSMessage{WireFormat: wire.WireFormatPrivateMessage,
		PrivateMessage: &wire.PrivateMessage{GroupID: []byte(room), Epoch: epoch, ContentType: wire.ContentTypeApplication,
			AuthenticatedData: stamp.Marshal(), EncryptedSenderData: make([]byte, 28), Ciphertext: ciphertext}}
	return groups.Submission{Room: room, Kind: groups.KindMessage, ID: stamp.ID, Device: stamp.Device, Body: wire.Marshal(m)}
}

// flood submits n messages of m's device, many at a time, and returns their
// outcomes in the order of submission.
func flood(m *member, s *Store, n int) []groups.Outcome {
	outs := make([]groups.Outcome, n)
	var wait sync.WaitGroup
	wait.Add(n)
	for i := range n {
		id := newID()
		s.Submit(plain(m.room, m.group.Epoch(), m.stamp(id), []byte(fmt.Sprint("message ", i))), func(o groups.Outcome) {
			outs[i] = o
			wait.Done()
		})
	}
	wait.Wait()
	return outs
}

// readAll reads a room's log in pages, and checks its order and its chain.
func readAll(t testing.TB, s *Store, room groups.RoomID, pageBytes int) []*groups.Entry {
	t.Helper()
	var all []*groups.Entry
	after := groups.Seq(0)
	var prev groups.Hash
	for {
		page, err := s.Read(room, after, pageBytes)
		if err != nil {
			t.Fatalf("read %s after %d: %v", room, after, err)
		}
		if len(page.Entries) == 0 {
			return all
		}
		for _, st := range page.Entries {
			e, err := groups.ParseEntry(st.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if e.Seq != after+1 || st.Seq != e.Seq || st.Kind != e.Kind || e.Prev != prev || e.BodyHash != groups.HashOf(e.Body) {
				t.Fatalf("entry %d follows %d with link %v, want %v", e.Seq, after, e.Prev, prev)
			}
			all, after, prev = append(all, e), e.Seq, e.EntryHeader.Hash()
		}
	}
}

func wantKind(t testing.TB, err error, k groups.Kind) {
	t.Helper()
	if err == nil || groups.KindOf(err) != k {
		t.Fatalf("got %v, want %v", err, k)
	}
}

// removalOf returns the leaves of members.
func removalOf(m *member, others ...*member) (leaves []wire.LeafIndex) {
	t := m.group.Tree()
	for i := range wire.LeafIndex(t.Width()) {
		leaf, ok := t.Leaf(i)
		for _, o := range others {
			if ok && string(leaf.Credential.Identity) == string(o.device) {
				leaves = append(leaves, i)
			}
		}
	}
	return leaves
}

// settle waits until those whom earlier batches wake have been called.
func settle(t testing.TB, s *Store) {
	t.Helper()
	if err := s.writeRows([]row{{key: []byte("zz"), value: []byte("settled")}}); err != nil {
		t.Fatal(err)
	}
}
