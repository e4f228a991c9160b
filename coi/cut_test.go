package coi

import (
	"bytes"
	"crypto"
	"reflect"
	"testing"
	"time"
)

const (
	archiver = "mimi://alpha.example/d/archiver/main"
	indexer  = "mimi://alpha.example/d/indexer/main"
	cutFrom  = "mimi://alpha.example/c/finance"
)

// A cutter is an unwrap service that says who is cut off.
type cutter struct {
	key   crypto.Signer
	chain [][]byte
	says  Cuts
}

func newCutter(t testing.TB, r *realm, name string) *cutter {
	t.Helper()
	is, err := r.root.IssueService(name, nil, then)
	must(t, err)
	return &cutter{key: is.Key, chain: Chain(is.Cert), says: Cuts{
		Service: "mimi://" + r.site.Name + "/s/" + name, CoI: cutFrom, Time: then, Nonce: [CutNonce]byte{1, 2, 3},
		List: []Cut{{indexer, then.Add(-time.Hour)}, {archiver, then.Add(-time.Minute)}},
	}}
}

func (c *cutter) sign(t testing.TB) []byte {
	t.Helper()
	signed, err := c.says.Sign(c.key, c.chain)
	must(t, err)
	return signed
}

// A statement is believed if it is by an unwrap service of the CoI's own site,
// fresh, and to the question; and in no other case.
func TestStatementAboutCutsIsBelievedOfTheRightServiceOnly(t *testing.T) {
	alpha, beta := newRealm(t, "alpha.example"), newRealm(t, "beta.example")
	trust := newTrust(t, alpha.site, beta.site)
	right := newCutter(t, alpha, "unwrap2")
	signed := right.sign(t)
	got, err := trust.VerifyCuts(signed, CutOptions{Now: then.Add(time.Minute), MaxAge: time.Minute, CoI: cutFrom, Nonce: right.says.Nonce[:]})
	must(t, err)
	if want := (&Cuts{right.says.Service, cutFrom, then, right.says.Nonce, []Cut{{archiver, then.Add(-time.Minute)}, {indexer, then.Add(-time.Hour)}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		change func(*cutter)
		o      CutOptions
		want   Reason
	}{
		"too old":               {nil, CutOptions{Now: then.Add(2 * time.Minute)}, Stale},
		"from the future":       {nil, CutOptions{Now: then.Add(-Skew - time.Second)}, Stale},
		"another question":      {nil, CutOptions{Nonce: make([]byte, CutNonce)}, Mismatch},
		"another CoI":           {nil, CutOptions{CoI: "mimi://alpha.example/c/legal"}, Mismatch},
		"of a foreign CoI":      {func(c *cutter) { c.says.CoI = "mimi://beta.example/c/legal" }, CutOptions{}, WrongPurpose},
		"of no CoI":             {func(c *cutter) { c.says.CoI = archiver }, CutOptions{}, BadName},
		"in another's name":     {func(c *cutter) { c.says.Service = "mimi://alpha.example/s/unwrap" }, CutOptions{}, WrongPurpose},
		"by the lookup service": {func(c *cutter) { *c = *newCutter(t, alpha, "lookup") }, CutOptions{}, WrongPurpose},
		"by another site":       {func(c *cutter) { *c = *newCutter(t, beta, "unwrap") }, CutOptions{}, WrongPurpose},
		"by a gateway": {func(c *cutter) {
			is, err := alpha.root.IssueNode("a1", nil, then)
			must(t, err)
			c.key, c.chain = is.Key, Chain(is.Cert)
		}, CutOptions{}, WrongPurpose},
		"by a device": {func(c *cutter) { c.chain = Chain(alpha.device(t, archiver)) }, CutOptions{}, WrongPurpose},
		"by a stranger": {func(c *cutter) {
			*c = *newCutter(t, newRealm(t, "alpha.example"), "unwrap")
		}, CutOptions{}, Untrusted},
		"with another key": {func(c *cutter) { c.key = edKey(t) }, CutOptions{}, BadSignature},
		"not a device":     {func(c *cutter) { c.says.List[0].Device = cutFrom }, CutOptions{}, BadName},
		"twice the same":   {func(c *cutter) { c.says.List[0] = c.says.List[1] }, CutOptions{}, Malformed},
	} {
		w := newCutter(t, alpha, "unwrap2")
		if c.change != nil {
			c.change(w)
		}
		if c.o.Now.IsZero() {
			c.o.Now = then
		}
		c.o.MaxAge = time.Minute
		if _, err := trust.VerifyCuts(w.sign(t), c.o); ReasonOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for i := range signed { // of a good one, every byte counts
		forged := bytes.Clone(signed)
		forged[i] ^= 1
		if _, err := trust.VerifyCuts(forged, CutOptions{Now: then, MaxAge: time.Minute}); err == nil {
			t.Fatalf("byte %d may be another", i)
		}
	}
}

// An unwrap service can not put people out of their rooms: only bots are cut off,
// only where the room names its CoI, and not by what was true long ago.
func TestOnlyBotsAreCutOffAndOnlyWhereTheRoomNamesTheCoI(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	trust := newTrust(t, alpha.site)
	service := newCutter(t, alpha, "unwrap")
	name, err := ParseName(archiver)
	must(t, err)
	cert, err := alpha.devices.IssueBot(name, edKey(t).Public(), then)
	must(t, err)
	bot, person := Chain(cert), Chain(alpha.device(t, archiver))
	signed := service.sign(t)
	must(t, trust.VerifyCutOff(bot, signed, []string{"mimi://alpha.example/c/a", cutFrom}, then.Add(OustAge)))
	service.says.List = service.says.List[1:] // without the archiver
	for why, err := range map[string]error{
		"a person":              trust.VerifyCutOff(person, signed, []string{cutFrom}, then),
		"a room without CoIs":   trust.VerifyCutOff(bot, signed, nil, then),
		"a room of others":      trust.VerifyCutOff(bot, signed, []string{"mimi://alpha.example/c/a"}, then),
		"long ago":              trust.VerifyCutOff(bot, signed, []string{cutFrom}, then.Add(OustAge+time.Second)),
		"another bot":           trust.VerifyCutOff(bot, service.sign(t), []string{cutFrom}, then),
		"nothing that is known": trust.VerifyCutOff(bot, []byte("cut"), []string{cutFrom}, then),
	} {
		if err == nil {
			t.Errorf("%s: it is cut off", why)
		}
	}
}

// Whoever shows a fresh answer of the device CA's responder shows that a device is
// revoked; "good" and "unknown" show nothing, nor does what another CA says.
func TestRevocationIsShownByTheDeviceCA(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	trust := newTrust(t, alpha.site)
	cert := alpha.device(t, archiver)
	answer := func(ca *CA, state State, at time.Time) []byte {
		key, err := NewResponderKey()
		must(t, err)
		signer, err := ca.IssueResponder(key.Public(), then)
		must(t, err)
		id, err := NewCertID(cert.SerialNumber, alpha.devices.Cert, crypto.SHA256)
		must(t, err)
		r := &Responder{Issuer: ca.Cert, Cert: signer, Key: key}
		out, err := r.SignStatus([]Answer{{ID: id, State: state, RevokedAt: then.Add(-time.Hour)}}, Validity{at, at.Add(time.Hour)}, nil)
		must(t, err)
		return out
	}
	must(t, trust.VerifyRevoked(Chain(cert), answer(alpha.devices, Revoked, then), then.Add(OustAge)))
	for why, response := range map[string][]byte{
		"good": answer(alpha.devices, Good, then), "unknown": answer(alpha.devices, Unknown, then),
		"old": answer(alpha.devices, Revoked, then.Add(-OustAge-time.Second)), "by the root": answer(alpha.root, Revoked, then), "none": nil,
	} {
		if trust.VerifyRevoked(Chain(cert), response, then) == nil {
			t.Errorf("%s: the device counts as revoked", why)
		}
	}
}

func FuzzVerifyCuts(f *testing.F) {
	alpha := newRealm(f, "alpha.example")
	trust := newTrust(f, alpha.site)
	c := newCutter(f, alpha, "unwrap")
	good, err := parseSignedCuts(c.sign(f))
	must(f, err)
	seed, err := good.marshal()
	must(f, err)
	f.Add(seed)
	f.Add([]byte{0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseSignedCuts(b); err == nil {
			if again, err := s.marshal(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%x is written as %x: %v", b, again, err)
			}
			if c, err := parseCuts(s.statement); err == nil {
				if again, err := c.marshal(); err != nil || !bytes.Equal(again, s.statement) {
					t.Errorf("%x is written as %x: %v", s.statement, again, err)
				}
			}
		}
		got, err := trust.VerifyCuts(b, CutOptions{Now: then, MaxAge: time.Minute})
		if err != nil {
			return
		}
		if forged, err := got.marshal(); err != nil || !bytes.Equal(forged, good.statement) {
			t.Errorf("a forged statement is believed: %+v", got)
		}
	})
}
