package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/client"
	"parley/coi"
	"parley/coi/service"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

const (
	caseCoI  = "mimi://alpha.example/c/finance"
	caseRoom = "mimi://alpha.example/r/ops"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A caseSite is a site with a CoI, a room of one member, and approvers.
type caseSite struct {
	t       *testing.T
	dir     string
	root    *coi.CA
	devices *coi.CA
	cois    *coi.CA
	trust   *coi.Trust
	held    service.HeldKey
	coiCert *x509.Certificate
	policy  groups.Policy

	id     mls.Identity
	group  *mls.Group
	ledger *groups.Ledger
	now    time.Time
	log    bytes.Buffer
}

// anybody lets every credential in.
type anybody struct{}

func (anybody) Validate(wire.Credential, []byte) error { return nil }
func (anybody) Succeeds(_, _ wire.Credential) error    { return nil }

func newCaseSite(t *testing.T) *caseSite {
	now := time.Now()
	s := &caseSite{t: t, dir: t.TempDir(), now: now}
	var err error
	s.root, err = coi.NewCA("alpha.example", now)
	check(t, err)
	s.devices, err = s.root.IssueIntermediate(now)
	check(t, err)
	s.cois, err = coi.NewCoIAuthority("alpha.example", now)
	check(t, err)
	site := coi.Site{Name: "alpha.example", Roots: []*x509.Certificate{s.root.Cert}, Intermediates: []*x509.Certificate{s.devices.Cert}, CoIRoots: []*x509.Certificate{s.cois.Cert}}
	s.trust, err = coi.NewTrust(site)
	check(t, err)
	s.write("alpha.pem", site.PEM())
	key, cert := s.coiKey("finance")
	s.coiCert = cert
	s.held, err = service.NewHeldKey(caseCoI, key.Public(), key)
	check(t, err)
	export, exportCert := s.coiKey("export")
	data, err := coi.EncodeCoIKeyPEM(export, nil)
	check(t, err)
	s.write("export.key", data)
	s.write("export.crt", coi.EncodeCertificatesPEM(exportCert))
	s.policy = groups.DefaultPolicy("mimi://alpha.example/u/alice")
	s.policy.CoIs = []groups.CoI{{Name: caseCoI, Root: sha256.Sum256(s.cois.Cert.Raw), Lookup: "https://127.0.0.1:1", Unwrap: []string{"https://127.0.0.1:2"}, Officer: "mimi://alpha.example/u/carol"}}
	s.policy.Cases.Threshold = 2
	return s
}

func (s *caseSite) path(name string) string { return filepath.Join(s.dir, name) }

func (s *caseSite) write(name string, data []byte) {
	s.t.Helper()
	check(s.t, os.WriteFile(s.path(name), data, 0o600))
}

func (s *caseSite) coiKey(name string) (crypto.Signer, *x509.Certificate) {
	key, err := coi.NewCoIKey("p256")
	check(s.t, err)
	cert, err := s.cois.IssueCoI(coi.Name{Purpose: coi.CoI, Site: "alpha.example", Local: name}, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}}, s.now)
	check(s.t, err)
	return key, cert
}

