package service

import (
	"context"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
	"parley/groups"
)

// TestJ1_BotsAreNamedWithTheirRooms: a bot may use a CoI only where a rule names
// it and the room; what is granted to its site or owner is not granted to it.
func TestJ1_BotsAreNamedWithTheirRooms(t *testing.T) {
	v := newVault(t)
	bot := v.newMember("archiver", "main", true)
	r, other := v.room(opsRoom, finance), v.room(opsRoom+"-other", finance)
	e, o := r.next(bot), other.next(bot)
	ask := func() *question {
		x := v.question(bot)
		x.item(e, groups.StandingMember, bot)
		x.item(o, groups.StandingMember, bot)
		return x
	}
	ask().refused() // its site is entitled, it is not
	v.grant(Rule{CoI: finance, Subject: bot.name.User(), Effect: Grants, By: "test"})
	ask().refused() // nor by its user
	v.grant(Rule{CoI: finance, Subject: bot.name.URI(), Effect: Grants, By: "test"})
	ask().refused() // nor without a room
	v.grant(Rule{CoI: finance, Subject: bot.name.URI(), Effect: Grants, Rooms: []string{string(opsRoom)}, By: "test"})
	equal(t, "one room", ask().parts(e, o), true, false)
	v.grant(Rule{CoI: finance, Subject: bot.name.URI(), Effect: Grants, Rooms: []string{EveryRoom}, By: "test"})
	equal(t, "every room", ask().parts(e, o), true, true)
}

// TestJ2_CutBotOpensNothing: "with the gateway fully hostile, the bot opens no
// later generation and no further old one": it is handed every byte and shows
// them all.
func TestJ2_CutBotOpensNothing(t *testing.T) {
	v := newVault(t)
	bot, alice := v.newMember("archiver", "main", true), v.device("alice", "laptop")
	v.grant(Rule{CoI: finance, Subject: bot.name.URI(), Effect: Grants, Rooms: []string{EveryRoom}, By: "test"})
	r := v.room(opsRoom, finance)
	r.policy.History, r.policy.Readers = groups.HistoryAll, []groups.CoIID{finance}
	e0, e1 := r.next(alice, bot), r.next(alice, bot)
	ask := func(epochs ...*epoch) *question {
		x := v.question(bot)
		now := x.anchor(e1, true)
		for _, e := range epochs {
			for _, s := range []groups.Standing{groups.StandingMember, groups.StandingUser, groups.StandingNewcomer, groups.StandingReader} {
				x.item(e, s, bot).Anchor = e.vouch(now, e1)
			}
		}
		return x
	}
	equal(t, "before", ask(e0).parts(e0, e0, e0, e0), true, true, true, true)
	v.grant(Rule{Subject: bot.name.URI(), Effect: Denies, By: "carol"})
	ask(e0, e1).refused()
	e2 := r.next(alice, bot) // nobody has removed it yet
	x := ask(e0, e1)
	x.item(e2, groups.StandingMember, bot)
	x.refused()
	v.restart()
	ask(e0, e1).refused()
	refused, granted := 0, 0
	for _, e := range v.entries() {
		switch {
		case e.Actor == bot.name.URI() && e.Decision == Refused && strings.Contains(e.Why, "by carol"):
			refused++
		case e.Actor == bot.name.URI() && e.Decision == Granted:
			granted++
		}
	}
	if refused != 3 || granted != 1 {
		t.Errorf("the log proves %d attempts in vain and %d keys, want 3 and 1", refused, granted)
	}
}

// TestA20_EntitlementsPutBack: "restart with stale entitlement cache": an older file
// of rules is not used, also after a restart.
func TestA20_EntitlementsPutBack(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	old, err := os.ReadFile(v.rules.path)
	must(t, err)
	ask := func() error {
		x := v.question(alice)
		x.item(e, groups.StandingMember, alice)
		_, err := x.send()
		return err
	}
	must(t, ask())
	v.grant(Rule{Subject: alice.name.URI(), Effect: Denies, By: "carol"})
	if err := ask(); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("%v, want a denial", err)
	}
	must(t, os.WriteFile(v.rules.path, old, fileMode))
	must(t, os.Chtimes(v.rules.path, time.Now(), time.Now().Add(time.Second)))
	if err := ask(); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("%v: an older file of rules is in force", err)
	}
	must(t, os.WriteFile(v.rules.path, []byte("{"), fileMode))
	if err := ask(); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("%v: broken rules leave the last ones in force", err)
	}
	must(t, os.WriteFile(v.rules.path, old, fileMode))
	state := NewUnwrapState(v.clock)
	must(t, v.audit.Close())
	v.audit, err = OpenAudit(v.log, state.Recall)
	must(t, err)
	_, err = NewUnwrap(UnwrapConfig{
		Service: unwrap1, Trust: v.trust, Keys: func() (*KeyRing, error) { return NewKeyRing(), nil },
		Entitlements: v.rules, Status: v.status, Log: v.audit, State: state,
	})
	if err == nil || !strings.Contains(err.Error(), "old file back") {
		t.Errorf("%v: it starts with an older file of rules", err)
	}
}

