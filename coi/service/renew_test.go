package service

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"parley/coi"
)

// newRenewals watches certificates, and keeps what is logged.
func newRenewals(now func() time.Time, list ...*Renewal) (*Renewals, *bytes.Buffer) {
	var log bytes.Buffer
	r := &Renewals{Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: now}
	r.Add(list...)
	return r, &log
}

// looks makes two rounds and demands what they have logged, which is one line at
// most: a file that can not be used is told once.
func looks(t *testing.T, r *Renewals, log *bytes.Buffer, what, want string) {
	t.Helper()
	log.Reset()
	r.Look()
	r.Look()
	if got := log.String(); want == "" && got != "" || !strings.Contains(got, want) || strings.Count(got, "\n") > 1 {
		t.Errorf("%s: logged %q, want %q", what, got, want)
	}
}

// put writes a file as its administrator does.
func put(t *testing.T, path string, data []byte) {
	t.Helper()
	must(t, WriteFile(path, data))
}

func TestTheHTTPSCertificateIsRenewedWhileTheServiceRuns(t *testing.T) {
	home := t.TempDir()
	clock := time.Now()
	now := func() time.Time { return clock }
	site, err := InitDirectory(home+"/pki", Plan{Site: "alpha.example"}, clock)
	must(t, err)
	realm := newRealm(t, home, RoleLookup, site)
	h, err := realm.HTTPS(nil)
	must(t, err)
	r, log := newRenewals(now, h.Renewal())
	shown := func() *x509.Certificate {
		pair, err := h.Config().GetCertificate(nil)
		must(t, err)
		return pair.Leaf
	}
	first := shown()
	looks(t, r, log, "nothing has changed", "")

	root, err := site.Root("")
	must(t, err)
	certify := func(name string, at time.Time) []byte {
		csr, err := ReadRequest(realm.Path("tls.csr"))
		must(t, err)
		key, err := coi.ParseRequest(csr)
		must(t, err)
		cert, err := root.CertifyService(name, key, DefaultHosts(), at)
		must(t, err)
		return coi.EncodeCertificatesPEM(cert, root.Cert)
	}
	crt := realm.Path("tls.crt")
	good := certify("lookup", clock)
	for _, bad := range []struct {
		what, want string
		data       []byte
	}{
		{"cut off in the middle", "load HTTPS certificate", good[:len(good)/4]},
		{"of another role", "this is the directory of a service lookup", certify("unwrap", clock)},
		{"not in force yet", "new certificate not used", certify("lookup", clock.Add(48*time.Hour))},
		{"ended", "new certificate not used", certify("lookup", clock.Add(-5*365*24*time.Hour))},
	} {
		put(t, crt, bad.data)
		looks(t, r, log, bad.what, bad.want)
		if !shown().Equal(first) {
			t.Errorf("%s: it is shown", bad.what)
		}
	}
	must(t, os.Remove(crt))
	looks(t, r, log, "taken away", "has no HTTPS certificate yet")

	// Roles are as apart as at a start.
	key, err := os.ReadFile(home + "/pki/root.key")
	must(t, err)
	must(t, os.WriteFile(realm.Path("root.key"), key, 0o600))
	put(t, crt, good)
	looks(t, r, log, "with a key of another role beside it", "roles are not apart")
	must(t, os.Remove(realm.Path("root.key")))
	if !shown().Equal(first) {
		t.Error("it is shown although roles are not apart")
	}

	put(t, crt, good)
	looks(t, r, log, "a good one", "new certificate in use")
	second := shown()
	if second.Equal(first) {
		t.Fatal("the old certificate is still shown")
	}
	clock = second.NotAfter.Add(-second.NotAfter.Sub(second.NotBefore)/3 - time.Minute)
	looks(t, r, log, "a third of its life and a minute", "")
	clock = clock.Add(2 * time.Minute)
	looks(t, r, log, "less than a third", "certificate ends soon")
	looks(t, r, log, "told already", "")
	clock = clock.Add(endsEvery)
	looks(t, r, log, "half a day later", "certificate ends soon")
}

func TestAResponderIsRenewedWhileItAnswers(t *testing.T) {
	b := newBureau(t)
	cert := b.issue()
	r, log := newRenewals(b.now, b.o.Renewals()...)
	looks(t, r, log, "nothing has changed", "")
	b.clock = b.clock.Add(coi.ResponderLife - time.Hour)
	log.Reset()
	r.Look()
	if got := log.String(); strings.Count(got, "ends soon") != 2 || !strings.Contains(got, "responder of devices") {
		t.Errorf("an hour before their end: %s", got)
	}
	b.clock = b.clock.Add(2 * time.Hour)
	if _, err := b.ask(cert); err == nil {
		t.Fatal("a responder that has ended answers")
	}

	// One of another CA is not taken: nobody would believe it.
	csr, err := ReadRequest(b.ocsp.Path("coi", "responder.csr"))
	must(t, err)
	devices, err := b.dir.Issuer()
	must(t, err)
	other, err := devices.CertifyResponder(csr, b.clock)
	must(t, err)
	put(t, b.ocsp.Path("coi", "responder.crt"), coi.EncodeCertificatesPEM(other))
	log.Reset()
	r.Look()
	if got := log.String(); !strings.Contains(got, "new certificate not used") {
		t.Errorf("logged %s", got)
	}
	if _, err := b.ask(cert); err == nil {
		t.Fatal("a responder of another CA answers")
	}

	next, err := b.ca.CertifyResponder(csr, b.clock)
	must(t, err)
	put(t, b.ocsp.Path("coi", "responder.crt"), coi.EncodeCertificatesPEM(next))
	looks(t, r, log, "a new one", "new certificate in use")
	s, err := b.ask(cert)
	must(t, err)
	if s.State != coi.Good || !s.Certified[1].Equal(next.NotAfter) {
		t.Errorf("it is %s, by a certificate until %s", s.State, s.Certified[1])
	}
	// A copy of its key for another CA would be one key for two.
	key, err := os.ReadFile(b.ocsp.Path("coi", "responder.key"))
	must(t, err)
	put(t, b.ocsp.Path("devices", "responder.key"), key)
	log.Reset()
	r.Look()
	if got := log.String(); !strings.Contains(got, "roles are not apart") {
		t.Errorf("one key for two CAs: logged %q", got)
	}
}
