package service

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/coi"
)

// A bureau is a CoI CA and an OCSP responder for it and for the device CA, in
// tests, with a clock moved by hand.
type bureau struct {
	t     testing.TB
	dir   *Directory // of the site's PKI
	ca    *Authority
	ocsp  *Realm
	o     *OCSP
	url   string
	clock time.Time
}

const financeCoI = "mimi://alpha.example/c/finance"

func newBureau(t testing.TB) *bureau {
	t.Helper()
	b := &bureau{t: t, clock: time.Now().UTC().Truncate(time.Second)}
	home := t.TempDir()
	var err error
	b.dir, err = InitDirectory(filepath.Join(home, "pki"), Plan{Site: "alpha.example"}, b.clock)
	must(t, err)
	b.ca, err = InitAuthority(filepath.Join(home, "coi"), AuthorityPlan{Site: "alpha.example"}, b.clock)
	must(t, err)
	must(t, b.dir.SetCoI(b.ca.CA.Cert, coi.Community{Name: financeCoI, Lookup: "https://127.0.0.1:7445", Unwrap: []string{"https://127.0.0.1:7446"}}))
	b.ocsp, err = InitRealm(filepath.Join(home, "ocsp"), RealmPlan{Role: RoleOCSP, Site: "alpha.example", Bundle: b.bundle()})
	must(t, err)
	b.add("coi", b.ca.realm.Path(), b.ca.Issuer)
	devices, err := b.dir.Issuer()
	must(t, err)
	b.add("devices", b.dir.Path(), devices)
	b.start()
	return b
}

func (b *bureau) bundle() []byte {
	own, err := b.dir.Own()
	must(b.t, err)
	return own.PEM()
}

func (b *bureau) add(name, from string, ca *Issuer) {
	b.t.Helper()
	file, err := b.ocsp.AddOCSP(name, CADirectory(from))
	must(b.t, err)
	csr, err := ReadRequest(file)
	must(b.t, err)
	cert, err := ca.CertifyResponder(csr, b.clock)
	must(b.t, err)
	must(b.t, create(b.ocsp.Path(name, "responder.crt"), coi.EncodeCertificatesPEM(cert)))
}

func (b *bureau) now() time.Time { return b.clock }

func (b *bureau) start() {
	b.t.Helper()
	must(b.t, b.ocsp.CheckApart())
	c, err := b.ocsp.OCSPConfig()
	must(b.t, err)
	c.Now = b.now
	b.o, err = NewOCSP(c)
	must(b.t, err)
	server := httptest.NewServer(b.o.Handler())
	b.t.Cleanup(server.Close)
	b.url = server.URL
}

// issue certifies a new key of finance.
func (b *bureau) issue() *x509.Certificate {
	b.t.Helper()
	key, err := coi.NewCoIKey("p256")
	must(b.t, err)
	name, err := coi.ParseName(financeCoI)
	must(b.t, err)
	cert, err := b.ca.Issue(name, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}}, b.clock)
	must(b.t, err)
	return cert
}

// unrecorded is a certificate of the CoI CA that is not on record.
func (b *bureau) unrecorded() *x509.Certificate {
	b.t.Helper()
	key, err := coi.NewCoIKey("p256")
	must(b.t, err)
	name, err := coi.ParseName(financeCoI)
	must(b.t, err)
	cert, err := b.ca.CA.IssueCoI(name, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}}, b.clock)
	must(b.t, err)
	return cert
}

func (b *bureau) ask(cert *x509.Certificate) (coi.Status, error) {
	_, s, err := AskStatus(context.Background(), http.DefaultClient, StatusQuestion{URL: b.url, Cert: cert, Issuer: b.ca.CA.Cert, Now: b.now})
	return s, err
}

func (b *bureau) want(cert *x509.Certificate, state coi.State) {
	b.t.Helper()
	s, err := b.ask(cert)
	if err != nil || s.State != state {
		b.t.Errorf("status %s, %v, want %s", s.State, err, state)
	}
}

// TestE24_ARevocationIsKnownAtOnce: "status is checked in real time": the first
// question after Revoke returns is answered with revoked.
func TestE24_ARevocationIsKnownAtOnce(t *testing.T) {
	b := newBureau(t)
	first, second := b.issue(), b.issue()
	b.want(first, coi.Good)
	b.want(second, coi.Good)
	b.want(b.unrecorded(), coi.Unknown)
	revoked, err := b.ca.Revoke(first.SerialNumber.Text(16), coi.KeyCompromise, b.clock)
	must(t, err)
	if len(revoked) != 1 || revoked[0].Name != financeCoI {
		t.Errorf("revoked %+v", revoked)
	}
	b.want(first, coi.Revoked)
	b.want(second, coi.Good)
	s, err := b.ask(first)
	must(t, err)
	if s.Why != coi.KeyCompromise || !s.RevokedAt.Equal(b.clock) {
		t.Errorf("%+v", s)
	}
	// The list of revocations says the same.
	resp, err := http.Get(b.url + "/crl/coi")
	must(t, err)
	defer resp.Body.Close()
	crl, err := io.ReadAll(resp.Body)
	must(t, err)
	for cert, state := range map[*x509.Certificate]coi.State{first: coi.Revoked, second: coi.Good} {
		if s, err := coi.CheckCRL(crl, cert, b.ca.CA.Cert, b.clock); err != nil || s.State != state {
			t.Errorf("the list says %s, %v, want %s", s.State, err, state)
		}
	}
	// A responder that starts anew knows it too.
	b.start()
	b.want(first, coi.Revoked)
}

