package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"testing"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls/wire"
)

// A node believes a warrant only under the CAs it trusts: the statement of an
// unwrap service against a bot, in a room that names the CoI.
func TestANodeJudgesWarrantsUnderItsOwnTrust(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := coi.NewCA("alpha.example", now)
	must(err)
	devices, err := root.IssueIntermediate(now)
	must(err)
	trust, err := coi.NewTrust(coi.Site{Name: "alpha.example", Roots: []*x509.Certificate{root.Cert}, Intermediates: []*x509.Certificate{devices.Cert}})
	must(err)
	public, _, err := ed25519.GenerateKey(nil)
	must(err)
	name := coi.Name{Purpose: coi.Device, Site: "alpha.example", Local: "archiver", Device: "main"}
	bot, err := devices.IssueBot(name, public, now)
	must(err)
	service, err := root.IssueService("unwrap", nil, now)
	must(err)
	says := coi.Cuts{
		Service: "mimi://alpha.example/s/unwrap", CoI: "mimi://alpha.example/c/finance", Time: now, List: []coi.Cut{{Device: name.URI(), Since: now}},
	}
	proof, err := says.Sign(service.Key, coi.Chain(service.Cert))
	must(err)
	d := directory{&identity{trust: trust}}
	leaf, finance := wire.X509Credential(bot.Raw), []groups.CoI{{Name: "mimi://alpha.example/c/finance"}}
	w := groups.Warrant{Kind: groups.WarrantCut, Device: groups.DeviceID(name.URI()), Proof: proof}
	must(d.Ousts(&w, &leaf, finance, now))
	revoked, strange, forged := w, w, w
	revoked.Kind, strange.Kind = groups.WarrantRevoked, 9
	forged.Proof = append([]byte(nil), proof...)
	forged.Proof[len(forged.Proof)/2] ^= 1
	for why, err := range map[string]error{
		"a room of others": d.Ousts(&w, &leaf, nil, now), "long after": d.Ousts(&w, &leaf, finance, now.Add(time.Hour)),
		"of another kind": d.Ousts(&revoked, &leaf, finance, now), "of no kind": d.Ousts(&strange, &leaf, finance, now),
		"forged": d.Ousts(&forged, &leaf, finance, now),
	} {
		if groups.KindOf(err) != groups.Denied {
			t.Errorf("%s: %v, want denied", why, err)
		}
	}
}
