package mls

import (
	"bytes"
	"slices"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A hall is who is welcomed, and to whose tree: four, with parent nodes, and a
// leaf that is unmerged.
type hall struct {
	*book
	suite *suite.Suite
	list  []*person
	kp    *KeyPackage
	guest *person
}

func (b *book) hall() *hall {
	s, err := suite.Lookup(1)
	must(b.t, err)
	list := people(b.t, s, 5)
	everybody(b.t, list, 3, CommitOptions{})
	everybody(b.t, list, 0, CommitOptions{})
	late := newPerson(b.t, s, "late")
	k := late.keyPackage(b.t)
	p := everybody(b.t, list, 2, CommitOptions{Adds: []*wire.KeyPackage{&k.Public}})
	late.join(b.t, k, p.Welcome, p.Next.Tree())
	guest := newPerson(b.t, s, "guest")
	kp := guest.keyPackage(b.t)
	b.client("guest", guest, kp)
	return &hall{b, s, append(list, late), kp, guest}
}

// add writes a case of a Welcome.
func (h *hall) add(rule, what string, bad func(*welcoming)) { h.twin(rule, what, nil, bad) }

func (h *hall) twin(rule, what string, good, bad func(*welcoming)) {
	h.t.Helper()
	made := func(bad func(*welcoming)) (in negativeInput) {
		w := &welcoming{t: h.t, list: h.list, guest: h.kp, keys: purse{"known": []byte("a pre-shared key")}}
		if good != nil {
			good(w)
		}
		if bad != nil {
			bad(w)
		}
		in.Message, in.RatchetTree = w.make()
		return in
	}
	h.file.Cases = append(h.file.Cases, negativeCase{
		Rule: rule, What: what, Kind: "join", Client: "guest", Accept: made(nil), Reject: made(bad),
	})
}

// welcomes: RFC 9420, Section 12.4.3.1.
func (b *book) welcomes() {
	h := b.hall()
	s := h.suite
	info := func(change func(*wire.GroupInfo)) func(*welcoming) { return func(w *welcoming) { w.info = change } }
	outer := func(change func(*wire.Welcome)) func(*welcoming) { return func(w *welcoming) { w.outer = change } }
	secrets := func(change func(*wire.GroupSecrets)) func(*welcoming) {
		return func(w *welcoming) { w.secrets = change }
	}
	context := func(change func(*wire.GroupContext)) func(*welcoming) {
		return func(w *welcoming) { w.context = change }
	}

	h.add("R-12.4.3.1-01", "no entries", outer(func(w *wire.Welcome) { w.Secrets = nil }))
	h.add("R-12.4.3.1-01", "an entry for another key package", outer(func(w *wire.Welcome) { w.Secrets[0].NewMember = suite.Random(32) }))
	h.add("R-12.4.3.1-01", "a reference without its last octet", outer(func(w *wire.Welcome) { w.Secrets[0].NewMember = w.Secrets[0].NewMember[:31] }))
	h.add("R-12.4.3.1-02", "a ciphertext changed", outer(func(w *wire.Welcome) {
		c := &w.Secrets[0].EncryptedGroupSecrets
		c.Ciphertext = changed(c.Ciphertext, 0)
	}))
	h.add("R-12.4.3.1-02", "a kem_output of low order", outer(func(w *wire.Welcome) { w.Secrets[0].EncryptedGroupSecrets.KEMOutput = make([]byte, 32) }))
	h.add("R-12.4.3.1-02", "secrets sealed for another GroupInfo", outer(func(w *wire.Welcome) { w.EncryptedGroupInfo = changed(w.EncryptedGroupInfo, 0) }))
	h.add("R-12.4.3.1-05", "another joiner secret", secrets(func(g *wire.GroupSecrets) { g.JoinerSecret = suite.Random(32) }))
	h.add("R-12.4.3.1-05", "a joiner secret without its last octet", secrets(func(g *wire.GroupSecrets) { g.JoinerSecret = g.JoinerSecret[:31] }))
	h.add("R-12.4.3.1-06", "the Welcome says suite 3", outer(func(w *wire.Welcome) { w.CipherSuite = 3 }))
	h.add("R-12.4.3.1-06", "the GroupContext says suite 3", context(func(c *wire.GroupContext) { c.CipherSuite = 3 }))
	h.add("R-2.1-01", "an octet after the group secrets", func(w *welcoming) { w.bytes = func(b []byte) []byte { return append(b, 0) } })
	h.add("R-2.1.1-01", "path_secret announced by 2", func(w *welcoming) {
		w.bytes = func(b []byte) []byte { return slices.Replace(bytes.Clone(b), 33, 34, 2) }
	})
	h.add("R-12.4.3-01", "signed with another member's key", func(w *welcoming) { w.signer = h.list[1].signer })
	h.add("R-12.4.3-01", "the signer is another member", func(w *welcoming) { w.info = func(g *wire.GroupInfo) { g.Signer = 1 } })
	h.add("R-12.4.3-01", "changed after it was signed", func(w *welcoming) {
		w.signed = func(g *wire.GroupInfo) { g.Extensions = wire.Extensions{{ExtensionType: 0xf001}} }
	})
	h.add("R-12.4.3-01", "no signature", func(w *welcoming) { w.signed = func(g *wire.GroupInfo) { g.Signature = nil } })
	for _, i := range []wire.LeafIndex{7, 8, 1 << 31, 1<<32 - 1} {
		h.add("R-12.4.3-02", "a leaf that is blank, or beyond the tree", info(func(g *wire.GroupInfo) { g.Signer = i }))
	}
	h.add("R-12.4.3.1-14", "another", info(func(g *wire.GroupInfo) { g.ConfirmationTag = changed(g.ConfirmationTag, 0) }))
	h.add("R-12.4.3.1-18", "empty", info(func(g *wire.GroupInfo) { g.ConfirmationTag = nil }))
	h.add("R-12.4.3.1-18", "without its last octet", info(func(g *wire.GroupInfo) { g.ConfirmationTag = g.ConfirmationTag[:31] }))
	h.add("R-12.4.3.1-13", "a random path secret", secrets(func(g *wire.GroupSecrets) { g.PathSecret.PathSecret = suite.Random(32) }))
	h.add("R-12.4.3.1-13", "an empty path secret", secrets(func(g *wire.GroupSecrets) { g.PathSecret.PathSecret = nil }))
	known := func(nonce int) wire.PreSharedKeyID { return psk(ExternalPSK([]byte("known")), nonce).PreSharedKey.PSK }
	with := func(ids ...wire.PreSharedKeyID) func(*welcoming) { return func(w *welcoming) { w.psks = ids } }
	good := with(known(32))
	h.twin("R-12.4.3.1-03", "a pre-shared key of no one", good, with(psk(ExternalPSK([]byte("unknown")), 32).PreSharedKey.PSK))
	h.twin("R-12.4.3.1-16", "31 octets", good, with(known(31)))
	h.twin("R-12.4.3.1-16", "empty", good, with(known(0)))
	id := known(32)
	h.twin("R-12.4.3.1-17", "with one nonce", with(id, known(32)), with(id, id))
	for _, usage := range []wire.ResumptionPSKUsage{wire.ResumptionPSKUsageReInit, wire.ResumptionPSKUsageBranch} {
		follows := ResumptionPSK([]byte("an old group"), 3)
		follows.Usage = usage
		follows.PSKNonce = suite.Random(s.HashSize())
		h.twin("R-12.4.3.1-03", "a key of usage "+usage.String()+" of a group that is not here", good, with(follows))
	}
	leaf := func(rule, what string, change func(l *wire.LeafNode)) {
		h.add(rule, what, func(w *welcoming) {
			w.before = func(r *rawTree) {
				l := *r.leaf(1)
				change(&l)
				must(b.t, signLeaf(&l, h.list[1].signer, h.list[1].group.GroupID(), 1))
				r.set(1, l)
			}
		})
	}
	leaf("R-7.2-01", "member 1 has an extension that is not listed", func(l *wire.LeafNode) {
		l.Extensions = append(slices.Clone(l.Extensions), wire.Extension{ExtensionType: 0xf001})
	})
	leaf("R-7.3-06", "member 1 does not list the credential type of all", func(l *wire.LeafNode) { l.Capabilities.Credentials = []wire.CredentialType{0x1a1a} })
	leaf("R-5.1.1-03", "member 1 has a point of low order", func(l *wire.LeafNode) { l.EncryptionKey = make([]byte, 32) })
}

// trees: RFC 9420, Sections 7.9.2 and 12.4.3.1.
func (b *book) trees() {
	h := b.hall()
	before := func(change func(*rawTree)) func(*welcoming) { return func(w *welcoming) { w.before = change } }
	after := func(change func(*rawTree)) func(*welcoming) { return func(w *welcoming) { w.after = change } }
	h.add("R-12.4.3.1-07", "another tree hash", func(w *welcoming) { w.context = func(c *wire.GroupContext) { c.TreeHash = suite.Random(32) } })
	h.add("R-12.4.3.1-07", "the tree before the commit", func(w *welcoming) {
		w.encoded = func([]byte) []byte {
			r := rawTreeOf(h.list[0].group.Tree())
			r.add(h.kp.Public.LeafNode)
			return r.encode()
		}
	})
	h.add("R-12.4.3.1-08", "a leaf that was signed by nobody", before(func(r *rawTree) { r.leaf(4).Signature = suite.Random(64) }))
	h.add("R-12.4.3.1-08", "a leaf that was made for another group", before(func(r *rawTree) {
		l := *r.leaf(3)
		must(b.t, signLeaf(&l, h.list[3].signer, []byte("another group"), 3))
		r.set(3, l)
	}))
	h.add("R-12.4.3.1-08", "a leaf in another place", before(func(r *rawTree) {
		l := *r.leaf(3)
		must(b.t, signLeaf(&l, h.list[3].signer, h.list[0].group.GroupID(), 2))
		r.set(3, l)
	}))
	h.add("R-12.4.3.1-12", "another key package of ours", before(func(r *rawTree) {
		stranger := newPerson(b.t, h.suite, "a stranger")
		r.set(6, stranger.keyPackage(b.t).Public.LeafNode)
	}))
	root := tree.Root(8)
	h.add("R-12.4.3.1-09", "a blank leaf", after(func(r *rawTree) { r.parent(root).UnmergedLeaves = []wire.LeafIndex{7} }))
	h.add("R-12.4.3.1-09", "a leaf beyond the tree", after(func(r *rawTree) { r.parent(root).UnmergedLeaves = []wire.LeafIndex{1 << 31} }))
	h.add("R-12.4.3.1-09", "a leaf that is not below", after(func(r *rawTree) { r.parent(1).UnmergedLeaves = []wire.LeafIndex{6} }))
	h.add("R-12.4.3.1-10", "the node between does not list it", after(func(r *rawTree) { r.parent(root).UnmergedLeaves = []wire.LeafIndex{1} }))
	h.add("R-12.4.3.1-11", "a leaf with another leaf's key", before(func(r *rawTree) {
		l := *r.leaf(3)
		l.EncryptionKey = r.leaf(2).EncryptionKey
		must(b.t, signLeaf(&l, h.list[3].signer, h.list[0].group.GroupID(), 3))
		r.set(3, l)
	}))
	h.add("R-12.4.3.1-11", "a parent node with a leaf's key", before(func(r *rawTree) {
		r.setParent(9, wire.ParentNode{EncryptionKey: r.leaf(2).EncryptionKey})
	}))
	h.add("R-7.3-12", "a leaf with another leaf's signature key", before(func(r *rawTree) {
		l := *r.leaf(3)
		l.SignatureKey = h.list[2].signer.PublicKey()
		must(b.t, signLeaf(&l, h.list[2].signer, h.list[0].group.GroupID(), 3))
		r.set(3, l)
	}))
	h.add("R-7.9.2-01", "a parent node that nobody vouches for", before(func(r *rawTree) {
		r.setParent(9, wire.ParentNode{EncryptionKey: suite.Random(32)})
	}))
	h.add("R-7.9.2-01", "a parent node with another key", after(func(r *rawTree) { r.parent(1).EncryptionKey = suite.Random(32) }))
	h.add("R-7.9.2-01", "a parent node with another parent hash", after(func(r *rawTree) { r.parent(3).ParentHash = suite.Random(32) }))
	h.add("R-7.9.2-01", "a sibling that was changed since", after(func(r *rawTree) { r.parent(5).UnmergedLeaves = nil; r.nodes[5] = nil }))
	h.add("R-7.9.2-01", "unmerged leaves that were not added since", after(func(r *rawTree) {
		r.parent(root).UnmergedLeaves, r.parent(3).UnmergedLeaves = []wire.LeafIndex{1}, []wire.LeafIndex{1}
		r.parent(1).UnmergedLeaves = []wire.LeafIndex{1}
	}))
	empty := func(r *rawTree) { r.remove(4); r.remove(5) }
	h.twin("R-7.9.2-02", "a key above blank leaves", before(empty), before(func(r *rawTree) {
		empty(r)
		r.setParent(9, wire.ParentNode{EncryptionKey: suite.Random(32)})
	}))
	for what, key := range map[string][]byte{"31 octets": suite.Random(31), "a point of low order": make([]byte, 32)} {
		rule := "R-5.1.1-01"
		if len(key) == 32 {
			rule = "R-5.1.1-03"
		}
		h.add(rule, "a parent node, which its leaf vouches for: "+what, before(func(r *rawTree) {
			p := *r.parent(5)
			p.EncryptionKey = key
			r.setParent(5, p)
			l := *r.leaf(3)
			l.ParentHash = h.suite.Hash(wire.Marshal(wire.ParentHashInput{EncryptionKey: key, ParentHash: p.ParentHash, OriginalSiblingTreeHash: r.hash(4)}))
			must(b.t, signLeaf(&l, h.list[3].signer, h.list[0].group.GroupID(), 3))
			r.set(3, l)
		}))
	}
	h.add("R-12.4.3.3-02", "a leaf where a parent node belongs", func(w *welcoming) {
		w.encoded = func(b []byte) []byte {
			nodes, err := wire.Unmarshal[wire.RatchetTree](b)
			must(h.t, err)
			nodes[1] = nodes[0]
			return wire.Marshal(nodes)
		}
	})
	h.add("R-12.4.3.3-02", "a parent node where a leaf belongs", func(w *welcoming) {
		w.encoded = func(b []byte) []byte {
			nodes, err := wire.Unmarshal[wire.RatchetTree](b)
			must(h.t, err)
			nodes[2] = nodes[3]
			return wire.Marshal(nodes)
		}
	})
	h.add("R-12.4.3.3-01", "blank nodes at the end", func(w *welcoming) { w.encoded = func(b []byte) []byte { return longer(b, 0) } })
	h.add("R-2.1-01", "an octet after the tree", func(w *welcoming) { w.encoded = func(b []byte) []byte { return append(b, 0) } })
	h.add("R-13.4-03", "an extension that nobody lists", func(w *welcoming) {
		w.context = func(c *wire.GroupContext) { c.Extensions = wire.Extensions{{ExtensionType: 0xf0f0}} }
	})
	h.add("R-7.3-03", "a proposal type that nobody lists", func(w *welcoming) {
		w.context = func(c *wire.GroupContext) {
			c.Extensions = wire.Extensions{requirements(wire.RequiredCapabilities{ProposalTypes: []wire.ProposalType{0xf0f0}})}
		}
	})
}

// longer adds octets to a vector.
func longer(vector []byte, more ...byte) []byte {
	w := wire.NewWriter(nil)
	w.Opaque(append(bytes.Clone(wire.NewReader(vector).Opaque()), more...))
	return w.Bytes()
}

// externalJoins: what a client that joins by itself refuses of a GroupInfo.
func (b *book) externalJoins() {
	h := b.hall()
	add := func(rule, what string, bad func(*welcoming)) {
		made := func(bad func(*welcoming)) (in negativeInput) {
			w := &welcoming{t: h.t, list: h.list, guest: h.kp, open: true}
			if bad != nil {
				bad(w)
			}
			_, in.RatchetTree = w.make()
			in.Message = w.groupInfo
			return in
		}
		b.file.Cases = append(b.file.Cases, negativeCase{
			Rule: rule, What: what, Kind: "external_join", Suite: h.suite.ID(), Accept: made(nil), Reject: made(bad),
		})
	}
	add("R-12.4.3.2-02", "no external_pub", func(w *welcoming) { w.open = false })
	add("R-12.4.3-01", "signed with another member's key", func(w *welcoming) { w.signer = h.list[1].signer })
	add("R-12.4.3-02", "a signer beyond the tree", func(w *welcoming) { w.info = func(g *wire.GroupInfo) { g.Signer = 1 << 31 } })
	add("R-12.4.3.1-07", "another tree hash", func(w *welcoming) { w.context = func(c *wire.GroupContext) { c.TreeHash = nil } })
	add("R-12.4.3.1-18", "an empty confirmation tag", func(w *welcoming) { w.info = func(g *wire.GroupInfo) { g.ConfirmationTag = nil } })
	add("R-12.4.3.1-08", "a leaf that was signed by nobody", func(w *welcoming) {
		w.before = func(r *rawTree) { r.leaf(4).Signature = suite.Random(64) }
	})
	add("R-7.9.2-01", "a parent node with another key", func(w *welcoming) {
		w.after = func(r *rawTree) { r.parent(1).EncryptionKey = suite.Random(32) }
	})
	b.file.Clients = nil
}
