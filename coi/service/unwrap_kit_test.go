package service

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

const (
	finance = "mimi://alpha.example/c/finance"
	opsRoom = groups.RoomID("mimi://alpha.example/r/ops")
	unwrap1 = "mimi://alpha.example/s/unwrap"
)

// A vault is an unwrap service under test, with a clock moved by hand.
type vault struct {
	t       testing.TB
	log     string // directory
	rules   *Entitlements
	devices *coi.CA
	root    *coi.CA
	cois    *coi.CA
	keys    []HeldKey
	certs   map[[32]byte]*x509.Certificate // of keys
	status  *statuses
	clock   time.Time
	quotas  Quotas
	cases   CaseAuthority
	suite   *suite.Suite

	own tls.Certificate // of the service

	audit  *AuditLog
	unwrap *Unwrap
	server *httptest.Server
	client unwrapv1connect.UnwrapServiceClient
}

// statuses says of each certificate whether it is in force.
type statuses struct {
	mu      sync.Mutex
	revoked map[string]bool // by DER
	down    bool
}

func (s *statuses) Check(_ context.Context, cert, _ *x509.Certificate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || s.revoked[string(cert.Raw)] {
		return errors.New("revoked, or not known")
	}
	return nil
}

func newVault(t testing.TB) *vault {
	t.Helper()
	v := &vault{t: t, log: newAudit(t), clock: then, status: &statuses{revoked: map[string]bool{}}, certs: map[[32]byte]*x509.Certificate{}}
	var err error
	v.root, err = coi.NewCA("alpha.example", then)
	must(t, err)
	v.devices, err = v.root.IssueIntermediate(then)
	must(t, err)
	v.cois, err = coi.NewCoIAuthority("alpha.example", then)
	must(t, err)
	is, err := v.root.IssueService("unwrap", nil, then)
	must(t, err)
	v.own = tls.Certificate{Certificate: coi.Chain(is.Cert), PrivateKey: is.Key}
	v.suite, err = suite.Lookup(1)
	must(t, err)
	v.rules, err = OpenEntitlements(filepath.Join(t.TempDir(), "entitlements.json"))
	must(t, err)
	v.grant(Rule{CoI: finance, Subject: "mimi://alpha.example", Effect: Grants, By: "test"})
	v.quotas = Quotas{Device: Quota{1 << 20, 1}, User: Quota{1 << 20, 1}, CoI: Quota{1 << 20, 1}}
	v.addKey(finance)
	v.start()
	t.Cleanup(v.stop)
	return v
}

func (v *vault) grant(rules ...Rule) {
	v.t.Helper()
	_, err := v.rules.Add(rules...)
	must(v.t, err)
}

// addKey makes a key of a CoI, and returns its certificate.
func (v *vault) addKey(name string) *x509.Certificate {
	v.t.Helper()
	key, err := coi.NewCoIKey("p256")
	must(v.t, err)
	n, err := coi.ParseName(name)
	must(v.t, err)
	cert, err := v.cois.IssueCoI(n, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}, Life: 398 * 24 * time.Hour}, then)
	must(v.t, err)
	held, err := NewHeldKey(name, key.Public(), key)
	must(v.t, err)
	v.keys = append(v.keys, held)
	v.certs[held.SPKI] = cert
	return cert
}

func (v *vault) cert(name string) *x509.Certificate {
	return v.certs[NewKeyRing(v.keys...).Of(name)[0].SPKI]
}

func (v *vault) trust() (*coi.Trust, error) {
	return coi.NewTrust(coi.Site{
		Name: "alpha.example", Roots: []*x509.Certificate{v.root.Cert}, Intermediates: []*x509.Certificate{v.devices.Cert},
		CoIRoots: []*x509.Certificate{v.cois.Cert},
	})
}

func (v *vault) start() {
	v.t.Helper()
	state := NewUnwrapState(v.clock)
	var err error
	v.audit, err = OpenAudit(v.log, state.Recall)
	must(v.t, err)
	v.unwrap, err = NewUnwrap(UnwrapConfig{
		Service: unwrap1, Trust: v.trust, Keys: func() (*KeyRing, error) { return NewKeyRing(v.keys...), nil },
		Entitlements: v.rules, Status: v.status, Log: v.audit, State: state, Quotas: v.quotas, Cases: v.cases,
		Certificate: func() (tls.Certificate, error) { return v.own, nil },
		Refusal:     time.Millisecond, Now: func() time.Time { return v.clock },
	})
	must(v.t, err)
	v.server = httptest.NewServer(v.unwrap.Handler())
	v.client = unwrapv1connect.NewUnwrapServiceClient(v.server.Client(), v.server.URL)
}

func (v *vault) stop() {
	v.server.Close()
	must(v.t, v.audit.Close())
}

func (v *vault) restart() {
	v.t.Helper()
	v.stop()
	v.start()
}