// approver makes somebody who may approve, in the service and in the room.
func (s *caseSite) approver(name string) service.CaseApprover {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	check(s.t, err)
	data, err := coi.EncodeKeyPEM(key)
	check(s.t, err)
	s.write(name+".key", data)
	spki, err := x509.MarshalPKIXPublicKey(public)
	check(s.t, err)
	s.write(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	h := sha256.Sum256(spki)
	s.policy.Cases.Approvers = append(s.policy.Cases.Approvers, groups.Approver{Name: name, Key: h})
	return service.CaseApprover{Name: name, Key: h}
}

// open makes the room, with alice in it.
func (s *caseSite) open() {
	cs, err := suite.Lookup(1)
	check(s.t, err)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(s.t, err)
	cert, err := s.devices.IssueDevice(coi.Name{Purpose: coi.Device, Site: "alpha.example", Local: "alice", Device: "laptop"}, key.Public(), s.now)
	check(s.t, err)
	sign, err := cs.SignatureKeyOf(key)
	check(s.t, err)
	s.id = mls.Identity{Credential: wire.X509Credential(coi.Chain(cert, s.devices.Cert)...), Signer: sign}
	s.group, err = mls.Create(mls.CreateOptions{
		Suite: cs, GroupID: []byte(caseRoom), Identity: s.id, Extensions: wire.Extensions{s.policy.Extension()}, Credentials: anybody{},
		Leaf: mls.KeyPackageOptions{Now: s.now, Capabilities: mls.DefaultCapabilities(groups.PolicyExtension)},
	})
	check(s.t, err)
	s.ledger = groups.NewLedger(caseRoom, client.Directory{Trust: s.trust})
	record := s.record(s.group, groups.KeyCreated)
	info, err := s.group.GroupInfo(true)
	check(s.t, err)
	stamp := s.stamp()
	genesis := groups.Genesis{GroupInfo: info, Stamp: stamp, KeyRecord: record}
	s.take(groups.KindCreate, stamp, genesis.Marshal())
}

func (s *caseSite) stamp() groups.AuthenticatedData {
	a := groups.AuthenticatedData{Device: "mimi://alpha.example/d/alice/laptop", Seq: s.ledger.Head().Seq, Hash: s.ledger.Head().Hash}
	rand.Read(a.ID[:])
	return a
}

// take has the hub order a submission, and exports the entry.
func (s *caseSite) take(kind groups.EntryKind, a groups.AuthenticatedData, body []byte, attachments ...[]byte) {
	s.t.Helper()
	step, err := s.ledger.Accept(groups.Submission{Room: caseRoom, Kind: kind, ID: a.ID, Device: a.Device, Body: body, Attachments: attachments}, 1, s.now)
	check(s.t, err)
	s.ledger = step.Next
	check(s.t, json.NewEncoder(&s.log).Encode(groups.NewLogLine(&step.Entry)))
}

// record wraps a new epoch's key.
func (s *caseSite) record(g *mls.Group, why groups.KeyReason) []byte {
	s.t.Helper()
	r, err := client.NewKeyRecord(g, s.id, &client.KeyWrapping{
		To: []wrap.Recipient{{Name: caseCoI, Certificate: s.coiCert}}, Reason: why, Prev: s.ledger.LastRecord(), Made: s.now,
		Recipients: []groups.CoIRecipient{{Name: caseCoI, Certificate: sha256.Sum256(s.coiCert.Raw), Serial: s.coiCert.SerialNumber.Bytes()}},
	})
	check(s.t, err)
	return r.Marshal()
}

func (s *caseSite) say(text string) {
	s.t.Helper()
	content := client.Text(text)
	plain, err := content.Marshal()
	check(s.t, err)
	stamp := s.stamp()
	body, err := s.group.Seal(stamp.Marshal(), plain, 0)
	check(s.t, err)
	s.take(groups.KindMessage, stamp, body)
}

// rekey makes the next epoch.
func (s *caseSite) rekey() {
	s.t.Helper()
	stamp := s.stamp()
	var o mls.CommitOptions
	o.Now, o.AuthenticatedData = s.now, stamp.Marshal()
	p, err := s.group.Commit(o)
	check(s.t, err)
	b := groups.CommitBundle{Commit: p.Commit, GroupInfo: groups.HashOf(p.GroupInfo), KeyRecord: s.record(p.Next, groups.KeyRotatedByUser)}
	s.take(groups.KindCommit, stamp, b.Marshal(), p.GroupInfo)
	s.group = p.Next
}

// serve runs the unwrap service, and returns its URL.
func (s *caseSite) serve(cases service.CaseAuthority) string {
	t := s.t
	t.Helper()
	_, err := service.InitAudit(s.path("log"), "alpha.example/unwrap/u1")
	check(t, err)
	state := service.NewUnwrapState(s.now)
	audit, err := service.OpenAudit(s.path("log"), state.Recall)
	check(t, err)
	rules, err := service.OpenEntitlements(s.path("entitlements.json"))
	check(t, err)
	u, err := service.NewUnwrap(service.UnwrapConfig{
		Service: "mimi://alpha.example/s/unwrap", Trust: func() (*coi.Trust, error) { return s.trust, nil },
		Keys:         func() (*service.KeyRing, error) { return service.NewKeyRing(s.held), nil },
		Entitlements: rules, Status: &service.StatusClient{}, Log: audit, State: state, Cases: cases,
	})
	check(t, err)
	own, err := s.root.IssueService("unwrap", []string{"127.0.0.1"}, s.now)
	check(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := &http.Server{Handler: u.Handler(), TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: coi.Chain(own.Cert), PrivateKey: own.Key}},
	}}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.ServeTLS(listener, "", "") }() // it ends when it is closed
	t.Cleanup(func() {
		server.Close()
		<-ended
		check(t, audit.Close())
	})
	return "https://" + listener.Addr().String()
}

