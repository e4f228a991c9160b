package service

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	enrollv1 "parley/api/enroll/v1"
	"parley/api/enroll/v1/enrollv1connect"
	"parley/coi"
)

var then = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A desk is an enrolment service under test, with a clock moved by hand.
type desk struct {
	t      testing.TB
	dir    *Directory
	codes  *Codes
	log    *Log
	clock  time.Time
	server *httptest.Server
	client enrollv1connect.EnrollServiceClient
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	dir, err := InitDirectory(filepath.Join(t.TempDir(), "pki"), Plan{Site: "alpha.example", Nodes: []string{"a1"}}, then)
	must(t, err)
	must(t, os.Remove(dir.Path("root.key"))) // "enroll must not need root.key"
	d := &desk{t: t, dir: dir, clock: then}
	d.codes, err = dir.Codes()
	must(t, err)
	d.start()
	t.Cleanup(func() { d.stop() })
	return d
}

func (d *desk) start() {
	d.t.Helper()
	ca, err := d.dir.DeviceCA()
	must(d.t, err)
	d.log, err = OpenLog(d.dir.Path("issued.jsonl"))
	must(d.t, err)
	issuer, err := d.dir.Issuer()
	must(d.t, err)
	e, err := NewEnroll(Config{
		CA: ca, Codes: d.codes, Issued: d.log, Sites: d.dir.Sites, Revoked: issuer.Revocations(),
		Gateways: []string{"https://127.0.0.1:8443"}, Now: func() time.Time { return d.clock },
	})
	must(d.t, err)
	d.server = httptest.NewServer(e.Handler())
	d.client = enrollv1connect.NewEnrollServiceClient(d.server.Client(), d.server.URL)
}

func (d *desk) stop() {
	d.server.Close()
	must(d.t, d.log.Close())
}

func (d *desk) code(user, device string) Code {
	d.t.Helper()
	c, err := d.codes.New(Grant{User: user, Device: device, Created: d.clock, Expires: d.clock.Add(DefaultTTL)})
	must(d.t, err)
	return c
}

func (d *desk) enroll(code, device string, key crypto.Signer) (*enrollv1.EnrollResponse, error) {
	d.t.Helper()
	csr, err := coi.NewRequest(key)
	must(d.t, err)
	return d.send(&enrollv1.EnrollRequest{Code: code, Csr: csr, Device: device})
}

func (d *desk) send(m *enrollv1.EnrollRequest) (*enrollv1.EnrollResponse, error) {
	resp, err := d.client.Enroll(context.Background(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return resp.Msg, nil
}

func (d *desk) want(code connect.Code, words string) func(*enrollv1.EnrollResponse, error) {
	return func(r *enrollv1.EnrollResponse, err error) {
		d.t.Helper()
		if r != nil || connect.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
			d.t.Errorf("%v, want %s with %q", err, code, words)
		}
	}
}

func newKey(t testing.TB) crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

func TestEnroll(t *testing.T) {
	d := newDesk(t)
	key := newKey(t)
	resp, err := d.enroll(strings.ToLower(d.code("alice", "").String()), "laptop", key)
	must(t, err)
	if resp.Device != "mimi://alpha.example/d/alice/laptop" || resp.Trust.Gateways[0] != "https://127.0.0.1:8443" {
		t.Errorf("%v", resp)
	}
	var sites []coi.Site
	for _, s := range resp.Trust.Sites {
		site := coi.Site{Name: s.Site}
		for _, der := range s.Roots {
			ca, err := x509.ParseCertificate(der)
			must(t, err)
			site.Roots = append(site.Roots, ca)
		}
		sites = append(sites, site)
	}
	trust, err := coi.NewTrust(sites...)
	must(t, err)
	s, err := trust.Verify(resp.Chain, coi.Device, then)
	must(t, err)
	if !s.Key.(ed25519.PublicKey).Equal(key.Public()) || s.URI != resp.Device {
		t.Errorf("certificate is for %s with another key", s.URI)
	}
}

func TestEnrollRefuses(t *testing.T) {
	d := newDesk(t)
	free, bound := d.code("alice", ""), d.code("alice", "laptop")
	csr, err := coi.NewRequest(newKey(t))
	must(t, err)
	broken := append([]byte(nil), csr...)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		what  string
		m     *enrollv1.EnrollRequest
		code  connect.Code
		words string
	}{
		{"no code", &enrollv1.EnrollRequest{Csr: csr}, connect.CodeInvalidArgument, "16 letters"},
		{"a bad letter", &enrollv1.EnrollRequest{Code: "U", Csr: csr}, connect.CodeInvalidArgument, "does not occur"},
		{"an unknown code", &enrollv1.EnrollRequest{Code: NewCode().String(), Csr: csr, Device: "x"}, connect.CodePermissionDenied, "not known"},
		{"no request", &enrollv1.EnrollRequest{Code: free.String()}, connect.CodeInvalidArgument, "certification request"},
		{"a changed request", &enrollv1.EnrollRequest{Code: free.String(), Csr: broken}, connect.CodeInvalidArgument, "certification request"},
		{"a request too large", &enrollv1.EnrollRequest{Code: free.String(), Csr: make([]byte, coi.MaxRequest+1)}, connect.CodeInvalidArgument, "at most"},
		{"a message too large", &enrollv1.EnrollRequest{Csr: make([]byte, maxMessage)}, connect.CodeResourceExhausted, ""},
		{"no device name", &enrollv1.EnrollRequest{Code: free.String(), Csr: csr}, connect.CodeInvalidArgument, "name to you"},
		{"a bad device name", &enrollv1.EnrollRequest{Code: free.String(), Csr: csr, Device: "../root"}, connect.CodeInvalidArgument, "device name"},
		{"another device", &enrollv1.EnrollRequest{Code: bound.String(), Csr: csr, Device: "phone"}, connect.CodeInvalidArgument, "for the device laptop"},
	} {
		t.Run(c.what, func(t *testing.T) { d.want(c.code, c.words)(d.send(c.m)) })
	}
	for _, c := range []Code{free, bound} {
		if s, err := d.codes.find(c.ID()); err != nil || s.Use != nil {
			t.Errorf("a refused call spent the code: %v, %v", s, err)
		}
	}
	d.clock = then.Add(DefaultTTL + time.Second)
	d.want(connect.CodePermissionDenied, "the code ended")(d.enroll(bound.String(), "", newKey(t)))
}

