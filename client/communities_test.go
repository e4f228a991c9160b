package client_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/client"
	"parley/coi"
	"parley/coi/service"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls/suite"
)

const (
	finance groups.CoIID = "mimi://alpha.example/c/finance"
	legal   groups.CoIID = "mimi://alpha.example/c/legal"
)

// communities are the certificate services of a hub's site: real certificates,
// real status answers, and the real unwrap service with its rules and its log.
// What they do wrong is asked for by tests.
type communities struct {
	t         *testing.T
	h         *hub
	authority *coi.CA
	responder *coi.Responder
	devices   *coi.Responder // answers for the device CA

	mu   sync.Mutex
	list map[groups.CoIID]*community
	life time.Duration // of certificates made from now on, zero is long

	// Faults, guarded by mu.
	down   map[string]bool // URLs that do not answer
	slow   time.Duration   // each answer takes as long
	staple func(good []byte) []byte
	status func(request, good []byte) ([]byte, error)
	lookup func(list []client.CoICertificate) []client.CoICertificate
	held   func(keys []groups.Hash) []groups.Hash
	lies   map[string]bool            // URLs of unwrap services that give garbage
	asked  map[string]int             // calls by URL
	cuts   func(signed []byte) []byte // what is said of bots that are cut off
	saw    func([]byte)               // what devices send to services
}

// A community is one of them, with the keys it has and had.
type community struct {
	groups.CoI
	keys  []*coiKey
	rules *service.Entitlements
	vault map[string]*vault // its unwrap services, by URL
}

// A coiKey is a key of a community.
type coiKey struct {
	cert      *x509.Certificate
	private   crypto.Signer
	quantum   hpke.PrivateKey
	shown     bool // by lookup
	retired   bool // says lookup
	held      bool // by the unwrap services
	certified bool // and they have its certificate
	revokedAt time.Time
}

// A vault is one unwrap service.
type vault struct {
	log    string
	own    tls.Certificate
	audit  *service.AuditLog
	unwrap *service.Unwrap
}

// statusLife is how long a status answer holds.
const statusLife = 15 * time.Minute

// simKeys runs a test in a bubble with communities of a site.
func simKeys(t *testing.T, test func(t *testing.T, h *hub, c *communities), names ...groups.CoIID) {
	t.Helper()
	if len(names) == 0 {
		names = []groups.CoIID{finance}
	}
	sim(t, func(t *testing.T, h *hub) { test(t, h, h.communities(names...)) })
}

// communities founds communities of the hub's site, before any device is made.
func (h *hub) communities(names ...groups.CoIID) *communities {
	h.t.Helper()
	now := time.Now()
	c := &communities{
		t: h.t, h: h, authority: must(coi.NewCoIAuthority(string(h.site), now)),
		list: make(map[groups.CoIID]*community), down: make(map[string]bool), asked: make(map[string]int),
	}
	c.responder, c.devices = responderOf(c.authority), responderOf(h.devices)
	h.cois = c
	h.trust[0].CoIRoots = [][]byte{c.authority.Cert.Raw}
	for _, name := range names {
		c.found(name)
	}
	return c
}

func responderOf(ca *coi.CA) *coi.Responder {
	key := must(coi.NewResponderKey())
	return &coi.Responder{Issuer: ca.Cert, Cert: must(ca.IssueResponder(key.Public(), time.Now())), Key: key}
}

// found makes a community with a key and two unwrap services, open to the site.
func (c *communities) found(name groups.CoIID) {
	local := name[strings.LastIndex(string(name), "/")+1:]
	one := &community{vault: make(map[string]*vault)}
	one.CoI = groups.CoI{
		Name: name, Root: sha256.Sum256(c.authority.Cert.Raw), Lookup: "https://lookup." + string(local),
		Unwrap: []string{"https://u1." + string(local), "https://u2." + string(local)},
		Status: "https://ocsp." + string(local), Officer: "mimi://" + string(c.h.site) + "/u/olga",
	}
	c.list[name] = one
	one.rules = must(service.OpenEntitlements(filepath.Join(c.t.TempDir(), "rules.json")))
	must(one.rules.Add(service.Rule{CoI: string(name), Subject: "mimi://" + string(c.h.site), Effect: service.Grants, By: "test"}))
	for i, url := range one.Unwrap {
		one.vault[url] = c.vault(one, fmt.Sprintf("u%d", i+1))
	}
	c.addKey(name)
	c.h.trust[0].CoIs = append(c.h.trust[0].CoIs, coi.Community{
		Name: string(name), Lookup: one.Lookup, Unwrap: one.Unwrap, OCSP: one.Status, Officer: one.Officer,
	})
}