// TestE27_WithoutRecordsNoAnswer: without the record of revocations, or with one
// that has lost lines, nothing is good.
func TestE27_WithoutRecordsNoAnswer(t *testing.T) {
	b := newBureau(t)
	first, second := b.issue(), b.issue()
	_, err := b.ca.Revoke(first.SerialNumber.Text(16), coi.Unspecified, b.clock)
	must(t, err)
	b.want(second, coi.Good)
	file := b.ca.realm.Path("revoked.jsonl")
	whole, err := os.ReadFile(file)
	must(t, err)
	for what, spoil := range map[string]func() error{
		"gone":         func() error { return os.Remove(file) },
		"cut":          func() error { return os.WriteFile(file, nil, 0o600) },
		"another line": func() error { return os.WriteFile(file, append(whole[:len(whole):len(whole)], "{}x\n"...), 0o600) },
	} {
		must(t, os.WriteFile(file, whole, 0o600))
		b.start()
		b.want(second, coi.Good)
		must(t, spoil())
		for _, cert := range []*x509.Certificate{first, second} {
			if s, err := b.ask(cert); coi.ReasonOf(err) != coi.Unanswered {
				t.Errorf("%s: status %s, %v", what, s.State, err)
			}
		}
		resp, err := http.Get(b.url + "/ready")
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: /ready says %s", what, resp.Status)
		}
	}
}

func post(t testing.TB, url string, body []byte) (int, []byte) {
	t.Helper()
	resp, err := http.Post(url, ocspRequestType, bytes.NewReader(body))
	must(t, err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, out
}

// TestOCSPOverHTTP: RFC 6960, Appendix A: GET and POST; RFC 9654: the nonce of
// the request stands in the response.
func TestOCSPOverHTTP(t *testing.T) {
	b := newBureau(t)
	cert := b.issue()
	issuer := b.ca.CA.Cert
	for n := range 40 { // so that base64 has '/' and '+' in it
		nonce := make([]byte, 1+n)
		rand.Read(nonce)
		der, err := coi.NewStatusRequest(cert, issuer, nonce)
		must(t, err)
		path := url.PathEscape(base64.StdEncoding.EncodeToString(der))
		resp, err := http.Get(b.url + "/" + path)
		must(t, err)
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		must(t, err)
		_, posted := post(t, b.url, der)
		for _, answer := range [][]byte{got, posted} {
			if _, err := coi.CheckStatus(answer, cert, issuer, coi.StatusOptions{Now: b.clock, Nonce: nonce}); err != nil {
				t.Fatalf("nonce of %d bytes: %v", len(nonce), err)
			}
		}
	}
	own, err := b.dir.Own()
	must(t, err)
	foreign, err := coi.NewStatusRequest(cert, own.Roots[0], nil)
	must(t, err)
	if _, answer := post(t, b.url, foreign); !bytes.Equal(answer, coi.StatusUnauthorized.Refusal()) {
		t.Errorf("another CA's certificate: %x", answer)
	}
	if _, answer := post(t, b.url, []byte("hello")); !bytes.Equal(answer, coi.StatusMalformed.Refusal()) {
		t.Errorf("no request: %x", answer)
	}
	if code, _ := post(t, b.url, make([]byte, coi.MaxStatusRequest+1)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large request: %d", code)
	}
	for path, want := range map[string]int{"/": 404, "/%zz": 400, "/hello!": 404, "/crl/none": 404, "/ready": 200} {
		resp, err := http.DefaultClient.Do(&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: strings.TrimPrefix(b.url, "http://"), Opaque: path}})
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, resp.Status, want)
		}
	}
	resp, err := http.Post(b.url, "text/plain", strings.NewReader("hello"))
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text: %s", resp.Status)
	}
}

