package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

const finance = "mimi://alpha.example/c/finance"

// coiKeys are the kinds of keys a CoI may have.
func coiKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, MinRSA)
	must(t, err)
	return map[string]crypto.Signer{"p256": p256, "p384": p384, "rsa": rsaKey}
}

// TestCheckCoIKeySaysWhatToChange: a refusal names what is wrong with the key.
func TestCheckCoIKeySaysWhatToChange(t *testing.T) {
	keys := coiKeys(t)
	weak := *keys["rsa"].Public().(*rsa.PublicKey)
	weak.E = 3
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
	for _, key := range keys {
		must(t, CheckCoIKey(key.Public()))
	}
	for text, key := range map[string]crypto.PublicKey{
		"exponent 3": &weak, "P-256 or P-384": p521.Public(), "make it EC": nil,
		"has 2 bits": &rsa.PublicKey{N: big.NewInt(3), E: minExponent},
	} {
		if err := CheckCoIKey(key); ReasonOf(err) != WrongKey || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want a wrong key: %s", err, text)
		}
	}
}

// withCoIs gives a realm a CoI CA.
func (r *realm) withCoIs(t testing.TB) *CA {
	t.Helper()
	ca, err := NewCoIAuthority(r.site.Name, then)
	must(t, err)
	r.site.CoIRoots = []*x509.Certificate{ca.Cert}
	return ca
}

// issueCoI makes a CoI certificate by way of a certification request.
func issueCoI(t testing.TB, ca *CA, key crypto.Signer, pq hpke.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := NewCoIRequest(key, pq)
	must(t, err)
	req, err := ParseCoIRequest(der)
	must(t, err)
	cert, err := ca.IssueCoI(Name{Purpose: CoI, Site: ca.Site, Local: "finance"}, CoIPlan{Request: req}, then)
	must(t, err)
	return cert
}

func TestVerifyCoI(t *testing.T) {
	alpha, beta := newRealm(t, "alpha.example"), newRealm(t, "beta.example")
	ca := alpha.withCoIs(t)
	beta.withCoIs(t)
	trust := newTrust(t, alpha.site, beta.site)
	pq, err := hpke.MLKEM768X25519().GenerateKey()
	must(t, err)
	for name, key := range coiKeys(t) {
		for _, public := range []hpke.PublicKey{nil, pq.PublicKey()} {
			cert := issueCoI(t, ca, key, public)
			for _, chain := range [][][]byte{Chain(cert), Chain(cert, ca.Cert)} {
				s, err := trust.VerifyCoI(chain, then)
				must(t, err)
				if s.URI != finance || s.Site != "alpha.example" || !s.Issuer.Equal(ca.Cert) || !s.NotAfter.Equal(cert.NotAfter) {
					t.Errorf("%s: subject %+v", name, s)
				}
			}
			carried, err := PostQuantumKey(cert)
			must(t, err)
			if (carried == nil) != (public == nil) || public != nil && string(carried.Bytes()) != string(public.Bytes()) {
				t.Errorf("%s: the X-Wing key does not come back", name)
			}
			if len(cert.SubjectKeyId) != 20 || cert.NotAfter.Sub(then) != CoILife {
				t.Errorf("%s: key identifier %x, until %s", name, cert.SubjectKeyId, cert.NotAfter)
			}
			for p := Device; p <= Service; p++ {
				if _, err := trust.Verify(Chain(cert), p, then); err == nil {
					t.Errorf("%s: a CoI certificate passes as a %s", name, p)
				}
			}
		}
	}
}

// FuzzParseCoIRequest reads certification requests of CoIs.
func FuzzParseCoIRequest(f *testing.F) {
	pq, err := hpke.MLKEM768X25519().GenerateKey()
	must(f, err)
	for _, key := range coiKeys(f) {
		der, err := NewCoIRequest(key, pq.PublicKey())
		must(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		req, err := ParseCoIRequest(der)
		if err != nil {
			return
		}
		if CheckCoIKey(req.Key) != nil {
			t.Errorf("a key of kind %T passes", req.Key)
		}
	})
}

