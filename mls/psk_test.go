package mls

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

type pskCase struct {
	Suite suite.ID `json:"cipher_suite"`
	PSKs  []struct {
		ID    vectors.Hex `json:"psk_id"`
		PSK   vectors.Hex `json:"psk"`
		Nonce vectors.Hex `json:"psk_nonce"`
	} `json:"psks"`
	Secret vectors.Hex `json:"psk_secret"`
}

// psk_secret is chained over all PSKs, in their order (RFC 9420, Section 8.4).
func TestVectorsPSKSecret(t *testing.T) {
	skipped := map[suite.ID]int{}
	for i, c := range vectors.Load[pskCase](t, "psk_secret.json") {
		s := suiteOf(t, c.Suite, skipped)
		if s == nil {
			continue
		}
		psks := make(purse)
		var ids []wire.PreSharedKeyID
		for _, p := range c.PSKs {
			id := ExternalPSK(p.ID)
			id.PSKNonce = p.Nonce
			ids, psks[string(p.ID)] = append(ids, id), p.PSK
		}
		got, err := pskSecret(s, ids, (&Policy{PSKs: psks}).find)
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			got = make([]byte, s.HashSize())
		}
		if !bytes.Equal(got, c.Secret) {
			t.Errorf("case %d: psk_secret is %x, want %x", i, got, c.Secret)
		}
	}
	t.Logf("skipped by suite: %v", skipped)
}

// Pre-shared keys come by value, by reference and in a Welcome, external ones
// and those of past epochs; all members, new ones too, mix in the same
// (RFC 9420, Sections 8.4 and 8.6).
func TestPSKs(t *testing.T) {
	list := people(t, testSuite(t), 3)
	unlock(list, Policy{PSKs: purse{"a": []byte("first"), "b": []byte("second")}})
	first := list[0].group.Epoch()
	everybody(t, list, 1, CommitOptions{})
	m, err := list[2].group.ProposePSK(ExternalPSK([]byte("a")), MessageOptions{Now: start})
	must(t, err)
	handle(t, list[0].group, m)
	handle(t, list[1].group, m)
	list[0].reload(t)
	eve := newPerson(t, list[0].suite, "eve")
	past := ResumptionPSK(list[0].group.GroupID(), first)
	resumption, ok := list[0].group.Resumption(first)
	if !ok {
		t.Fatal("the resumption PSK of the last epoch is not kept")
	}
	purse := purse{"a": []byte("first"), "b": []byte("second")}
	purse[fmt.Sprintf("%x/%d", past.PSKGroupID, first)] = resumption
	eve.policy.PSKs = purse
	kp := eve.keyPackage(t)
	p := everybody(t, list, 0, CommitOptions{
		Adds: []*wire.KeyPackage{&kp.Public},
		PSKs: []wire.PreSharedKeyID{past, ExternalPSK([]byte("b")), ExternalPSK([]byte("b"))},
	})
	if len(p.Change.PSKs) != 4 || p.Change.Path {
		t.Fatalf("%d PSKs, path %v", len(p.Change.PSKs), p.Change.Path)
	}
	_, err = Join(JoinOptions{
		Welcome: p.Welcome, KeyPackage: kp, Signer: eve.signer, RatchetTree: wire.Marshal(p.Next.Tree()), Credentials: anyone{},
	})
	if !errors.Is(err, ErrNoPSK) {
		t.Errorf("joins without the PSKs: %v", err)
	}
	eve.join(t, kp, p.Welcome, p.Next.Tree())
	list = append(list, eve)
	agree(t, list)
	talk(t, list)
	for _, q := range list {
		q.reload(t)
	}
}

// "The application SHOULD specify an upper limit on the number of past epochs
// for which the resumption_psk may be stored" (RFC 9420, Section 8.6).
func TestResumptionIsBounded(t *testing.T) {
	list := people(t, testSuite(t), 2)
	first := list[0].group.Epoch()
	for range DefaultPastEpochs {
		everybody(t, list, 0, CommitOptions{})
	}
	list[1].reload(t)
	for _, p := range list {
		if _, ok := p.group.Resumption(first); !ok {
			t.Errorf("%s has forgotten too early", p.name)
		}
	}
	everybody(t, list, 1, CommitOptions{})
	list[1].reload(t)
	for _, p := range list {
		if _, ok := p.group.Resumption(first); ok {
			t.Errorf("%s keeps the PSK for ever", p.name)
		}
	}
	psk := ResumptionPSK(list[0].group.GroupID(), first)
	if _, err := list[0].group.Commit(CommitOptions{PSKs: []wire.PreSharedKeyID{psk}}); !errors.Is(err, ErrNoPSK) {
		t.Errorf("commits a forgotten PSK: %v", err)
	}
	if _, err := list[0].group.ProposePSK(psk, MessageOptions{}); !errors.Is(err, ErrNoPSK) {
		t.Errorf("proposes a forgotten PSK: %v", err)
	}
}

// A PSK that somebody else proposes and that is not known here stays out of our
// commit; so does a ReInit beside other proposals (RFC 9420, Section 12.2).
func TestChooseLeavesOut(t *testing.T) {
	list := people(t, testSuite(t), 3)
	unlock(list[:1], Policy{PSKs: purse{"mine": []byte("secret")}})
	o := MessageOptions{Now: start}
	psk, err := list[0].group.ProposePSK(ExternalPSK([]byte("mine")), o)
	must(t, err)
	reinit, err := list[0].group.ProposeReInit(wire.ReInit{Version: wire.MLS10, CipherSuite: 1}, o)
	must(t, err)
	remove, err := list[0].group.ProposeRemove(2, o)
	must(t, err)
	g := list[1].group
	for _, m := range [][]byte{psk, reinit} {
		handle(t, g, m)
	}
	if p := commit(t, g, CommitOptions{}); p.Change.ReInit == nil || len(p.Change.PSKs) != 0 {
		t.Errorf("a ReInit alone: %+v", p.Change)
	}
	handle(t, g, remove)
	p := commit(t, g, CommitOptions{})
	if p.Change.ReInit != nil || len(p.Change.PSKs) != 0 || len(p.Change.Removed) != 1 {
		t.Errorf("a ReInit beside a Remove: %+v", p.Change)
	}
	if _, err := g.Commit(CommitOptions{ReInit: &wire.ReInit{Version: wire.MLS10}, Removes: []wire.LeafIndex{2}}); !errors.Is(err, tree.ErrReInitAlone) {
		t.Errorf("asked for both: %v", err)
	}
}

// What a Welcome says of PSKs is checked before they are used (RFC 9420,
// Section 8.4).
func TestWelcomePSKsRefused(t *testing.T) {
	s := testSuite(t)
	id := injection(s, ExternalPSK([]byte("x"))).PreSharedKey.PSK
	short := id
	short.PSKNonce = short.PSKNonce[1:]
	for _, c := range []struct {
		what string
		ids  []wire.PreSharedKeyID
		want error
	}{
		{"psk_nonce is of length KDF.Nh", []wire.PreSharedKeyID{short}, tree.ErrPSKNonce},
		{"no PSK twice", []wire.PreSharedKeyID{id, id}, tree.ErrDuplicatePSK},
		{"not too many", make([]wire.PreSharedKeyID, tree.MaxPSKs+1), tree.ErrTooManyPSKs},
	} {
		if err := verifyPSKs(s, c.ids); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