// entries reads the log of a running service.
func (v *vault) entries() []AuditEntry {
	v.t.Helper()
	var out []AuditEntry
	_, err := ReadAudit(v.log, nil, func(_ int64, e *AuditEntry) error { out = append(out, *e); return nil })
	must(v.t, err)
	return out
}

// A member is a device with its certificate.
type member struct {
	name  coi.Name
	key   crypto.Signer
	chain [][]byte
	leaf  wire.LeafNode
	sign  *suite.SignaturePrivateKey
}

func (v *vault) device(user, device string) *member { return v.newMember(user, device, false) }

func (v *vault) newMember(user, device string, bot bool) *member {
	v.t.Helper()
	m := &member{name: coi.Name{Purpose: coi.Device, Site: "alpha.example", Local: user, Device: device}}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(v.t, err)
	m.key = key
	issue := v.devices.IssueDevice
	if bot {
		issue = v.devices.IssueBot
	}
	cert, err := issue(m.name, key.Public(), then)
	must(v.t, err)
	m.chain = coi.Chain(cert, v.devices.Cert)
	m.sign, err = v.suite.SignatureKeyOf(key)
	must(v.t, err)
	public, err := v.suite.SignaturePublicKey(key.Public())
	must(v.t, err)
	encryption, err := v.suite.GenerateKeyPair()
	must(v.t, err)
	m.leaf = wire.LeafNode{
		EncryptionKey: encryption.PublicKey(), SignatureKey: public,
		Credential:     wire.Credential{CredentialType: wire.CredentialTypeX509, Certificates: []wire.Certificate{{CertData: cert.Raw}}},
		LeafNodeSource: wire.LeafNodeSourceUpdate, Signature: []byte{0},
	}
	return m
}

// An epoch is a room at one time, with what opens it.
type epoch struct {
	room    *room
	members []*member
	tree    *tree.Tree
	context wire.GroupContext
	record  groups.KeyRecord
	key     groups.RoomKey
}

// A room is its epochs.
type room struct {
	v      *vault
	id     groups.RoomID
	policy groups.Policy
	epochs []*epoch
}

func (v *vault) room(id groups.RoomID, cois ...string) *room {
	r := &room{v: v, id: id, policy: groups.DefaultPolicy("mimi://alpha.example/u/alice")}
	for _, c := range cois {
		r.policy.CoIs = append(r.policy.CoIs, groups.CoI{Name: groups.CoIID(c), Lookup: "https://127.0.0.1:1", Unwrap: []string{"https://127.0.0.1:2"}})
	}
	return r
}

// next makes the next epoch, by its first member.
func (r *room) next(members ...*member) *epoch {
	e := r.forge(groups.Epoch(len(r.epochs)), members...)
	r.epochs = append(r.epochs, e)
	return e
}

// forge makes an epoch of any number that is not the room's: what anybody can
// make who knows the CoI's certificate.
func (r *room) forge(n groups.Epoch, members ...*member) *epoch {
	t := r.v.t
	t.Helper()
	e := &epoch{room: r, members: members, tree: tree.New(r.v.suite, members[0].leaf)}
	edit := e.tree.Edit()
	for _, m := range members[1:] {
		_, err := edit.Add(m.leaf)
		must(t, err)
	}
	var err error
	e.tree, err = edit.Tree()
	must(t, err)
	e.context = wire.GroupContext{
		CipherSuite: 1, GroupID: []byte(r.id), Epoch: uint64(n), TreeHash: e.tree.Hash(),
		ConfirmedTranscriptHash: suite.Random(32), Extensions: wire.Extensions{r.policy.Extension()},
	}
	e.key = groups.RoomKey{Suite: 1, SenderDataSecret: suite.Random(32), EncryptionSecret: suite.Random(32)}
	e.seal(members[0])
	return e
}

// seal makes the epoch's record, by an author.
func (e *epoch) seal(author *member) {
	v := e.room.v
	v.t.Helper()
	hash := groups.ContextHash(&e.context)
	e.record = groups.KeyRecord{
		Room: e.room.id, Epoch: groups.Epoch(e.context.Epoch), ContextHash: hash, KeyID: groups.KeyID(v.suite, e.key, hash),
		AuthorLeaf: uint32(e.index(author)), AuthorCert: sha256.Sum256(author.chain[0]),
		CreatedAt: uint64(v.clock.UnixMilli()), NotAfter: uint64(v.clock.Add(time.Hour).UnixMilli()), Reason: groups.KeyRotatedByUser,
	}
	var to []wrap.Recipient
	for _, c := range e.room.policy.CoIs {
		cert := v.cert(string(c.Name))
		e.record.Recipients = append(e.record.Recipients, groups.CoIRecipient{
			Name: c.Name, Certificate: sha256.Sum256(cert.Raw), Serial: cert.SerialNumber.Bytes(),
		})
		to = append(to, wrap.Recipient{Name: string(c.Name), Certificate: cert})
	}
	mode := wrap.Any
	if e.room.policy.Mode == groups.CoIAll {
		mode = wrap.All
	}
	var err error
	e.record.Envelope, err = wrap.Seal(groups.RoomKeyBytes(e.key), to, e.binding(), wrap.SealOptions{Mode: mode})
	must(v.t, err)
	must(v.t, e.record.Sign(author.sign))
}