// TestCodeIsSpentOnce: "single use atomically".
func TestCodeIsSpentOnce(t *testing.T) {
	d := newDesk(t)
	code := d.code("alice", "laptop")
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for range cap(won) {
		key := newKey(t)
		wg.Go(func() {
			if resp, err := d.enroll(code.String(), "", key); err == nil {
				won <- resp.Device
			} else if connect.CodeOf(err) != connect.CodePermissionDenied {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d of %d got a certificate for one code", len(won), cap(won))
	}
}

// TestRetryGetsTheSameCertificate: "retry with the same CSR within minutes
// returns the same certificate so that a lost reply is not fatal".
func TestRetryGetsTheSameCertificate(t *testing.T) {
	d := newDesk(t)
	key, code := newKey(t), d.code("alice", "")
	first, err := d.enroll(code.String(), "laptop", key)
	must(t, err)
	d.stop()
	d.start()
	d.clock = then.Add(RetryWindow)
	again, err := d.enroll(code.String(), "laptop", key)
	must(t, err)
	if string(again.Chain[0]) != string(first.Chain[0]) {
		t.Error("the retry got another certificate")
	}
	d.want(connect.CodePermissionDenied, "used already")(d.enroll(code.String(), "phone", key))
	d.want(connect.CodePermissionDenied, "used already")(d.enroll(code.String(), "laptop", newKey(t)))
	d.clock = then.Add(RetryWindow + time.Second)
	d.want(connect.CodePermissionDenied, "used already")(d.enroll(code.String(), "laptop", key))
	if n := d.lines(); n != 1 {
		t.Errorf("%d lines in the log, want 1", n)
	}
}

func (d *desk) lines() int {
	d.t.Helper()
	n := 0
	must(d.t, ReadLog(d.dir.Path("issued.jsonl"), func(Record) { n++ }))
	return n
}

// TestCrashWhileIssuing goes through the durable steps: each failed, and each
// was persisted although what follows it never ran.
func TestCrashWhileIssuing(t *testing.T) {
	for what, crash := range map[string]struct {
		at    func(d *desk, code Code)
		lines int // in the log before the device tries again
	}{
		"spending failed": {func(d *desk, code Code) {
			must(d.t, os.Remove(d.dir.Path("codes", code.ID()+".used")))
			must(d.t, os.WriteFile(d.dir.Path("codes", ".new-123"), []byte("{"), fileMode))
			must(d.t, os.Truncate(d.dir.Path("issued.jsonl"), 0))
		}, 0},
		"spent, logging failed":      {func(d *desk, code Code) { must(d.t, os.Truncate(d.dir.Path("issued.jsonl"), 0)) }, 1},
		"spent, half a line logged":  {func(d *desk, code Code) { must(d.t, os.Truncate(d.dir.Path("issued.jsonl"), 40)) }, 1},
		"spent and logged, no reply": {func(*desk, Code) {}, 1},
	} {
		t.Run(what, func(t *testing.T) {
			d := newDesk(t)
			key, code := newKey(t), d.code("alice", "laptop")
			first, err := d.enroll(code.String(), "", key)
			must(t, err)
			d.stop()
			crash.at(d, code)
			d.start()
			if n := d.lines(); n != crash.lines {
				t.Errorf("%d lines in the log after the restart, want %d", n, crash.lines)
			}
			again, err := d.enroll(code.String(), "", key)
			must(t, err)
			if same := string(again.Chain[0]) == string(first.Chain[0]); same != (crash.lines == 1) {
				t.Errorf("same certificate: %v", same)
			}
			if n := d.lines(); n != 1 {
				t.Errorf("%d lines in the log at the end, want 1", n)
			}
			d.want(connect.CodePermissionDenied, "used already")(d.enroll(code.String(), "", newKey(t)))
		})
	}
}

// TestDeviceName: "device name free or same key".
func TestDeviceName(t *testing.T) {
	d := newDesk(t)
	key := newKey(t)
	_, err := d.enroll(d.code("alice", "laptop").String(), "", key)
	must(t, err)
	thief := d.code("alice", "")
	d.want(connect.CodeAlreadyExists, "with another key")(d.enroll(thief.String(), "laptop", newKey(t)))
	if _, err := d.enroll(thief.String(), "phone", newKey(t)); err != nil {
		t.Errorf("the refused name spent the code: %v", err)
	}
	if _, err := d.enroll(d.code("alice", "laptop").String(), "", key); err != nil {
		t.Errorf("renewal with the same key: %v", err)
	}
	if _, err := d.enroll(d.code("alicia", "laptop").String(), "", newKey(t)); err != nil {
		t.Errorf("another person's laptop: %v", err)
	}
	d.clock = then.Add(coi.DeviceLife + time.Hour)
	if _, err := d.enroll(d.code("alice", "laptop").String(), "", newKey(t)); err != nil {
		t.Errorf("after the certificate ended the name is free: %v", err)
	}
}

func TestMaxDevices(t *testing.T) {
	d := newDesk(t)
	for i := range MaxDevices {
		must(t, d.log.append(Record{Serial: string(rune('a' + i)), Name: "mimi://alpha.example/d/alice/" + string(rune('a'+i)), NotAfter: then.Add(time.Hour)}))
	}
	code := d.code("alice", "one-more")
	d.want(connect.CodeFailedPrecondition, "most a person may have")(d.enroll(code.String(), "", newKey(t)))
	if _, err := d.enroll(d.code("alic", "laptop").String(), "", newKey(t)); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

// TestWrongCodesAreLimited: "wrong codes rate-limited".
func TestWrongCodesAreLimited(t *testing.T) {
	d := newDesk(t)
	good := d.code("alice", "laptop")
	for range guessBurst {
		d.want(connect.CodePermissionDenied, "not known")(d.enroll(NewCode().String(), "x", newKey(t)))
	}
	d.want(connect.CodeResourceExhausted, "too many wrong codes")(d.enroll(good.String(), "", newKey(t)))
	d.clock = d.clock.Add(guessEvery)
	if _, err := d.enroll(good.String(), "", newKey(t)); err != nil {
		t.Errorf("after a rest: %v", err)
	}
}

func TestOneServicePerDirectory(t *testing.T) {
	d := newDesk(t)
	if _, err := OpenLog(d.dir.Path("issued.jsonl")); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second service opens the log: %v", err)
	}
}

func TestTrustCallSeesNewPeers(t *testing.T) {
	d := newDesk(t)
	beta, err := InitDirectory(filepath.Join(t.TempDir(), "beta"), Plan{Site: "beta.example"}, then)
	must(t, err)
	own, err := beta.Own()
	must(t, err)
	must(t, d.dir.Trust(own))
	resp, err := d.client.Trust(context.Background(), connect.NewRequest(&enrollv1.TrustRequest{}))
	must(t, err)
	if s := resp.Msg.Sites; len(s) != 2 || s[0].Site != "alpha.example" || s[1].Site != "beta.example" || len(s[1].Intermediates) != 1 {
		t.Errorf("%v", s)
	}
}

func TestCodesAreForgotten(t *testing.T) {
	codes, err := OpenCodes(filepath.Join(t.TempDir(), "codes"))
	must(t, err)
	old, err := codes.New(Grant{User: "alice", Created: then, Expires: then.Add(time.Hour)})
	must(t, err)
	later := then.Add(time.Hour + codeMemory + time.Second)
	_, err = codes.New(Grant{User: "bob", Created: later, Expires: later.Add(time.Hour)})
	must(t, err)
	if _, err := codes.find(old.ID()); !errors.Is(err, ErrUnknownCode) {
		t.Errorf("still there: %v", err)
	}
	for _, g := range []Grant{{}, {User: "Alice"}, {User: "alice", Device: "a/b"}, {User: "alice", Created: then, Expires: then}, {User: "alice", Created: then, Expires: then.Add(MaxTTL + 1)}} {
		if _, err := codes.New(g); err == nil {
			t.Errorf("%+v gets a code", g)
		}
	}
}

// TestLogFailsWhileIssuing: the log can not be written, so nothing is given
// out; when it can again, the same certificate is.
func TestLogFailsWhileIssuing(t *testing.T) {
	d := newDesk(t)
	key, code := newKey(t), d.code("alice", "laptop")
	must(t, d.log.f.Close())
	d.want(connect.CodeInternal, "its log says which")(d.enroll(code.String(), "", key))
	s, err := d.codes.find(code.ID())
	must(t, err)
	d.server.Close()
	d.log.unlock()
	d.start()
	resp, err := d.enroll(code.String(), "", key)
	must(t, err)
	if string(resp.Chain[0]) != string(s.Use.Certificate) || d.lines() != 1 {
		t.Errorf("another certificate, or %d lines in the log", d.lines())
	}
}

// TestUnknownPathsAndMethods: everything but the calls is not found.
func TestUnknownPathsAndMethods(t *testing.T) {
	d := newDesk(t)
	for path, want := range map[string]int{"/": 404, "/parley.enroll.v1.EnrollService/": 404, enrollv1connect.EnrollServiceEnrollProcedure: 405} {
		resp, err := d.server.Client().Get(d.server.URL + path)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// TestTrustSaysWhereCoIsAre: devices learn CoI roots and endpoints from their
// own identity realm, not from a gateway.
func TestTrustSaysWhereCoIsAre(t *testing.T) {
	d := newDesk(t)
	ca, err := coi.NewCoIAuthority("alpha.example", then)
	must(t, err)
	want := coi.Community{
		Name: "mimi://alpha.example/c/finance", Lookup: "https://127.0.0.1:7445", Unwrap: []string{"https://127.0.0.1:7446"},
		OCSP: "https://127.0.0.1:7447", Officer: "mimi://alpha.example/u/carol",
	}
	must(t, d.dir.SetCoI(ca.Cert, want))
	resp, err := d.client.Trust(context.Background(), connect.NewRequest(&enrollv1.TrustRequest{}))
	must(t, err)
	s := resp.Msg.Sites[0]
	if len(s.CoiRoots) != 1 || string(s.CoiRoots[0]) != string(ca.Cert.Raw) || len(s.Roots) != 1 || len(s.Cois) != 1 {
		t.Fatalf("%d CoI roots, %d roots, %d CoIs", len(s.CoiRoots), len(s.Roots), len(s.Cois))
	}
	c := s.Cois[0]
	if got := (coi.Community{Name: c.Name, Lookup: c.Lookup, Unwrap: c.Unwrap, OCSP: c.Ocsp, Officer: c.Officer}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestBotsGetBotCertificates: a code of kind bot makes a certificate that says
// so, and no other code does.
func TestBotsGetBotCertificates(t *testing.T) {
	d := newDesk(t)
	own, err := d.dir.Own()
	must(t, err)
	trust, err := coi.NewTrust(own)
	must(t, err)
	for _, bot := range []bool{false, true} {
		code, err := d.codes.New(Grant{User: "archiver", Bot: bot, Created: d.clock, Expires: d.clock.Add(DefaultTTL)})
		must(t, err)
		resp, err := d.enroll(code.String(), map[bool]string{true: "main", false: "desk"}[bot], newKey(t))
		must(t, err)
		s, err := trust.Verify(resp.Chain, coi.Device, then)
		must(t, err)
		if s.Bot != bot {
			t.Errorf("bot %v: the certificate says %v", bot, s.Bot)
		}
	}
}

// TestRevokedDeviceComesBackWithAnotherKey: a revoked key gets no certificate
// again, and the name of a lost laptop is free for the next one.
func TestRevokedDeviceComesBackWithAnotherKey(t *testing.T) {
	d := newDesk(t)
	lost, found := newKey(t), newKey(t)
	_, err := d.enroll(d.code("alice", "laptop").String(), "", lost)
	must(t, err)
	issuer, err := d.dir.Issuer()
	must(t, err)
	d.want(connect.CodeAlreadyExists, "with another key")(d.enroll(d.code("alice", "laptop").String(), "", found))
	revoked, err := issuer.Revoke("alice/laptop", coi.KeyCompromise, d.clock)
	must(t, err)
	if len(revoked) != 1 {
		t.Fatalf("revoked %v", revoked)
	}
	d.clock = d.clock.Add(time.Hour)
	d.want(connect.CodeFailedPrecondition, "was revoked")(d.enroll(d.code("alice", "laptop").String(), "", lost))
	_, err = d.enroll(d.code("alice", "laptop").String(), "", found)
	must(t, err)
	must(t, os.Remove(d.dir.Path("revoked.jsonl")))
	d.want(connect.CodeInternal, "its log says which")(d.enroll(d.code("alice", "laptop").String(), "", found))
}
