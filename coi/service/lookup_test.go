package service

import (
	"bytes"
	"context"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	lookupv1 "parley/api/lookup/v1"
	"parley/api/lookup/v1/lookupv1connect"
	"parley/coi"
)

// A window is a lookup service over a bureau, in tests. Its loops do not run:
// tests call load and staple.
type window struct {
	*bureau
	l      *Lookup
	client lookupv1connect.LookupServiceClient
}

func newWindow(t testing.TB) *window {
	t.Helper()
	w := &window{bureau: newBureau(t)}
	trust := func() (*coi.Trust, error) {
		own, err := w.dir.Own()
		must(t, err)
		return coi.NewTrust(own)
	}
	var err error
	w.l, err = NewLookup(LookupConfig{Site: "alpha.example", File: w.ca.realm.Path("cois.json"), Trust: trust, OCSP: w.url, Now: w.now})
	must(t, err)
	server := httptest.NewServer(w.l.Handler())
	t.Cleanup(server.Close)
	w.client = lookupv1connect.NewLookupServiceClient(server.Client(), server.URL)
	return w
}

func (w *window) look(names ...string) []*lookupv1.CoI {
	w.t.Helper()
	resp, err := w.client.Lookup(context.Background(), connect.NewRequest(&lookupv1.LookupRequest{Names: names}))
	must(w.t, err)
	return resp.Msg.Cois
}

// round is one round of both loops.
func (w *window) round() {
	w.t.Helper()
	must(w.t, w.l.load())
	w.l.staple(context.Background())
}

// shows checks what is shown of finance: whose certificates, which is active,
// what the staple says (0: there is none).
func (w *window) shows(what string, certs []*x509.Certificate, active int, states ...coi.State) {
	w.t.Helper()
	got := w.look(financeCoI)[0].Certificates
	if len(got) != len(certs) {
		w.t.Fatalf("%s: %d certificates, want %d", what, len(got), len(certs))
	}
	for i, c := range got {
		if !bytes.Equal(c.Chain[0], certs[i].Raw) || c.Active != (i == active) {
			w.t.Errorf("%s: certificate %d is another, or active is %v", what, i, c.Active)
		}
		var state coi.State
		if len(c.Status) > 0 {
			s, err := coi.CheckStatus(c.Status, certs[i], w.ca.CA.Cert, coi.StatusOptions{Now: w.clock})
			must(w.t, err)
			state = s.State
		}
		if state != states[i] {
			w.t.Errorf("%s: certificate %d has status %s, want %s", what, i, state, states[i])
		}
	}
}

// TestE19_LookupShowsPublicCertificates: "serves only public CoI certs": chains
// that verify under the CoI root, status stapled.
func TestE19_LookupShowsPublicCertificates(t *testing.T) {
	w := newWindow(t)
	if got := w.look(financeCoI, "mimi://beta.example/c/legal"); len(got) != 2 || len(got[0].Certificates) != 0 || got[1].Name != "mimi://beta.example/c/legal" {
		t.Errorf("before there is a certificate: %v", got)
	}
	first := w.issue()
	w.round()
	w.shows("one", []*x509.Certificate{first}, 0, coi.Good)
	w.clock = w.clock.Add(time.Minute)
	second := w.issue()
	w.round()
	w.shows("two", []*x509.Certificate{second, first}, 0, coi.Good, coi.Good)
	own, err := w.dir.Own()
	must(t, err)
	trust, err := coi.NewTrust(own)
	must(t, err)
	for _, c := range w.look(financeCoI)[0].Certificates {
		s, err := trust.VerifyCoI(c.Chain, w.clock)
		must(t, err)
		if s.URI != financeCoI {
			t.Errorf("a chain of %s", s.URI)
		}
	}
	names := make([]string, MaxLookup+1)
	if _, err := w.client.Lookup(context.Background(), connect.NewRequest(&lookupv1.LookupRequest{Names: names})); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("too many names: %v", err)
	}
}

// TestE19_LookupBelievesNobody: a list that was tampered with is not shown; the
// last good one stays.
func TestE19_LookupBelievesNobody(t *testing.T) {
	w := newWindow(t)
	cert := w.issue()
	w.round()
	file := w.ca.realm.Path("cois.json")
	good, err := os.ReadFile(file)
	must(t, err)
	stranger, err := coi.NewCoIAuthority("alpha.example", w.clock)
	must(t, err)
	key, err := coi.NewCoIKey("p256")
	must(t, err)
	name, err := coi.ParseName(financeCoI)
	must(t, err)
	rogue, err := stranger.IssueCoI(name, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}}, w.clock)
	must(t, err)
	swap := func(old, new string) []byte { return bytes.ReplaceAll(good, []byte(old), []byte(new)) }
	text := func(der []byte) string { return strings.Trim(mustJSON(t, der), `"`) }
	for what, list := range map[string][]byte{
		"another CA's certificate": swap(text(cert.Raw), text(rogue.Raw)),
		"another name":             swap(`/c/finance"`, `/c/legal"`),
		"another site":             swap(`"site": "alpha.example"`, `"site": "beta.example"`),
		"no list":                  []byte("hello"),
	} {
		if bytes.Equal(list, good) {
			t.Fatalf("%s: nothing was changed", what)
		}
		must(t, os.WriteFile(file, list, 0o600))
		if err := w.l.load(); err == nil {
			t.Errorf("%s: it is shown", what)
		}
		w.shows(what, []*x509.Certificate{cert}, 0, coi.Good)
		if p := w.l.Problems(); len(p) != 1 || !strings.Contains(p[0], "an old one is shown") {
			t.Errorf("%s: problems %q", what, p)
		}
		must(t, replace(file, append(bytes.Clone(good), ' ')))
		w.l.stamp = fileStamp{}
		must(t, w.l.load())
	}
}