func (e *epoch) binding() wrap.Binding {
	return wrap.Binding{Room: string(e.record.Room), Epoch: uint64(e.record.Epoch), KeyID: e.record.KeyID, Recipients: e.record.BindingHash()}
}

func (e *epoch) index(m *member) wire.LeafIndex {
	i, found := e.tree.FindSigner(m.leaf.SignatureKey)
	if !found {
		e.room.v.t.Fatalf("%s is not in epoch %d", m.name.URI(), e.context.Epoch)
	}
	return i
}

func (e *epoch) proof(m *member) *tree.MembershipProof {
	p, err := e.tree.Proof(e.index(m))
	must(e.room.v.t, err)
	return p
}

// author is who made the epoch's record.
func (e *epoch) author() *member {
	for _, m := range e.members {
		if sha256.Sum256(m.chain[0]) == e.record.AuthorCert {
			return m
		}
	}
	e.room.v.t.Fatal("the author is no member")
	return nil
}

func (e *epoch) proven() groups.Proven {
	return groups.Proven{Record: e.record.Marshal(), Context: wire.Marshal(e.context), Author: e.proof(e.author())}
}

// vouch says by an anchor that its author was a member of this epoch.
func (e *epoch) vouch(index int, anchor *epoch) *groups.Vouch {
	return &groups.Vouch{Anchor: uint16(index), Author: e.proof(anchor.author())}
}

// A question is a request in the making.
type question struct {
	v    *vault
	from *member
	q    groups.KeyRequest
	key  hpke.PrivateKey
}

func (v *vault) question(from *member) *question {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	must(v.t, err)
	x := &question{v: v, from: from, key: key}
	x.q = groups.KeyRequest{
		CoI: finance, Device: groups.DeviceID(from.name.URI()), Service: unwrap1, Time: uint64(v.clock.UnixMilli()),
		ResponseKey: key.PublicKey().Bytes(), Reason: "history",
	}
	rand.Read(x.q.Nonce[:])
	return x
}

// anchor adds one, with the asker's own leaf if it is there, and returns its
// index.
func (x *question) anchor(e *epoch, self bool) int {
	a := groups.Anchor{Proven: e.proven()}
	if self {
		a.Self = e.proof(x.from)
	}
	x.q.Anchors = append(x.q.Anchors, a)
	return len(x.q.Anchors) - 1
}

// item adds one; anchor is an epoch whose index is given, nil for none.
func (x *question) item(e *epoch, s groups.Standing, member *member) *groups.KeyItem {
	it := groups.KeyItem{Proven: e.proven(), Standing: s}
	if member != nil {
		it.Member = e.proof(member)
	}
	x.q.Items = append(x.q.Items, it)
	return &x.q.Items[len(x.q.Items)-1]
}

func (x *question) signed() *unwrapv1.UnwrapRequest {
	sig, err := coi.Sign(x.from.key, x.q.SigningBytes())
	must(x.v.t, err)
	return &unwrapv1.UnwrapRequest{Request: x.q.Marshal(), Signature: sig, Chain: x.from.chain}
}

// send asks, and opens the answer.
func (x *question) send() (*groups.KeyAnswer, error) {
	m := x.signed()
	resp, err := x.v.client.Unwrap(context.Background(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return groups.OpenKeyAnswer(resp.Msg.Sealed, m.Request, x.key)
}

// parts sends and returns which items were granted; each must be the right key.
func (x *question) parts(epochs ...*epoch) []bool {
	x.v.t.Helper()
	a, err := x.send()
	must(x.v.t, err)
	if len(a.Parts) != len(epochs) {
		x.v.t.Fatalf("%d answers to %d items", len(a.Parts), len(epochs))
	}
	out := make([]bool, len(epochs))
	for i, p := range a.Parts {
		out[i] = p != nil
		if p != nil && string(p) != string(groups.RoomKeyBytes(epochs[i].key)) {
			x.v.t.Errorf("item %d: another key", i)
		}
	}
	return out
}

// refused demands that nothing is opened, whichever way it is said.
func (x *question) refused() {
	x.v.t.Helper()
	a, err := x.send()
	if err != nil {
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			x.v.t.Errorf("%v, want a denial", err)
		}
		return
	}
	for i, p := range a.Parts {
		if p != nil {
			x.v.t.Errorf("item %d was opened", i)
		}
	}
}