// vault starts an unwrap service.
func (c *communities) vault(one *community, name string) *vault {
	is := must(c.h.ca.IssueService("unwrap-"+name, nil, time.Now()))
	v := &vault{log: filepath.Join(c.t.TempDir(), "log"), own: tls.Certificate{Certificate: coi.Chain(is.Cert), PrivateKey: is.Key}}
	must(service.InitAudit(v.log, service.LogName(string(c.h.site)+"/unwrap/"+name)))
	state := service.NewUnwrapState(time.Now())
	v.audit = must(service.OpenAudit(v.log, state.Recall))
	c.t.Cleanup(func() { v.audit.Close() })
	many := service.Quota{Burst: 1 << 20, PerSecond: 1}
	v.unwrap = must(service.NewUnwrap(service.UnwrapConfig{
		Service: "mimi://" + string(c.h.site) + "/s/" + name, Trust: func() (*coi.Trust, error) { return c.trust(), nil },
		Keys: func() (*service.KeyRing, error) { return c.ring(one), nil }, Entitlements: one.rules, Status: c, Log: v.audit,
		State: state, Quotas: service.Quotas{Device: many, User: many, CoI: many},
		Certificate: func() (tls.Certificate, error) { return v.own, nil },
	}))
	return v
}

func (c *communities) trust() *coi.Trust {
	site := coi.NewSite(string(c.h.site), []*x509Cert{c.h.ca.Cert, c.h.devices.Cert})
	site.CoIRoots = []*x509Cert{c.authority.Cert}
	return must(coi.NewTrust(site))
}

// Check implements service.DeviceStatus: what the device CA has revoked.
func (c *communities) Check(_ context.Context, cert, _ *x509.Certificate) error {
	name, err := coi.CertificateName(cert.Raw)
	if err != nil {
		return err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	if c.h.revoked[groups.DeviceID(name.URI())] {
		return errors.New("revoked")
	}
	return nil
}

func (c *communities) ring(one *community) *service.KeyRing {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []service.HeldKey
	for _, k := range one.keys {
		if k.held {
			held := must(service.NewHeldKey(string(one.Name), k.private.Public(), k.private))
			held.PQ = k.quantum
			if k.certified {
				held.Since = k.cert.NotBefore
			}
			list = append(list, held)
		}
	}
	return service.NewKeyRing(list...)
}

// newKey makes a key of a community that no service knows yet.
func (c *communities) newKey(name groups.CoIID) *coiKey {
	private := must(coi.NewCoIKey("p256"))
	k := &coiKey{private: private, quantum: must(hpke.MLKEM768X25519().GenerateKey())}
	k.cert = must(c.authority.IssueCoI(must(coi.ParseName(string(name))), coi.CoIPlan{
		Request: &coi.CoIRequest{Key: private.Public(), PostQuantum: k.quantum.PublicKey()},
		Life:    cmp.Or(c.life, 90*24*time.Hour), CRL: "http://crl.alpha.example",
	}, time.Now()))
	return k
}

// addKey gives a community a new key, in both services; the ones before retire.
func (c *communities) addKey(name groups.CoIID) *coiKey {
	k := c.newKey(name)
	c.set(func() {
		for _, old := range c.list[name].keys {
			old.retired = true
		}
		k.shown, k.held = true, true
		c.list[name].keys = append(c.list[name].keys, k)
	})
	return k
}

// set changes what the services do.
func (c *communities) set(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
}

// revoke revokes the certificate in use of a community.
func (c *communities) revoke(name groups.CoIID) {
	c.set(func() {
		list := c.list[name].keys
		list[len(list)-1].revokedAt = time.Now()
	})
}

// policy is a room's policy under communities.
func (c *communities) policy(names ...groups.CoIID) *groups.Policy {
	p := groups.DefaultPolicy("mimi://alpha.example/u/alice")
	slices.Sort(names)
	for _, name := range names {
		p.CoIs = append(p.CoIs, c.list[name].CoI)
	}
	return &p
}

// sign makes a status answer about a certificate.
func (c *communities) sign(id coi.CertID, serial *big.Int, nonce []byte) []byte {
	a := coi.Answer{ID: id, State: coi.Unknown}
	for _, one := range c.list {
		for _, k := range one.keys {
			if k.cert.SerialNumber.Cmp(serial) != 0 {
				continue
			}
			a.State = coi.Good
			if !k.revokedAt.IsZero() {
				a.State, a.RevokedAt = coi.Revoked, k.revokedAt
			}
		}
	}
	now := time.Now()
	return must(c.responder.SignStatus([]coi.Answer{a}, coi.Validity{This: now, Next: now.Add(statusLife)}, nonce))
}

// stapled is the status that lookup sends along.
func (c *communities) stapled(k *coiKey) []byte {
	id := must(coi.NewCertID(k.cert.SerialNumber, c.authority.Cert, crypto.SHA256))
	b := c.sign(id, k.cert.SerialNumber, nil)
	if c.staple != nil {
		b = c.staple(b)
	}
	return b
}

// reach is a call on its way: false if nobody answers.
func (c *communities) reach(ctx context.Context, url string) error {
	c.mu.Lock()
	c.asked[url]++
	down, slow := c.down[url] || c.down["*"], c.slow
	c.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return groups.Errorf(groups.Unavailable, "%s: %w", url, ctx.Err())
		}
	}
	if down {
		return groups.Errorf(groups.Unavailable, "%s is down", url)
	}
	return nil
}

