package service

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/coi"
)

// inMemory is an HTTP transport to handlers by host; a host without one is down.
type inMemory map[string]http.Handler

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	h := m[r.URL.Host]
	if h == nil {
		return nil, errors.New("nobody is there")
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// TestS19_TheServiceLooksAtItsOwnCertificates: whatever is wrong with the
// certificate over a key that is held here is told to the administrator.
func TestS19_TheServiceLooksAtItsOwnCertificates(t *testing.T) {
	w := newWindow(t)
	unwrap := newRealm(t, t.TempDir(), RoleUnwrap, w.dir)
	hosts := inMemory{"lookup": w.l.Handler(), "ocsp": w.o.Handler()}
	told := []coi.Community{{Name: financeCoI, Lookup: "https://lookup", Unwrap: []string{"https://unwrap"}, OCSP: "https://ocsp"}}
	keys := &keyFiles{realm: unwrap}
	watch := &CertificateWatch{
		Site: "alpha.example", Keys: keys.ring, Now: w.now,
		Client: func(*coi.Trust) *http.Client { return &http.Client{Transport: hosts} },
		Trust: func() (*coi.Trust, error) {
			own, err := w.dir.Own()
			must(t, err)
			own.CoIs = told
			return coi.NewTrust(own)
		},
	}
	expect := func(what, want string) {
		t.Helper()
		problems := watch.Problems(context.Background())
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || !strings.Contains(problems[0], want)) {
			t.Errorf("%s: %q, want %q", what, problems, want)
		}
	}
	certify := func(k CoIKey, csr string) string {
		request, err := ReadRequest(csr)
		must(t, err)
		req, err := coi.ParseCoIRequest(request)
		must(t, err)
		name, err := coi.ParseName(financeCoI)
		must(t, err)
		w.clock = w.clock.Add(time.Second)
		cert, err := w.ca.Issue(name, coi.CoIPlan{Request: req}, w.clock)
		must(t, err)
		w.l.stamp = fileStamp{}
		w.round()
		return cert.SerialNumber.Text(16)
	}
	expect("no keys", "")
	first, csr, err := unwrap.MakeCoIKey(CoIKeyPlan{CoI: "finance", Kind: "p256"}, w.clock)
	must(t, err)
	expect("no certificate", "shows no certificate in use")
	serial := certify(first, csr)
	expect("as it should be", "")
	_, err = w.ca.Revoke(serial, coi.KeyCompromise, w.clock)
	must(t, err)
	w.l.config.OCSP = ""
	expect("revoked, and lookup does not know", "is revoked")
	w.issue() // over a key that is elsewhere
	w.l.stamp = fileStamp{}
	must(t, w.l.load())
	expect("another key in use", "its key is not here")
	certify(first, csr)
	expect("as it should be again", "")
	hosts["ocsp"] = nil
	expect("without its responder", "nobody is there")
	hosts["ocsp"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(coi.StatusTryLater.Refusal()) })
	expect("with a responder that says nothing", "try later")
	hosts["ocsp"], hosts["lookup"] = w.o.Handler(), nil
	expect("without lookup", "nobody is there")
	hosts["lookup"] = w.l.Handler()
	w.clock = w.clock.Add(8 * 24 * time.Hour)
	expect("ended", "shows no certificate in use")
	watch.Status = map[string]string{"alpha.example": "https://ocsp"}
	expect("devices are asked about", "shows no certificate in use")
	watch.Status["alpha.example"] = StatusNone
	if problems := watch.Problems(context.Background()); len(problems) != 2 || !strings.Contains(problems[0], "revoked devices of alpha.example") {
		t.Errorf("nobody is asked about devices: %q", problems)
	}
	watch.Status["alpha.example"] = StatusBundle
	expect("whom the trust bundle names", "shows no certificate in use")
	told = nil
	if problems := watch.Problems(context.Background()); len(problems) != 2 || !strings.Contains(problems[0], "names no responder") {
		t.Errorf("the trust bundle names nobody to ask about devices: %q", problems)
	}
	watch.Status["alpha.example"] = StatusNone // said so, and there is nobody
	expect("a CoI that the site does not name", "does not name it")
}

// TestS19_TheServiceLooksAtItsStartAndEachHour.
func TestS19_TheServiceLooksAtItsStartAndEachHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		watch := &CertificateWatch{
			Site: "alpha.example", Keys: func() (*KeyRing, error) { return NewKeyRing(), nil },
			Trust: func() (*coi.Trust, error) { rounds++; return nil, errors.New("not today") },
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { watch.Run(ctx); close(done) }()
		synctest.Wait()
		if rounds != 1 {
			t.Errorf("%d rounds at its start", rounds)
		}
		time.Sleep(24*time.Hour + time.Minute)
		if rounds != 25 {
			t.Errorf("%d rounds in a day", rounds)
		}
		cancel()
		<-done
	})
}
