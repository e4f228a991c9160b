package service

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
)

// A court is who approves cases, and whom they are exported to.
type court struct {
	v      *vault
	keys   []crypto.Signer
	hashes [][32]byte
	export crypto.Signer
	cert   *x509.Certificate
}

// newCourt makes n approvers, of whom two have to approve, and tells the service.
func newCourt(v *vault, n int) *court {
	c := &court{v: v}
	v.cases.Threshold = 2
	for i := range n {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(v.t, err)
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		must(v.t, err)
		c.keys, c.hashes = append(c.keys, key), append(c.hashes, sha256.Sum256(spki))
		v.cases.Approvers = append(v.cases.Approvers, CaseApprover{Name: string(rune('a' + i)), Key: c.hashes[i]})
	}
	key, err := coi.NewCoIKey("p256")
	must(v.t, err)
	name, err := coi.ParseName("mimi://alpha.example/c/export")
	must(v.t, err)
	c.cert, err = v.cois.IssueCoI(name, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}}, then)
	must(v.t, err)
	c.export = key
	v.restart()
	return c
}

// rule is what a room's policy says of it.
func (c *court) rule() groups.CaseRule {
	r := groups.CaseRule{Threshold: 2}
	for i, h := range c.hashes {
		r.Approvers = append(r.Approvers, groups.Approver{Name: string(rune('a' + i)), Key: h})
	}
	return r
}

// open opens a case about a room, for an hour around now.
func (c *court) open(rooms ...groups.RoomID) *Case {
	k := &Case{
		Basis: "order 7/2030", CoI: finance, From: c.v.clock.Add(-time.Hour), To: c.v.clock.Add(time.Hour),
		Opened: c.v.clock, Expires: c.v.clock.Add(24 * time.Hour), Threshold: 2, Approvers: c.hashes, Export: c.cert.Raw,
	}
	rand.Read(k.ID[:])
	for _, r := range rooms {
		k.Rooms = append(k.Rooms, string(r))
	}
	return k
}

func (c *court) approve(k *Case, who ...int) [][]byte {
	c.v.t.Helper()
	var out [][]byte
	for _, i := range who {
		a, err := Approve(k, c.keys[i], c.v.clock)
		must(c.v.t, err)
		out = append(out, a.Marshal())
	}
	return out
}