// calls returns how often a URL was asked.
func (c *communities) calls(url string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[url]
}

// keyServices are the services as one device reaches them, over TLS with its
// certificate.
type keyServices struct {
	*communities
	chain [][]byte
}

// Certificates is the lookup service.
func (c *keyServices) Certificates(ctx context.Context, p *groups.CoI) ([]client.CoICertificate, error) {
	if err := c.reach(ctx, p.Lookup); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []client.CoICertificate
	for _, k := range slices.Backward(c.list[p.Name].keys) {
		if k.shown {
			list = append(list, client.CoICertificate{Chain: coi.Chain(k.cert), Status: c.stapled(k), Retired: k.retired})
		}
	}
	if c.lookup != nil {
		list = c.lookup(list)
	}
	return list, nil
}

// Held is the unwrap service, asked for its keys.
func (c *keyServices) Held(ctx context.Context, p *groups.CoI, url string) (*client.HeldKeys, error) {
	if err := c.reach(ctx, url); err != nil {
		return nil, err
	}
	v := c.list[p.Name].vault[url]
	if v == nil {
		return nil, groups.Errorf(groups.Unavailable, "nobody is at %s", url)
	}
	resp, err := v.unwrap.Keys(ctx, connect.NewRequest(&unwrapv1.KeysRequest{Cois: []string{string(p.Name)}}))
	if err != nil {
		return nil, err
	}
	out := &client.HeldKeys{Service: resp.Msg.Service}
	for _, one := range resp.Msg.Cois {
		if len(one.Certified) > 0 {
			out.Certified = groups.Hash(one.Certified)
		}
		for _, h := range one.SpkiHashes {
			out.Keys = append(out.Keys, groups.Hash(h))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		out.Keys = c.held(out.Keys)
	}
	return out, nil
}

// Unwrap is the unwrap service.
func (c *keyServices) Unwrap(ctx context.Context, p *groups.CoI, url string, request, signature []byte) ([]byte, error) {
	if err := c.reach(ctx, url); err != nil {
		return nil, err
	}
	c.see(request)
	resp, err := c.list[p.Name].vault[url].unwrap.Unwrap(ctx, connect.NewRequest(&unwrapv1.UnwrapRequest{
		Request: request, Signature: signature, Chain: c.chain,
	}))
	if connect.CodeOf(err) == connect.CodePermissionDenied {
		return nil, &groups.RemoteError{Peer: url, Kind: groups.Denied, Text: "nothing is opened"}
	}
	if err != nil {
		return nil, groups.Errorf(groups.Unavailable, "%s: %w", url, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lies[url] {
		return garbage(request)
	}
	return resp.Msg.Sealed, nil
}

// garbage is a well-formed answer with a room key for each item, of no room.
func garbage(request []byte) ([]byte, error) {
	q := must(groups.ParseKeyRequest(request))
	answer := groups.KeyAnswer{Parts: make([][]byte, len(q.Items))}
	for i := range answer.Parts {
		answer.Parts[i] = groups.RoomKeyBytes(groups.RoomKey{Suite: 1, SenderDataSecret: suite.Random(32), EncryptionSecret: suite.Random(32)})
	}
	return answer.Seal(request, q.ResponseKey)
}

// Cuts is the unwrap service, asked which bots are cut off.
func (c *keyServices) Cuts(ctx context.Context, p *groups.CoI, url string, q client.CutQuestion) ([]byte, error) {
	if err := c.reach(ctx, url); err != nil {
		return nil, err
	}
	v := c.list[p.Name].vault[url]
	if v == nil {
		return nil, groups.Errorf(groups.Unavailable, "nobody is at %s", url)
	}
	req := &unwrapv1.CutsRequest{Coi: string(p.Name), Nonce: q.Nonce[:]}
	for _, d := range q.Devices {
		req.Devices = append(req.Devices, string(d))
	}
	resp, err := v.unwrap.Cuts(ctx, connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked["cuts at "+url]++
	if c.cuts != nil {
		return c.cuts(resp.Msg.Signed), nil
	}
	return resp.Msg.Signed, nil
}

// Status is the responder of the CoI CA, and of the device CA.
func (c *keyServices) Status(ctx context.Context, p *groups.CoI, request []byte) ([]byte, error) {
	if err := c.reach(ctx, p.Status); err != nil {
		return nil, err
	}
	c.see(request)
	q := must(coi.ParseStatusRequest(request))
	if q.Certs[0].Of(c.h.devices.Cert) {
		return c.deviceStatus(q)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	good := c.sign(q.Certs[0], q.Certs[0].Serial, q.Nonce)
	if c.status != nil {
		return c.status(request, good)
	}
	return good, nil
}

// deviceStatus answers for the device CA.
func (c *communities) deviceStatus(q *coi.StatusRequest) ([]byte, error) {
	a := coi.Answer{ID: q.Certs[0], State: coi.Good}
	c.h.mu.Lock()
	for _, s := range c.h.revokedSerials {
		if s.Cmp(q.Certs[0].Serial) == 0 {
			a.State, a.RevokedAt = coi.Revoked, time.Now()
		}
	}
	c.h.mu.Unlock()
	now := time.Now()
	return c.devices.SignStatus([]coi.Answer{a}, coi.Validity{This: now, Next: now.Add(statusLife)}, q.Nonce)
}

// Revocations is where the CoI CA's list lies.
func (c *keyServices) Revocations(ctx context.Context, _ *groups.CoI, url string) ([]byte, error) {
	if err := c.reach(ctx, url); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var gone []coi.RevokedCertificate
	for _, one := range c.list {
		for _, k := range one.keys {
			if !k.revokedAt.IsZero() {
				gone = append(gone, coi.RevokedCertificate{Serial: k.cert.SerialNumber, At: k.revokedAt})
			}
		}
	}
	now := time.Now()
	return c.authority.IssueCRL(gone, big.NewInt(now.Unix()), coi.Validity{This: now, Next: now.Add(statusLife)})
}

func (c *communities) see(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.saw != nil {
		c.saw(b)
	}
}

// openRecord opens the room key in a record with a community's private keys, as
// openssl would.
func (c *communities) openRecord(name groups.CoIID, r *groups.KeyRecord) *groups.RoomKey {
	c.t.Helper()
	binding := wrap.Binding{Room: string(r.Room), Epoch: uint64(r.Epoch), KeyID: r.KeyID, Recipients: r.BindingHash()}
	for _, k := range c.list[name].keys {
		if secret, err := wrap.Open(r.Envelope, wrap.Key{Certificate: k.cert, Private: k.private, PQ: k.quantum}, binding); err == nil {
			key := must(groups.ParseRoomKeyBytes(secret))
			return &key
		}
	}
	c.t.Fatalf("no key of %s opens the record of epoch %d", name, r.Epoch)
	return nil
}
