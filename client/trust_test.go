package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"
	"time"

	"parley/client"
	"parley/client/store"
	"parley/groups"
	"parley/mls/wire"
)

// A site that was joined to the trust after a device was enrolled is learned
// of when its first person appears, before the commit is called bad.
func TestPersonOfASiteThatIsNewHereIsLearned(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		beta := newHub(t, "beta.example")
		fetched := 0
		carol := &phone{t: t, h: h, store: store.NewMemory()}
		h.enrol("carol/laptop", carol.store)
		lost := &phone{t: t, h: h, store: store.NewMemory()}
		h.enrol("lost/laptop", lost.store)
		h.peers = append(h.peers, beta)
		h.trust = append(h.trust, beta.trust...)
		carol.fetch = func(_ context.Context, id client.Identity) (client.Identity, error) {
			fetched++
			id.Trust = h.trust
			return id, nil
		}
		carol.start()
		lost.start()
		alice := h.device("alice/laptop")
		alice.createRoom()
		alice.add("carol", "lost")
		h.set(func() {
			h.packages["mimi://beta.example/d/bob/laptop"] = beta.keyPackages("bob/laptop", 1)
		})
		time.Sleep(5 * time.Minute)
		alice.add("bob@beta.example")
		alice.say("all of us")
		settle()
		carol.shows("all of us")
		agree(alice, carol)
		if fetched == 0 {
			t.Error("nobody asked for trust")
		}
		if kinds := lost.alarms(); len(kinds) != 1 || kinds[0] != client.AlarmCommit {
			t.Errorf("who can not learn has alarms %v", kinds)
		}
		lost.shows("!sealed under a key that this device does not have")
	})
}

func TestDirectorySaysWhoseALeafIs(t *testing.T) {
	h := newHub(t, "alpha.example")
	s := store.NewMemory()
	h.enrol("alice/laptop", s)
	id := must(client.LoadIdentity(s))
	now := time.Now()
	key := must(h.coiTrust().Verify(id.Chain, 1, now)).Key.(ed25519.PublicKey)
	good := wire.X509Credential(id.Chain...)
	dir := client.Directory{Trust: h.coiTrust()}
	if d, err := dir.Device(good, key, now); err != nil || d != id.Device {
		t.Errorf("%s, %v", d, err)
	}
	other, _, _ := ed25519.GenerateKey(nil)
	foreign := newHub(t, "beta.example")
	for name, check := range map[string]func() (groups.DeviceID, error){
		"another key": func() (groups.DeviceID, error) { return dir.Device(good, other, now) },
		"too late":    func() (groups.DeviceID, error) { return dir.Device(good, key, now.Add(20*365*24*time.Hour)) },
		"another CA": func() (groups.DeviceID, error) {
			return client.Directory{Trust: foreign.coiTrust()}.Device(good, key, now)
		},
		"no chain":     func() (groups.DeviceID, error) { return dir.Device(wire.X509Credential(), key, now) },
		"unknown type": func() (groups.DeviceID, error) { return dir.Device(wire.Credential{CredentialType: 9}, key, now) },
		"no name":      func() (groups.DeviceID, error) { return dir.Device(wire.BasicCredential([]byte("x")), key, now) },
	} {
		if d, err := check(); err == nil {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestHeadsVerifyUnderTheirSitesCertificateOnly(t *testing.T) {
	h, foreign := newHub(t, "alpha.example"), newHub(t, "beta.example")
	now := time.Now
	v := client.NewHeadVerifier(h.coiTrust(), [][]byte{h.ordCert, foreign.ordCert, []byte("noise"), h.ca.Cert.Raw}, now)
	root := groups.HashOf([]byte("root"))
	sig := must(h.signer.SignHeads(root))
	signer := groups.Hash(sha256.Sum256(h.ordCert))
	if err := v.VerifyHeads("alpha.example", signer, root, sig); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another site":      v.VerifyHeads("beta.example", signer, root, sig),
		"another root":      v.VerifyHeads("alpha.example", signer, groups.HashOf(nil), sig),
		"an unknown signer": v.VerifyHeads("alpha.example", groups.Hash(sha256.Sum256(foreign.ordCert)), root, must(foreign.signer.SignHeads(root))),
		"a CA":              v.VerifyHeads("alpha.example", groups.Hash(sha256.Sum256(h.ca.Cert.Raw)), root, sig),
		"years later": client.NewHeadVerifier(h.coiTrust(), [][]byte{h.ordCert}, func() time.Time { return now().Add(30 * 365 * 24 * time.Hour) }).
			VerifyHeads("alpha.example", signer, root, sig),
	} {
		if groups.KindOf(err) != groups.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
}