// TestE28_AnyInstanceOpens: "with one of n down every unwrap still succeeds":
// instances share the CoI's keys and nothing else.
func TestE28_AnyInstanceOpens(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	dir := newAudit(t)
	state := NewUnwrapState(v.clock)
	log, err := OpenAudit(dir, state.Recall)
	must(t, err)
	defer log.Close()
	second, err := NewUnwrap(UnwrapConfig{
		Service: "mimi://alpha.example/s/unwrap2", Trust: v.trust, Keys: func() (*KeyRing, error) { return NewKeyRing(v.keys...), nil },
		Entitlements: v.rules, Status: v.status, Log: log, State: state, Now: func() time.Time { return v.clock }, Refusal: time.Millisecond,
	})
	must(t, err)
	server := httptest.NewServer(second.Handler())
	defer server.Close()
	v.server.Close() // the first is down
	v.client = unwrapv1connect.NewUnwrapServiceClient(server.Client(), server.URL)
	x := v.question(alice)
	x.item(e, groups.StandingMember, alice)
	x.refused() // it was asked of the first
	x = v.question(alice)
	x.q.Service = "mimi://alpha.example/s/unwrap2"
	x.item(e, groups.StandingMember, alice)
	equal(t, "the second", x.parts(e), true)
}

// TestE20_CallerProvesCertificateAndPlace: neither a certificate nor a place in
// the room is enough alone, and a certificate of another kind is none.
func TestE20_CallerProvesCertificateAndPlace(t *testing.T) {
	v := newVault(t)
	alice, bob := v.device("alice", "laptop"), v.device("bob", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	x := v.question(bob) // a certificate, no place
	x.item(e, groups.StandingMember, alice)
	x.refused()
	foreign, err := coi.NewCA("alpha.example", then) // a place by name, another CA
	must(t, err)
	own := v.devices
	v.devices, err = foreign.IssueIntermediate(then)
	must(t, err)
	twin := v.device("alice", "laptop")
	v.devices = own
	x = v.question(twin)
	x.item(e, groups.StandingMember, alice)
	x.refused()
	node, err := v.root.IssueNode("a1", nil, then) // a gateway's certificate
	must(t, err)
	gateway := &member{name: alice.name, key: node.Key, chain: coi.Chain(node.Cert)}
	x = v.question(gateway)
	x.item(e, groups.StandingMember, alice)
	x.refused()
	x = v.question(alice)
	x.item(e, groups.StandingMember, alice)
	equal(t, "both", x.parts(e), true)
}

// TestE3J4_ProviderOpensNothing: who runs the messaging has every certificate and
// key of its gateways, every byte of the rooms, and nothing that this service
// takes.
func TestE3J4_ProviderOpensNothing(t *testing.T) {
	v := newVault(t)
	touched := v.count()
	c := newCourt(v, 2)
	alice := v.device("alice", "laptop")
	r := v.room(opsRoom, finance)
	r.policy.Cases = c.rule()
	e := r.next(alice)
	for _, issue := range []func() (*coi.Issued, error){
		func() (*coi.Issued, error) { return v.root.IssueNode("a1", nil, then) },
		func() (*coi.Issued, error) { return v.root.IssueOrdering("a1", then) },
		func() (*coi.Issued, error) { return v.root.IssueService("enroll", nil, then) },
	} {
		is, err := issue()
		must(t, err)
		x := v.question(&member{name: alice.name, key: is.Key, chain: coi.Chain(is.Cert)})
		x.item(e, groups.StandingMember, alice)
		x.item(e, groups.StandingReader, nil)
		x.refused()
		own, err := x509.MarshalPKIXPublicKey(is.Key.Public())
		must(t, err)
		k := c.open(opsRoom)
		if _, err := Approve(k, is.Key, then); err == nil {
			t.Errorf("the key %x approves a case", own[:8])
		}
	}
	_, err := v.client.Export(context.Background(), connect.NewRequest(&unwrapv1.ExportRequest{Case: c.open(opsRoom).Marshal()}))
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a case nobody approved: %v", err)
	}
	if touched.Load() != 0 {
		t.Error("a key was touched")
	}
}

// TestE17_UnwrapHoldsNoOtherRole: an unwrap service does not start where the key
// of another role lies in its directory.
func TestE17_UnwrapHoldsNoOtherRole(t *testing.T) {
	root, err := coi.NewCA("alpha.example", time.Now())
	must(t, err)
	cois, err := coi.NewCoIAuthority("alpha.example", time.Now())
	must(t, err)
	site := coi.Site{Name: "alpha.example", Roots: []*x509.Certificate{root.Cert}, CoIRoots: []*x509.Certificate{cois.Cert}}
	dir := filepath.Join(t.TempDir(), "unwrap")
	r, err := InitUnwrap(dir, RealmPlan{Site: "alpha.example", Bundle: site.PEM()})
	must(t, err)
	must(t, r.CheckApart())
	key, err := coi.EncodeKeyPEM(cois.Key)
	must(t, err)
	for _, name := range []string{"root.key", filepath.Join("keys", "finance.1.key")} {
		must(t, os.WriteFile(r.Path(name), key, fileMode))
		if err := r.CheckApart(); err == nil {
			t.Errorf("it starts with the CoI CA's key in %s", name)
		}
		must(t, os.Remove(r.Path(name)))
	}
	if _, err := OpenRealm(dir, RoleLookup); err == nil {
		t.Error("the directory serves two roles")
	}
}

// TestStatusClient: only "good" is good, and it is kept no longer than it says.
func TestStatusClient(t *testing.T) {
	c := &StatusClient{URL: map[string]string{"alpha.example": StatusNone}}
	v := newVault(t)
	alice := v.device("alice", "laptop")
	cert, err := x509.ParseCertificate(alice.chain[0])
	must(t, err)
	must(t, c.Check(context.Background(), cert, v.devices.Cert))
	c.URL = nil
	if err := c.Check(context.Background(), cert, v.devices.Cert); err == nil {
		t.Error("a site without a status service is good")
	}
	c.Keep = time.Hour
	c.keep([32]byte{1}, then, then.Add(time.Minute))
	if !c.kept([32]byte{1}, then.Add(59*time.Second)) || c.kept([32]byte{1}, then.Add(time.Minute)) {
		t.Error("a status is kept beyond its end, or not until then")
	}
}
