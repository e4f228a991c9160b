package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"time"

	"parley/coi"
	pki "parley/coi/service"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

const (
	unwrapSite = "bench.example"
	unwrapCoI  = "mimi://" + unwrapSite + "/c/finance"
	unwrapRoom = "mimi://" + unwrapSite + "/r/plans"
)

// An unwrapSiteRig is a site with a CoI, and the devices of one room.
type unwrapSiteRig struct {
	root, devices, cois *coi.CA
	coiCert             *x509.Certificate
	held                pki.HeldKey
	suite               *suite.Suite
	chain               [][]byte      // of the first member
	key                 crypto.Signer // of the first member
	sign                *suite.SignaturePrivateKey
	tree                *tree.Tree
	policy              groups.Policy
}

// newUnwrapSite makes the CAs, the CoI's key and a tree of members with
// certificates.
func newUnwrapSite(members int) (*unwrapSiteRig, error) {
	now := time.Now()
	g := &unwrapSiteRig{}
	var err error
	if g.root, err = coi.NewCA(unwrapSite, now); err != nil {
		return nil, err
	}
	if g.devices, err = g.root.IssueIntermediate(now); err != nil {
		return nil, err
	}
	if g.cois, err = coi.NewCoIAuthority(unwrapSite, now); err != nil {
		return nil, err
	}
	if err := g.found(now); err != nil {
		return nil, err
	}
	if g.suite, err = suite.Lookup(suite.X25519AES128SHA256Ed25519); err != nil {
		return nil, err
	}
	g.policy = groups.DefaultPolicy("mimi://" + unwrapSite + "/u/u0")
	g.policy.CoIs = []groups.CoI{{Name: unwrapCoI, Lookup: "https://127.0.0.1:1", Unwrap: []string{"https://127.0.0.1:2"}}}
	g.policy.History = groups.HistoryAll
	return g, g.people(members, now)
}

// found makes the CoI's key and its certificate.
func (g *unwrapSiteRig) found(now time.Time) error {
	key, err := coi.NewCoIKey("p256")
	if err != nil {
		return err
	}
	name := coi.Name{Purpose: coi.CoI, Site: unwrapSite, Local: "finance"}
	if g.coiCert, err = g.cois.IssueCoI(name, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}}, now); err != nil {
		return err
	}
	g.held, err = pki.NewHeldKey(unwrapCoI, key.Public(), key)
	return err
}

// people makes the members, of which only the first keeps its key.
func (g *unwrapSiteRig) people(members int, now time.Time) error {
	for i := range members {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		cert, err := g.devices.IssueDevice(coi.Name{Purpose: coi.Device, Site: unwrapSite, Local: "u" + decimal(i), Device: "laptop"}, key.Public(), now)
		if err != nil {
			return err
		}
		leaf, err := g.leaf(key, cert)
		if err != nil {
			return err
		}
		if i == 0 {
			g.key, g.chain, g.tree = key, coi.Chain(cert, g.devices.Cert), tree.New(g.suite, leaf)
			if g.sign, err = g.suite.SignatureKeyOf(key); err != nil {
				return err
			}
			continue
		}
		edit := g.tree.Edit()
		if _, err := edit.Add(leaf); err != nil {
			return err
		}
		if g.tree, err = edit.Tree(); err != nil {
			return err
		}
	}
	return nil
}

// leaf makes the leaf node of a device.
func (g *unwrapSiteRig) leaf(key ed25519.PrivateKey, cert *x509.Certificate) (wire.LeafNode, error) {
	encryption, err := g.suite.GenerateKeyPair()
	if err != nil {
		return wire.LeafNode{}, err
	}
	public, err := g.suite.SignaturePublicKey(key.Public())
	return wire.LeafNode{
		EncryptionKey: encryption.PublicKey(), SignatureKey: public, LeafNodeSource: wire.LeafNodeSourceUpdate, Signature: []byte{0},
		Credential: wire.Credential{CredentialType: wire.CredentialTypeX509, Certificates: []wire.Certificate{{CertData: cert.Raw}}},
	}, err
}

// epoch makes the key record of an epoch, as its committer does, and what shows
// that it holds.
func (g *unwrapSiteRig) epoch(n int, prev groups.Hash) (*groups.KeyRecord, groups.Proven, error) {
	context := wire.GroupContext{
		CipherSuite: wire.CipherSuite(g.suite.ID()), GroupID: []byte(unwrapRoom), Epoch: uint64(n), TreeHash: g.tree.Hash(),
		ConfirmedTranscriptHash: suite.Random(sha256.Size), Extensions: wire.Extensions{g.policy.Extension()},
	}
	now := time.Now()
	key := groups.RoomKey{Suite: context.CipherSuite, SenderDataSecret: suite.Random(sha256.Size), EncryptionSecret: suite.Random(sha256.Size)}
	r := &groups.KeyRecord{
		Room: unwrapRoom, Epoch: groups.Epoch(n), ContextHash: groups.ContextHash(&context), AuthorCert: sha256.Sum256(g.chain[0]),
		CreatedAt: uint64(now.UnixMilli()), NotAfter: uint64(now.Add(time.Hour).UnixMilli()), Reason: groups.KeyRotatedByUser, Prev: prev,
		Recipients: []groups.CoIRecipient{{Name: unwrapCoI, Certificate: sha256.Sum256(g.coiCert.Raw), Serial: g.coiCert.SerialNumber.Bytes()}},
	}
	r.KeyID = groups.KeyID(g.suite, key, r.ContextHash)
	binding := wrap.Binding{Room: unwrapRoom, Epoch: uint64(n), KeyID: r.KeyID, Recipients: r.BindingHash()}
	var err error
	r.Envelope, err = wrap.Seal(groups.RoomKeyBytes(key), []wrap.Recipient{{Name: unwrapCoI, Certificate: g.coiCert}}, binding, wrap.SealOptions{Mode: wrap.Any})
	if err != nil {
		return nil, groups.Proven{}, err
	}
	if err := r.Sign(g.sign); err != nil {
		return nil, groups.Proven{}, err
	}
	proof, err := g.tree.Proof(0)
	return r, groups.Proven{Record: r.Marshal(), Context: wire.Marshal(context), Author: proof}, err
}