// TestE25_ReplacementIsShownAtOnce: "revoked, immediate refetch from lookup, if
// the new cert is good, wrap continues": the revoked one is no longer active,
// its staple says revoked, and its replacement is there.
func TestE25_ReplacementIsShownAtOnce(t *testing.T) {
	w := newWindow(t)
	first := w.issue()
	w.round()
	_, err := w.ca.Revoke("finance", coi.KeyCompromise, w.clock)
	must(t, err)
	must(t, w.l.load())
	w.shows("revoked, and not asked yet", []*x509.Certificate{first}, -1, 0)
	w.l.staple(context.Background())
	w.shows("revoked", []*x509.Certificate{first}, -1, coi.Revoked)
	if p := w.l.Problems(); len(p) != 1 || !strings.Contains(p[0], "no active certificate") {
		t.Errorf("problems %q", p)
	}
	w.clock = w.clock.Add(time.Minute)
	second := w.issue()
	w.round()
	w.shows("replaced", []*x509.Certificate{second, first}, 0, coi.Good, coi.Revoked)
	if p := w.l.Problems(); len(p) != 0 {
		t.Errorf("problems %q", p)
	}
}

// TestE27_LookupStaplesNothingStale: "refreshed in the background, never served
// stale beyond nextUpdate: then none is served and readiness says so".
func TestE27_LookupStaplesNothingStale(t *testing.T) {
	w := newWindow(t)
	cert := w.issue()
	w.round()
	w.clock = w.clock.Add(DefaultRefresh - time.Second)
	if due := w.l.due(); len(due) != 0 {
		t.Errorf("asked for again after %s", DefaultRefresh-time.Second)
	}
	w.clock = w.clock.Add(time.Second)
	before := w.look(financeCoI)[0].Certificates[0].Status
	w.round()
	if bytes.Equal(before, w.look(financeCoI)[0].Certificates[0].Status) {
		t.Error("not asked for again when it was due")
	}
	// The responder goes away. What it said last serves until it ends.
	must(t, os.Rename(w.ca.realm.Path("revoked.jsonl"), w.ca.realm.Path("away")))
	w.clock = w.clock.Add(DefaultStatusLife - time.Second)
	w.round()
	w.shows("a second before its end", []*x509.Certificate{cert}, 0, coi.Good)
	w.clock = w.clock.Add(time.Second)
	w.round()
	w.shows("at its end", []*x509.Certificate{cert}, 0, 0)
	if p := w.l.Problems(); len(p) != 1 || !strings.Contains(p[0], "no status is shown") {
		t.Errorf("problems %q", p)
	}
	// It comes back.
	must(t, os.Rename(w.ca.realm.Path("away"), w.ca.realm.Path("revoked.jsonl")))
	w.clock = w.clock.Add(retryStatus)
	w.round()
	w.shows("back again", []*x509.Certificate{cert}, 0, coi.Good)
}

// TestLookupActiveEnds: a certificate that has ended is not active, whatever
// the list says.
func TestLookupActiveEnds(t *testing.T) {
	w := newWindow(t)
	cert := w.issue()
	w.round()
	w.clock = cert.NotAfter.Add(time.Second)
	if c := w.look(financeCoI)[0].Certificates[0]; c.Active || len(c.Status) > 0 {
		t.Errorf("after its end: active %v, status of %d bytes", c.Active, len(c.Status))
	}
	w.l.stamp = fileStamp{}
	must(t, w.l.load())
	if len(w.look(financeCoI)[0].Certificates) != 1 {
		t.Error("after its end it is not shown at all")
	}
}

// TestLookupRuns: the loops end with their context, and had done their work.
func TestLookupRuns(t *testing.T) {
	w := newWindow(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.l.Run(ctx); close(done) }()
	w.issue()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c := w.look(financeCoI)[0].Certificates; len(c) == 1 && len(c[0].Status) > 0 {
			break
		}
	}
	if c := w.look(financeCoI)[0].Certificates; len(c) != 1 || len(c[0].Status) == 0 {
		t.Errorf("not shown with a status: %v", c)
	}
	cancel()
	<-done
}

func mustJSON(t testing.TB, der []byte) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "x")
	must(t, appendLine(out, der))
	data, err := os.ReadFile(out)
	must(t, err)
	return strings.TrimSpace(string(data))
}