// TestOCSPAnswersForDevices: two CAs, two responder certificates, one process;
// a request over both is refused.
func TestOCSPAnswersForDevices(t *testing.T) {
	b := newBureau(t)
	devices, err := b.dir.Issuer()
	must(t, err)
	name, err := coi.ParseName("mimi://alpha.example/d/alice/laptop")
	must(t, err)
	cert, err := devices.CA.IssueDevice(name, newKey(t).Public(), b.clock)
	must(t, err)
	log, err := OpenLog(b.dir.Path("issued.jsonl"))
	must(t, err)
	must(t, log.append(newRecord(cert, &Use{Device: name.URI(), Key: keyID(cert.RawSubjectPublicKeyInfo), At: b.clock}, "")))
	defer log.Close() // revoking does not need the enrolment service to stop
	ask := func() coi.State {
		_, s, err := AskStatus(context.Background(), http.DefaultClient, StatusQuestion{URL: b.url, Cert: cert, Issuer: devices.CA.Cert, Now: b.now})
		must(t, err)
		return s.State
	}
	if s := ask(); s != coi.Good {
		t.Errorf("status %s", s)
	}
	for _, what := range []string{"bob/laptop", "alice/phone", "mimi://alpha.example/u/bob", "finance", ""} {
		if _, err := devices.Revoke(what, coi.Unspecified, b.clock); err == nil {
			t.Errorf("%q is revoked", what)
		}
	}
	revoked, err := devices.Revoke("mimi://alpha.example/u/alice", coi.AffiliationChanged, b.clock)
	must(t, err)
	if again, err := devices.Revoke("alice/laptop", coi.Unspecified, b.clock); err != nil || len(revoked) != 1 || len(again) != 0 {
		t.Errorf("revoked %v, then %v, %v", revoked, again, err)
	}
	if s := ask(); s != coi.Revoked {
		t.Errorf("status %s", s)
	}
	both := &coi.StatusRequest{}
	for _, c := range []struct {
		cert *x509.Certificate
		ca   *Issuer
	}{{cert, devices}, {b.issue(), b.ca.Issuer}} {
		id, err := coi.NewCertID(c.cert.SerialNumber, c.ca.CA.Cert, 5)
		must(t, err)
		both.Certs = append(both.Certs, id)
	}
	der, err := both.Marshal()
	must(t, err)
	if _, answer := post(t, b.url, der); !bytes.Equal(answer, coi.StatusUnauthorized.Refusal()) {
		t.Errorf("certificates of two CAs: %x", answer)
	}
}

// TestOCSPResponderEnds: no answer is signed that nobody would believe, and
// none outlives the responder's certificate.
func TestOCSPResponderEnds(t *testing.T) {
	b := newBureau(t)
	cert := b.issue()
	end := b.o.cas[0].Responder.Cert.NotAfter
	b.clock = end.Add(-time.Minute)
	s, err := b.ask(cert)
	must(t, err)
	if !s.NextUpdate.Equal(end) {
		t.Errorf("an answer until %s, the responder ends %s", s.NextUpdate, end)
	}
	if problems := b.o.Problems(); len(problems) == 0 || !strings.Contains(problems[0], "must be renewed") {
		t.Errorf("problems %q", problems)
	}
	b.clock = end.Add(time.Minute)
	if _, err := b.ask(cert); coi.ReasonOf(err) != coi.Unanswered {
		t.Errorf("after its end: %v", err)
	}
}

// openssl runs the program; where it is not there the test is skipped, loudly,
// and fails in CI.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("openssl is not on PATH: in CI it has to agree with the OCSP responder")
	}
	if err != nil {
		t.Skip("SKIPPED: openssl is not on PATH, so nothing was compared with it")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestOpenSSLAgrees: good, revoked, unknown, with and without nonce, by SHA-1
// and SHA-256.
func TestOpenSSLAgrees(t *testing.T) {
	b := newBureau(t)
	home := t.TempDir()
	root := b.ca.realm.Path("root.crt")
	good, bad, unknown := b.issue(), b.issue(), b.unrecorded()
	_, err := b.ca.Revoke(bad.SerialNumber.Text(16), coi.Superseded, b.clock)
	must(t, err)
	for what, cert := range map[string]*x509.Certificate{"good": good, "revoked": bad, "unknown": unknown} {
		file := filepath.Join(home, what+".crt")
		must(t, os.WriteFile(file, coi.EncodeCertificatesPEM(cert), 0o600))
		for _, with := range [][]string{{"-nonce"}, {"-no_nonce"}} {
			for _, hash := range []string{"-sha1", "-sha256"} {
				args := append([]string{"ocsp", "-issuer", root, hash, "-cert", file, "-CAfile", root, "-url", b.url}, with...)
				out := openssl(t, args...)
				if !strings.Contains(out, "Response verify OK") || !strings.Contains(out, file+": "+what) || strings.Contains(out, "WARNING") {
					t.Errorf("%s %s %s:\n%s", what, hash, with, out)
				}
				if what == "revoked" && !strings.Contains(out, "Reason: superseded") {
					t.Errorf("no reason:\n%s", out)
				}
			}
		}
	}
	crl := openssl(t, "crl", "-inform", "DER", "-in", b.ca.realm.Path("crl.der"), "-CAfile", root, "-noout", "-text")
	if !strings.Contains(crl, "verify OK") || !strings.Contains(strings.ToLower(crl), strings.ToLower(bad.SerialNumber.Text(16))) {
		t.Errorf("the list of revocations:\n%s", crl)
	}
}