// ask asks for the keys of epochs, and returns what is opened of the answer.
func (c *court) ask(k *Case, approvals [][]byte, epochs ...*epoch) ([][]byte, error) {
	m := &unwrapv1.ExportRequest{Case: k.Marshal(), Approvals: approvals}
	for i, e := range epochs {
		it := CaseItem{Proven: e.proven()}
		if i+1 < len(epochs) && epochs[i+1].record.Prev == e.record.Hash() {
			it.Next = epochs[i+1].record.Marshal()
		}
		m.Items = append(m.Items, it.Marshal())
	}
	resp, err := c.v.client.Export(context.Background(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(epochs))
	for i, sealed := range resp.Msg.Sealed {
		if len(sealed) == 0 {
			continue
		}
		key := wrap.Key{Certificate: c.cert, Private: c.export}
		out[i], err = wrap.Open(sealed, key, epochs[i].binding())
		must(c.v.t, err)
	}
	return out, nil
}

// TestJ8_CaseOpensItsScopeOnly: "m of n approvers, for one scope, logged".
func TestJ8_CaseOpensItsScopeOnly(t *testing.T) {
	v := newVault(t)
	c := newCourt(v, 3)
	alice := v.device("alice", "laptop")
	r := v.room(opsRoom, finance)
	r.policy.Cases = c.rule()
	inside := r.next(alice)
	other := v.room(opsRoom+"-other", finance)
	other.policy.Cases = c.rule()
	outside := other.next(alice)
	hidden := v.room(opsRoom+"-hidden", finance) // its policy has no such access
	closed := hidden.next(alice)
	v.clock = then.Add(3 * time.Hour)
	late := r.next(alice)
	v.clock = then
	k := c.open(opsRoom, opsRoom+"-hidden")
	keys, err := c.ask(k, c.approve(k, 0, 2), inside, outside, closed, late)
	must(t, err)
	if !bytes.Equal(keys[0], groups.RoomKeyBytes(inside.key)) {
		t.Error("the key that the case covers was not opened")
	}
	for i, what := range []string{"another room", "a room without such access", "an epoch outside of the period"} {
		if keys[i+1] != nil {
			t.Errorf("%s was opened", what)
		}
	}
	log := v.entries()
	last := log[len(log)-4:]
	if e := last[0]; e.Decision != Exported || e.Case != k.Name() || e.Reason != k.Basis || !strings.Contains(e.Actor, "a, c") || e.Room != v.audit.Room(string(opsRoom)) {
		t.Errorf("the log says %+v", e)
	}
	for _, e := range last[1:] {
		if e.Decision != Refused || e.Why == "" {
			t.Errorf("the log says %+v of what was not opened", e)
		}
	}
}

// TestJ8A15A16A17_CaseNeedsItsApprovers: "privileged unwrap with m-1, with expired
// approvals, with changed scope after approval".
func TestJ8A15A16A17_CaseNeedsItsApprovers(t *testing.T) {
	v := newVault(t)
	c := newCourt(v, 3)
	touched := v.count()
	alice := v.device("alice", "laptop")
	r := v.room(opsRoom, finance)
	r.policy.Cases = c.rule()
	e := r.next(alice)
	stranger := newCourt(v, 1) // known to the service, not to the room
	v.cases.Approvers = v.cases.Approvers[:3]
	v.restart()
	k := c.open(opsRoom)
	for what, ask := range map[string]func() ([][]byte, error){
		"nobody":         func() ([][]byte, error) { return c.ask(k, nil, e) },
		"one of two":     func() ([][]byte, error) { return c.ask(k, c.approve(k, 1), e) },
		"the same twice": func() ([][]byte, error) { return c.ask(k, c.approve(k, 1, 1), e) },
		"a changed scope": func() ([][]byte, error) {
			n := *k
			n.Rooms = append(n.Rooms, "x")
			return c.ask(&n, c.approve(k, 0, 1), e)
		},
		"another export key": func() ([][]byte, error) {
			n := *k
			n.Export = v.cert(finance).Raw
			return c.ask(&n, c.approve(k, 0, 1), e)
		},
		"a changed signature": func() ([][]byte, error) {
			a := c.approve(k, 0, 1)
			a[1][len(a[1])-1] ^= 1
			return c.ask(k, a, e)
		},
		"a threshold of one": func() ([][]byte, error) { n := *k; n.Threshold = 1; return c.ask(&n, c.approve(&n, 0), e) },
		"approvers of their own": func() ([][]byte, error) {
			n := *k
			n.Approvers = append(n.Approvers, stranger.hashes...)
			return c.ask(&n, append(c.approve(&n, 0), stranger.approve(&n, 0)...), e)
		},
		"a case that ended": func() ([][]byte, error) {
			a := c.approve(k, 0, 1)
			v.clock = k.Expires
			defer func() { v.clock = then }()
			return c.ask(k, a, e)
		},
	} {
		if keys, err := ask(); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s: %v, %v, want a denial", what, keys, err)
		}
	}
	if touched.Load() != 0 {
		t.Error("a refused case has touched the key")
	}
	r.policy.Cases.Threshold = 3 // the room asks for more than the service
	strict := r.next(alice)
	keys, err := c.ask(k, c.approve(k, 0, 1), e, strict)
	must(t, err)
	if keys[0] == nil || keys[1] != nil {
		t.Error("a room that asks for three approvers was opened by two, or one that asks for two was not")
	}
}

// TestJ8_OpensslOpensAnExport: an export needs none of our code.
func TestJ8_OpensslOpensAnExport(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here")
	}
	v := newVault(t)
	c := newCourt(v, 2)
	r := v.room(opsRoom, finance)
	r.policy.Cases = c.rule()
	e := r.next(v.device("alice", "laptop"))
	k := c.open(opsRoom)
	it := CaseItem{Proven: e.proven()}
	resp, err := v.client.Export(context.Background(), connect.NewRequest(&unwrapv1.ExportRequest{
		Case: k.Marshal(), Approvals: c.approve(k, 0, 1), Items: [][]byte{it.Marshal()},
	}))
	must(t, err)
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(c.export)
	must(t, err)
	for name, data := range map[string][]byte{
		"part": resp.Msg.Sealed[0], "cert.pem": coi.EncodeCertificatesPEM(c.cert),
		"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), data, fileMode))
	}
	cmd := exec.Command(openssl, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "part", "-recip", "cert.pem", "-inkey", "key.pem", "-out", "content")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "content"))
	must(t, err)
	if !bytes.Contains(content, groups.RoomKeyBytes(e.key)) {
		t.Error("openssl opens something else than the room key")
	}
}

func FuzzParseCase(f *testing.F) {
	c := Case{Basis: "order", CoI: finance, Rooms: []string{string(opsRoom)}, Threshold: 1, Approvers: [][32]byte{{1}}, From: then, To: then, Opened: then, Expires: then}
	f.Add(c.Marshal())
	a := Approval{Time: then, Key: []byte("key"), Signature: []byte("signature")}
	f.Add(a.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := ParseCase(data); err == nil && !bytes.Equal(c.Marshal(), data) {
			t.Errorf("case %x writes %x", data, c.Marshal())
		}
		if a, err := ParseApproval(data); err == nil && !bytes.Equal(a.Marshal(), data) {
			t.Errorf("approval %x writes %x", data, a.Marshal())
		}
		if i, err := ParseCaseItem(data); err == nil && !bytes.Equal(i.Marshal(), data) {
			t.Errorf("item %x writes %x", data, i.Marshal())
		}
	})
}