// run runs a command of the program.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root(new(bool))
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

// TestJ8_CaseFromOpeningToReading: a case is opened, approved by two, exported
// from the service and read, and shows the messages of its period, no others.
func TestJ8_CaseFromOpeningToReading(t *testing.T) {
	s := newCaseSite(t)
	authority := service.CaseAuthority{Threshold: 2, Approvers: []service.CaseApprover{s.approver("legal"), s.approver("board")}}
	began := s.now
	s.open()
	s.say("before the period")
	s.now = s.now.Add(10 * time.Second)
	from := s.now
	s.say("the first secret")
	s.rekey()
	s.say("the second secret")
	s.now = s.now.Add(10 * time.Second)
	to := s.now
	s.rekey()
	s.say("after the period")
	s.write("ops.jsonl", s.log.Bytes())
	url := s.serve(authority)

	at := func(x time.Time) string { return x.UTC().Format(time.RFC3339Nano) }
	do := func(args ...string) string {
		t.Helper()
		out, err := run(t, args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	open := func(name string, more ...string) string {
		file := s.path(name)
		do(append([]string{"case", "open", "--coi", caseCoI, "--room", caseRoom, "--from", at(from), "--to", at(to), "--basis", "order 7",
			"--approver", s.path("legal.pub"), "--approver", s.path("board.pub"), "--export", s.path("export.crt"), "--out", file}, more...)...)
		return file
	}
	export := []string{"case", "export", "--log", s.path("ops.jsonl"), "--unwrap", url, "--bundle", s.path("alpha.pem"), "--out", s.path("keys.jsonl")}
	read := []string{"case", "read", "--log", s.path("ops.jsonl"), "--keys", s.path("keys.jsonl"), "--key", s.path("export.key"), "--bundle", s.path("alpha.pem")}

	file := open("case.pem")
	do("case", "approve", "--key", s.path("legal.key"), file)
	if out, err := run(t, append(export, file)...); err == nil || !strings.Contains(err.Error(), "needs 2") {
		t.Fatalf("one of two approvers: %v\n%s", err, out)
	}
	do("case", "approve", "--key", s.path("board.key"), file)
	if out := do(append(export, file)...); !strings.Contains(out, "2 keys") {
		t.Errorf("exported %s, want the two epochs that the period touches", out)
	}
	out := do(append(read, file)...)
	for text, want := range map[string]bool{"before the period": false, "the first secret": true, "the second secret": true, "after the period": false} {
		if strings.Contains(out, text) != want {
			t.Errorf("%q is shown: %v\n%s", text, !want, out)
		}
	}
	if !strings.Contains(out, "mimi://alpha.example/d/alice/laptop") || from.Before(began) {
		t.Errorf("no sender in\n%s", out)
	}

	file = open("bob.pem", "--person", "mimi://alpha.example/u/bob")
	do("case", "approve", "--key", s.path("legal.key"), file)
	do("case", "approve", "--key", s.path("board.key"), file)
	do(append(export, file)...)
	if out := do(append(read, file)...); strings.Contains(out, "secret") {
		t.Errorf("a case about bob shows\n%s", out)
	}
}