// TestVerifyCoIRefuses: what the CoI CA did not make as IssueCoI makes it.
func TestVerifyCoIRefuses(t *testing.T) {
	alpha, beta := newRealm(t, "alpha.example"), newRealm(t, "beta.example")
	ca, foreign := alpha.withCoIs(t), beta.withCoIs(t)
	trust := newTrust(t, alpha.site, beta.site)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	good := issueCoI(t, ca, key, nil)
	by := func(ca *CA, uri string, edit func(*x509.Certificate)) [][]byte {
		name, err := ParseName(uri)
		must(t, err)
		c, err := leafTemplate(name, then)
		must(t, err)
		c.NotAfter, c.KeyUsage, c.SubjectKeyId = then.Add(time.Hour), x509.KeyUsageKeyAgreement, []byte("key")
		if edit != nil {
			edit(c)
		}
		cert, err := ca.sign(c, key.Public())
		must(t, err)
		return Chain(cert)
	}
	_, err = trust.VerifyCoI(by(ca, finance, nil), then)
	must(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	weak, err := leafTemplate(Name{Purpose: CoI, Site: "alpha.example", Local: "finance"}, then)
	must(t, err)
	weak.NotAfter, weak.KeyUsage, weak.SubjectKeyId = then.Add(time.Hour), x509.KeyUsageKeyEncipherment, []byte("key")
	weakCert, err := ca.sign(weak, small.Public())
	must(t, err)
	for _, c := range []struct {
		what  string
		chain [][]byte
		at    time.Time
		want  Reason
	}{
		{"nothing", nil, then, Malformed},
		{"a device", Chain(alpha.device(t, laptop)), then, WrongPurpose},
		{"made by the root of devices", by(alpha.root, finance, nil), then, Untrusted},
		{"made by the device CA", by(alpha.devices, finance, nil), then, Untrusted},
		{"made by the CoI root of another site", by(foreign, finance, nil), then, Untrusted},
		{"another site's CoI made by this one's root", by(ca, "mimi://beta.example/c/finance", nil), then, Untrusted},
		{"a site that is not known", by(ca, "mimi://gamma.example/c/finance", nil), then, UnknownSite},
		{"a key that signs", by(ca, finance, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }), then, WrongPurpose},
		{"a key for RSA's usage", by(ca, finance, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), then, WrongPurpose},
		{"a responder with a CoI's name", by(ca, finance, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} }), then, WrongPurpose},
		{"no key identifier", by(ca, finance, func(c *x509.Certificate) { c.SubjectKeyId = nil }), then, Malformed},
		{"RSA of 2048 bits", Chain(weakCert), then, WrongKey},
		{"two certificates above it", Chain(good, ca.Cert, ca.Cert, ca.Cert), then, TooLarge},
		{"expired", Chain(good), good.NotAfter.Add(time.Second), Expired},
		{"not yet valid", Chain(good), good.NotBefore.Add(-Skew - time.Second), NotYetValid},
		{"the CoI root", Chain(ca.Cert), then, BadName},
	} {
		if s, err := trust.VerifyCoI(c.chain, c.at); ReasonOf(err) != c.want || s != nil {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
}

// TestNewTrustKeepsCoIsApart: "a CoI root that is also root/intermediate of
// devices" is refused, however it gets there.
func TestNewTrustKeepsCoIsApart(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	ca := alpha.withCoIs(t)
	twin, err := caTemplate("alpha.example", "root CA", then)
	must(t, err)
	twin.NotAfter = then.Add(time.Hour)
	same := &CA{Site: "alpha.example", Cert: twin, Key: ca.Key}
	same.Cert, err = same.issue(twin, ca.Key.Public())
	must(t, err)
	at := func(edit func(*Site)) Site {
		s := alpha.site
		edit(&s)
		return s
	}
	community := Community{Name: finance, Lookup: "https://127.0.0.1:7446", Unwrap: []string{"https://127.0.0.1:7448"}}
	with := func(edit func(*Community)) Site {
		c := community
		edit(&c)
		return at(func(s *Site) { s.CoIs = []Community{c} })
	}
	newTrust(t, with(func(c *Community) { c.OCSP, c.Officer = "http://127.0.0.1:7447/coi", "mimi://alpha.example/u/carol" }))
	for what, c := range map[string]struct {
		site Site
		want Reason
	}{
		"the CoI root among roots":         {at(func(s *Site) { s.Roots = append(s.Roots[:1:1], ca.Cert) }), Untrusted},
		"the CoI root among intermediates": {at(func(s *Site) { s.Intermediates = append(s.Intermediates[:1:1], ca.Cert) }), Untrusted},
		"a root as CoI root":               {at(func(s *Site) { s.CoIRoots = s.Roots }), WrongPurpose},
		"one key for both":                 {at(func(s *Site) { s.Roots = []*x509.Certificate{same.Cert} }), Untrusted},
		"a device CA as CoI root":          {at(func(s *Site) { s.CoIRoots = s.Intermediates }), WrongPurpose},
		"a CoI of another site":            {with(func(c *Community) { c.Name = "mimi://beta.example/c/finance" }), BadName},
		"a CoI that is a device":           {with(func(c *Community) { c.Name = laptop }), BadName},
		"lookup in plain text":             {with(func(c *Community) { c.Lookup = "http://127.0.0.1" }), BadName},
		"unwrap in plain text":             {with(func(c *Community) { c.Unwrap = []string{"http://127.0.0.1"} }), BadName},
		"OCSP that is no URL":              {with(func(c *Community) { c.OCSP = "ocsp" }), BadName},
		"an officer who is a device":       {with(func(c *Community) { c.Officer = laptop }), BadName},
		"too many unwrap services":         {with(func(c *Community) { c.Unwrap = make([]string, MaxUnwraps+1) }), TooLarge},
		"a CoI twice":                      {at(func(s *Site) { s.CoIs = []Community{community, community} }), Malformed},
	} {
		if _, err := NewTrust(c.site); ReasonOf(err) != c.want {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

// TestBundlesCarryCoIs: what is handed to a peer says which root vouches for
// CoIs, and where their services are.
func TestBundlesCarryCoIs(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	alpha.withCoIs(t)
	alpha.site.CoIs = []Community{{Name: finance, Lookup: "https://127.0.0.1:7446", Unwrap: []string{"https://127.0.0.1:7448"}, Officer: "mimi://alpha.example/u/carol"}}
	site, err := ParseSitePEM(alpha.site.PEM(), "alpha.example")
	must(t, err)
	newTrust(t, site)
	if len(site.Roots) != 1 || len(site.Intermediates) != 1 || len(site.CoIRoots) != 1 || !site.CoIRoots[0].Equal(alpha.site.CoIRoots[0]) || !reflect.DeepEqual(site.CoIs, alpha.site.CoIs) {
		t.Errorf("%+v", site)
	}
	certs, err := ParseCertificatesPEM(alpha.site.PEM())
	must(t, err)
	if len(certs) != 3 {
		t.Errorf("%d certificates", len(certs))
	}
}

// TestBotsSayWhatTheyAre: "a device that no person holds: its certificate says
// so".
func TestBotsSayWhatTheyAre(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	trust := newTrust(t, alpha.site)
	name, err := ParseName("mimi://alpha.example/d/archiver/main")
	must(t, err)
	for bot, issue := range map[bool]func(Name, crypto.PublicKey, time.Time) (*x509.Certificate, error){
		true: alpha.devices.IssueBot, false: alpha.devices.IssueDevice,
	} {
		cert, err := issue(name, edKey(t).Public(), then)
		must(t, err)
		s, err := trust.Verify(Chain(cert), Device, then)
		must(t, err)
		if s.Bot != bot || !s.Issuer.Equal(alpha.devices.Cert) {
			t.Errorf("bot %v: subject %+v", bot, s)
		}
	}
	if _, err := alpha.devices.IssueBot(Name{Purpose: Device, Site: "beta.example", Local: "a", Device: "b"}, edKey(t).Public(), then); ReasonOf(err) != BadName {
		t.Errorf("a bot of another site: %v", err)
	}
}
