package mls

import (
	"bytes"
	"math/big"
	"slices"

	"crypto/elliptic"
	"encoding/asn1"

	"parley/mls/suite"
	"parley/mls/wire"
)

// codec: RFC 9420, Sections 2 and 6, and the structures that are read alone.
func (b *book) codec() {
	remove := wire.Marshal(removal(3))
	b.decode("R-2.1-01", "an octet after a Remove", "Proposal", remove, append(bytes.Clone(remove), 0))
	b.decode("R-2.1-02", "a Remove without its last octet", "Proposal", remove, remove[:len(remove)-1])
	secrets := wire.Marshal(wire.GroupSecrets{JoinerSecret: make([]byte, 32)})
	at := 33 // where path_secret is announced
	b.decode("R-2.1.1-01", "path_secret announced by 2", "GroupSecrets", secrets, slices.Replace(bytes.Clone(secrets), at, at+1, 2))
	b.decode("R-2.1.1-01", "path_secret announced by 255", "GroupSecrets", secrets, slices.Replace(bytes.Clone(secrets), at, at+1, 255))
	reference := wire.Marshal(wire.Commit{Proposals: []wire.ProposalOrRef{wire.ByReference(make([]byte, 32))}})
	// proposals<V> is a length and the elements: 34 octets of type, length, reference.
	b.decode("R-2.1.2-01", "a length of 34 in two octets", "Commit", reference, append([]byte{0x40}, reference...))
	b.decode("R-2.1.2-01", "a length of 34 in four octets", "Commit", reference, append([]byte{0x80, 0, 0}, reference...))
	b.decode("R-2.1.2-01", "a length of 32 in two octets, inside", "Commit", reference,
		slices.Concat([]byte{reference[0] + 1, reference[1], 0x40}, reference[2:]))
	long := wire.Marshal(wire.Commit{Proposals: []wire.ProposalOrRef{wire.ByReference(make([]byte, 70))}})
	b.decode("R-2.1.2-01", "a length of 73 in four octets", "Commit", long, append([]byte{0x80, 0, 0}, long[1:]...))
	b.decode("R-2.1.2-02", "a length that starts with 11", "Commit", reference, append([]byte{0xc0, 0, 0, 0, 0, 0, 0}, reference...))
	b.decode("R-2.1.2-03", "a length of 2^30 - 1", "Commit", reference, append([]byte{0xbf, 0xff, 0xff, 0xff}, reference[1:]...))
	basic := wire.Marshal(wire.BasicCredential([]byte("alice")))
	b.decode("R-5.3-03", "type 0", "Credential", basic, slices.Replace(bytes.Clone(basic), 0, 2, 0, 0))
	b.decode("R-5.3-03", "a GREASE type", "Credential", basic, slices.Replace(bytes.Clone(basic), 0, 2, 0x1a, 0x1a))
	s, _ := suite.Lookup(1)
	k := b.newcomer(s, nil)
	message := wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatKeyPackage, KeyPackage: &k})
	b.decode("R-6-01", "version 0", "MLSMessage", message, slices.Replace(bytes.Clone(message), 0, 2, 0, 0))
	b.decode("R-6-01", "version 2", "MLSMessage", message, slices.Replace(bytes.Clone(message), 0, 2, 0, 2))
	b.decode("R-10-02", "version 2 in a message of version 1", "MLSMessage", message, slices.Replace(bytes.Clone(message), 4, 6, 0, 2))
	b.decode("R-6-02", "wire format 0", "MLSMessage", message, slices.Replace(bytes.Clone(message), 2, 4, 0, 0))
	b.decode("R-6-02", "wire format 6", "MLSMessage", message, slices.Replace(bytes.Clone(message), 2, 4, 0, 6))
	private := wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatPrivateMessage, PrivateMessage: &wire.PrivateMessage{
		GroupID: []byte("g"), ContentType: wire.ContentTypeApplication,
	}})
	content := 4 + 2 + 8
	b.decode("R-6-03", "content type 0", "MLSMessage", private, slices.Replace(bytes.Clone(private), content, content+1, 0))
	b.decode("R-6-03", "content type 4", "MLSMessage", private, slices.Replace(bytes.Clone(private), content, content+1, 4))
	p := removal(1)
	public := wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatPublicMessage, PublicMessage: &wire.PublicMessage{
		Content: wire.FramedContent{
			GroupID: []byte("g"), Sender: wire.Sender{SenderType: wire.SenderTypeNewMemberProposal},
			ContentType: wire.ContentTypeProposal, Proposal: &p,
		},
	}})
	b.decode("R-6-04", "sender type 0", "MLSMessage", public, slices.Replace(bytes.Clone(public), content, content+1, 0))
	b.decode("R-6-04", "sender type 5", "MLSMessage", public, slices.Replace(bytes.Clone(public), content, content+1, 5))
	b.codecOfTrees(k.LeafNode)
	b.codecOfLists()
}

// codecOfTrees: nodes.
func (b *book) codecOfTrees(leaf wire.LeafNode) {
	encoded := wire.Marshal(leaf)
	source := bytes.LastIndexByte(encoded[:len(encoded)-len(leaf.Signature)-2-len(wire.Marshal(leaf.Extensions))-16+1], 1)
	for _, v := range []byte{0, 4} {
		b.decode("R-7.2-05", "source 0 or 4", "LeafNode", encoded, slices.Replace(bytes.Clone(encoded), source, source+1, v))
	}
	member := &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	parent := func(unmerged ...wire.LeafIndex) *wire.Node {
		return &wire.Node{NodeType: wire.NodeTypeParent, ParentNode: &wire.ParentNode{EncryptionKey: make([]byte, 32), UnmergedLeaves: unmerged}}
	}
	nodes := func(list ...*wire.Node) []byte { return wire.Marshal(wire.RatchetTree(list)) }
	good := nodes(member, parent(0, 1), member)
	b.decode("R-7.1-01", "unmerged leaves 1, 0", "RatchetTree", good, nodes(member, parent(1, 0), member))
	b.decode("R-7.1-01", "unmerged leaf 1 twice", "RatchetTree", good, nodes(member, parent(1, 1), member))
	b.decode("R-12.4.3.3-01", "a blank node at the end", "RatchetTree", good, nodes(member, parent(0, 1), member, nil))
	b.decode("R-12.4.3.3-02", "a parent node where a leaf belongs", "RatchetTree", good, nodes(parent(), parent(0, 1), member))
	b.decode("R-12.4.3.3-02", "a leaf where a parent node belongs", "RatchetTree", good, nodes(member, member, member))
}

// codecOfLists: proposals, pre-shared keys and extensions.
func (b *book) codecOfLists() {
	external := ExternalPSK([]byte("id"))
	id := wire.Marshal(external)
	resumption := wire.Marshal(ResumptionPSK([]byte("g"), 1))
	b.decode("R-8.4-01", "psktype 0", "PreSharedKeyID", id, slices.Replace(bytes.Clone(id), 0, 1, 0))
	b.decode("R-8.4-01", "psktype 3", "PreSharedKeyID", id, slices.Replace(bytes.Clone(id), 0, 1, 3))
	b.decode("R-8.4-01", "usage 0", "PreSharedKeyID", resumption, slices.Replace(bytes.Clone(resumption), 1, 2, 0))
	b.decode("R-8.4-01", "usage 4", "PreSharedKeyID", resumption, slices.Replace(bytes.Clone(resumption), 1, 2, 4))
	remove := wire.Marshal(removal(3))
	b.decode("R-12.1-03", "type 0", "Proposal", remove, slices.Replace(bytes.Clone(remove), 0, 2, 0, 0))
	b.decode("R-12.1-03", "type 8", "Proposal", remove, slices.Replace(bytes.Clone(remove), 0, 2, 0, 8))
	for _, v := range []byte{0x0a, 0x7a, 0xea} {
		b.decode("R-13.5-02", "a GREASE type", "Proposal", remove, slices.Replace(bytes.Clone(remove), 0, 2, v, v))
	}
	reference := wire.Marshal(wire.Commit{Proposals: []wire.ProposalOrRef{wire.ByReference(make([]byte, 32))}})
	b.decode("R-12.4-04", "type 0", "Commit", reference, slices.Replace(bytes.Clone(reference), 1, 2, 0))
	b.decode("R-12.4-04", "type 3", "Commit", reference, slices.Replace(bytes.Clone(reference), 1, 2, 3))
	one, two := wire.Extension{ExtensionType: 0xf001}, wire.Extension{ExtensionType: 0xf002}
	b.decode("R-13.4-01", "one type twice", "Proposal", wire.Marshal(extensions(one, two)), wire.Marshal(extensions(one, one)))
	many := make(wire.Extensions, 40)
	for i := range many {
		many[i].ExtensionType = wire.ExtensionType(0xf001 + i)
	}
	twice := slices.Clone(many)
	twice[39].ExtensionType = twice[0].ExtensionType
	b.decode("R-13.4-01", "one type twice among 40", "Proposal", wire.Marshal(extensions(many...)), wire.Marshal(extensions(twice...)))
}

// keyPackage writes a case of a key package.
func (b *book) keyPackage(rule, what string, s *suite.Suite, bad func(*packaging)) {
	b.t.Helper()
	encode := func(k wire.KeyPackage) negativeInput {
		return negativeInput{Message: wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatKeyPackage, KeyPackage: &k})}
	}
	b.file.Cases = append(b.file.Cases, negativeCase{
		Rule: rule, What: what, Kind: "key_package", Suite: s.ID(),
		Accept: encode(b.newcomer(s, nil)), Reject: encode(b.newcomer(s, bad)),
	})
}

// keyPackages: RFC 9420, Sections 5.1.1, 7.2, 7.3 and 10.1.
func (b *book) keyPackages() {
	s, _ := suite.Lookup(1)
	nist, _ := suite.Lookup(2)
	leaf := func(change func(*wire.LeafNode)) func(*packaging) { return func(p *packaging) { p.leaf = change } }
	whole := func(change func(*wire.KeyPackage)) func(*packaging) { return func(p *packaging) { p.whole = change } }
	low := append([]byte("\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a"), "\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00"...)

	b.keyPackage("R-5.1.1-01", "31 octets", s, leaf(func(l *wire.LeafNode) { l.EncryptionKey = l.EncryptionKey[:31] }))
	b.keyPackage("R-5.1.1-01", "33 octets", s, leaf(func(l *wire.LeafNode) { l.EncryptionKey = append(bytes.Clone(l.EncryptionKey), 0) }))
	b.keyPackage("R-5.1.1-01", "empty", s, leaf(func(l *wire.LeafNode) { l.EncryptionKey = nil }))
	b.keyPackage("R-5.1.1-01", "not on the curve", nist, leaf(func(l *wire.LeafNode) { l.EncryptionKey = changed(l.EncryptionKey, 64) }))
	b.keyPackage("R-5.1.1-01", "compressed", nist, leaf(func(l *wire.LeafNode) { l.EncryptionKey = compressed(l.EncryptionKey) }))
	b.keyPackage("R-5.1.1-01", "the point at infinity", nist, leaf(func(l *wire.LeafNode) { l.EncryptionKey = []byte{0} }))
	for i, point := range [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...), low} {
		b.keyPackage("R-5.1.1-03", []string{"zero", "one", "a point of order 8"}[i], s, leaf(func(l *wire.LeafNode) { l.EncryptionKey = point }))
	}
	b.keyPackage("R-10.1-05", "31 octets", s, whole(func(k *wire.KeyPackage) { k.InitKey = k.InitKey[:31] }))
	b.keyPackage("R-10.1-05", "a point of low order", s, whole(func(k *wire.KeyPackage) { k.InitKey = low }))
	b.keyPackage("R-10.1-05", "not on the curve", nist, whole(func(k *wire.KeyPackage) { k.InitKey = changed(k.InitKey, 64) }))
	b.keyPackage("R-10.1-02", "suite 3", s, whole(func(k *wire.KeyPackage) { k.CipherSuite = 3 }))
	b.keyPackage("R-10.1-04", "init_key is the encryption key", s, whole(func(k *wire.KeyPackage) { k.InitKey = k.LeafNode.EncryptionKey }))
	b.keyPackage("R-10.1-03", "signed before a change", s, func(p *packaging) {
		p.finished = func(k *wire.KeyPackage) { k.Extensions = append(k.Extensions, wire.Extension{ExtensionType: 0xf001}) }
	})
	b.keyPackage("R-7.3-01", "the leaf's signature is of the key package", s, func(p *packaging) {
		p.signed = func(l *wire.LeafNode) { l.Signature = suite.Random(64) }
	})
	b.keyPackage("R-7.3-01", "an empty signature of the leaf", s, func(p *packaging) { p.signed = func(l *wire.LeafNode) { l.Signature = nil } })
	b.keyPackage("R-7.2-01", "an extension that is not listed", s, leaf(func(l *wire.LeafNode) {
		l.Extensions = append(slices.Clone(l.Extensions), wire.Extension{ExtensionType: 0xf001})
	}))
	b.keyPackage("R-7.2-01", "a GREASE extension that is not listed", s, leaf(func(l *wire.LeafNode) {
		l.Capabilities.Extensions = withoutGrease(l.Capabilities.Extensions)
		l.Extensions = append(slices.Clone(l.Extensions), wire.Extension{ExtensionType: 0x3a3a})
	}))
	b.keyPackage("R-7.2-02", "no credential type listed", s, leaf(func(l *wire.LeafNode) { l.Capabilities.Credentials = nil }))
	b.keyPackage("R-7.2-02", "another credential type listed", s, leaf(func(l *wire.LeafNode) {
		l.Capabilities.Credentials = []wire.CredentialType{wire.CredentialTypeX509}
	}))
	b.keyPackage("R-7.2-03", "a lifetime of 401 days", s, leaf(func(l *wire.LeafNode) {
		l.Lifetime = wire.Lifetime{NotBefore: seconds(start), NotAfter: seconds(start) + 401*24*3600}
	}))
	b.keyPackage("R-7.2-03", "a lifetime for ever", s, leaf(func(l *wire.LeafNode) { l.Lifetime = wire.Lifetime{NotAfter: 1<<64 - 1} }))
	b.keyPackage("R-7.2-04", "ends before it begins", s, leaf(func(l *wire.LeafNode) {
		l.Lifetime = wire.Lifetime{NotBefore: seconds(start) + 1, NotAfter: seconds(start) - 1}
	}))
	b.keyPackage("R-7.3-07", "ended a second ago", s, leaf(func(l *wire.LeafNode) { l.Lifetime.NotAfter = seconds(start) - 1 }))
	b.keyPackage("R-7.3-07", "begins in a second", s, leaf(func(l *wire.LeafNode) { l.Lifetime.NotBefore = seconds(start) + 1 }))
	b.keyPackage("R-7.3-08", "source update", s, leaf(func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceUpdate }))
	b.keyPackage("R-7.3-08", "source commit", s, leaf(func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceCommit }))
	b.certificates(s)
}

// certificates: RFC 9420, Section 5.3.
func (b *book) certificates(s *suite.Suite) {
	mine, other := newSigner(b.t, s), newSigner(b.t, s)
	key, err := s.SignatureKeyOf(mine)
	must(b.t, err)
	good := wire.X509Credential(certify(b.t, mine.Public(), mine))
	for _, bad := range []struct {
		rule, what string
		credential wire.Credential
	}{
		{"R-5.3-01", "a certificate for another key", wire.X509Credential(certify(b.t, other.Public(), mine))},
		{"R-5.3-01", "the right certificate in the second place", wire.X509Credential(
			certify(b.t, other.Public(), mine), good.Certificates[0].CertData)},
		{"R-5.3-01", "something that is no certificate", wire.X509Credential([]byte("junk"))},
		{"R-5.3-02", "no certificate", wire.X509Credential()},
	} {
		message := func(credential wire.Credential) negativeInput {
			p := newPerson(b.t, s, "")
			p.signer = key
			k := (&packaging{t: b.t, by: p, leaf: func(l *wire.LeafNode) { l.Credential = credential }}).make()
			return negativeInput{Message: wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatKeyPackage, KeyPackage: &k})}
		}
		b.file.Cases = append(b.file.Cases, negativeCase{
			Rule: bad.rule, What: bad.what, Kind: "key_package", Suite: s.ID(), Accept: message(good), Reject: message(bad.credential),
		})
	}
}

// compressed is a point of a NIST curve in the other encoding.
func compressed(point []byte) []byte {
	n := len(point) / 2
	return append([]byte{2 + point[2*n]&1}, point[1:1+n]...)
}

// signatures: RFC 9420, Section 5.1.2.
func (b *book) signatures() {
	s, _ := suite.Lookup(1)
	finished := func(change func(signature []byte) []byte) func(*packaging) {
		return func(p *packaging) {
			p.finished = func(k *wire.KeyPackage) { k.Signature = change(bytes.Clone(k.Signature)) }
		}
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	b.keyPackage("R-5.1.2-01", "S of Ed25519 plus L", s, finished(func(sig []byte) []byte {
		slices.Reverse(sig[32:])
		value := new(big.Int).Add(new(big.Int).SetBytes(sig[32:]), order)
		value.FillBytes(sig[32:])
		slices.Reverse(sig[32:])
		return sig
	}))
	b.keyPackage("R-5.1.2-01", "Ed25519 without its last octet", s, finished(func(sig []byte) []byte { return sig[:63] }))
	b.keyPackage("R-5.1.2-01", "Ed25519 with an octet more", s, finished(func(sig []byte) []byte { return append(sig, 0) }))
	b.keyPackage("R-5.1.2-01", "no signature", s, finished(func([]byte) []byte { return nil }))
	b.keyPackage("R-5.1.2-02", "signed with the label of a leaf node", s, func(p *packaging) {
		p.finished = func(k *wire.KeyPackage) {
			var err error
			k.Signature, err = p.by.signer.Sign("LeafNodeTBS", wire.Marshal(wire.KeyPackageTBS(*k)))
			must(b.t, err)
		}
	})
	b.smallOrder(s)
	for _, id := range []suite.ID{2, 5, 7} {
		if s, err := suite.Lookup(id); err == nil {
			b.ecdsa(s, finished)
		}
	}
}

// smallOrder: a key package signed by nobody.
func (b *book) smallOrder(s *suite.Suite) {
	identity := append([]byte{1}, make([]byte, 31)...)
	nobody := append(bytes.Clone(identity), make([]byte, 32)...) // R the identity, S zero: valid for every message
	b.keyPackage("R-5.1.1-04", "the identity, and a signature that nobody made", s, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.SignatureKey = identity }
		p.signed = func(l *wire.LeafNode) { l.Signature = nobody }
		p.finished = func(k *wire.KeyPackage) { k.Signature = nobody }
	})
	b.keyPackage("R-5.1.1-02", "31 octets", s, func(p *packaging) { p.leaf = func(l *wire.LeafNode) { l.SignatureKey = l.SignatureKey[:31] } })
	nist, _ := suite.Lookup(2)
	b.keyPackage("R-5.1.1-02", "not on the curve", nist, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.SignatureKey = changed(l.SignatureKey, 64) }
	})
}

// ecdsa: r and s of a good signature in other encodings. That n - s verifies as
// well is not refused: neither RFC 9420 nor FIPS 186 ask for the lower one.
func (b *book) ecdsa(s *suite.Suite, finished func(func([]byte) []byte) func(*packaging)) {
	n := map[suite.ID]elliptic.Curve{2: elliptic.P256(), 5: elliptic.P521(), 7: elliptic.P384()}[s.ID()].Params().N
	type pair struct{ R, S *big.Int }
	with := func(change func(*pair)) func(*packaging) {
		return finished(func(sig []byte) []byte {
			var p pair
			_, err := asn1.Unmarshal(sig, &p)
			must(b.t, err)
			change(&p)
			sig, err = asn1.Marshal(p)
			must(b.t, err)
			return sig
		})
	}
	b.keyPackage("R-5.1.2-01", "ECDSA as r || s", s, finished(func(sig []byte) []byte {
		var p pair
		_, err := asn1.Unmarshal(sig, &p)
		must(b.t, err)
		size := (n.BitLen() + 7) / 8
		return append(p.R.FillBytes(make([]byte, size)), p.S.FillBytes(make([]byte, size))...)
	}))
	b.keyPackage("R-5.1.2-01", "ECDSA with an octet after it", s, finished(func(sig []byte) []byte { return append(sig, 0) }))
	b.keyPackage("R-5.1.2-01", "ECDSA with a BER length", s, finished(func(sig []byte) []byte {
		if sig[1] < 0x80 {
			return slices.Insert(sig, 1, 0x81)
		}
		return slices.Concat(sig[:1], []byte{0x82, 0}, sig[2:])
	}))
	b.keyPackage("R-5.1.2-01", "r plus n", s, with(func(p *pair) { p.R.Add(p.R, n) }))
	b.keyPackage("R-5.1.2-01", "s plus n", s, with(func(p *pair) { p.S.Add(p.S, n) }))
	b.keyPackage("R-5.1.2-01", "s less n", s, with(func(p *pair) { p.S.Sub(p.S, n) }))
	b.keyPackage("R-5.1.2-01", "r and s zero", s, with(func(p *pair) { p.R, p.S = new(big.Int), new(big.Int) }))
}

// framing: RFC 9420, Sections 6.1 and 6.2.
func (b *book) framing() {
	var service *suite.SignaturePrivateKey
	sc := b.scene("member", 1, func(i int, p *person) {
		if i == 0 {
			var err error
			service, err = p.suite.GenerateSignatureKey()
			must(b.t, err)
			p.extensions = wire.Extensions{{ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: wire.Marshal(wire.ExternalSenders{
				{SignatureKey: service.PublicKey(), Credential: wire.BasicCredential([]byte("service"))},
			})}}
		}
	})
	group := sc.people[0].group
	add := addition(b.newcomer(sc.suite, nil))
	proposes := func(f *forgery) { f.proposal = &add }
	foreign := newPerson(b.t, sc.suite, "a stranger").signer

	sc.add("R-6-05", "application data", play{
		good: proposes,
		bad:  func(f *forgery) { f.proposal, f.text = nil, []byte("in the clear") },
	})
	sc.add("R-6-06", "another group ID", play{good: proposes, bad: func(f *forgery) {
		f.content = func(c *wire.FramedContent) { c.GroupID = []byte("another group") }
	}})
	sc.add("R-6.1-01", "signed with a stranger's key", play{good: proposes, bad: func(f *forgery) { f.signer = foreign }})
	sc.add("R-6.1-01", "signed with another member's key", play{good: proposes, bad: func(f *forgery) { f.signer = sc.people[1].signer }})
	sc.add("R-6.1-01", "a commit signed with another member's key", play{bad: func(f *forgery) { f.signer = sc.people[1].signer }})
	sc.add("R-6.1-01", "no signature", play{good: proposes, bad: func(f *forgery) {
		f.auth = func(a *wire.FramedContentAuthData) { a.Signature = nil }
	}})
	sc.add("R-6.1-02", "signed for a PrivateMessage", play{good: proposes, bad: func(f *forgery) { f.format = wire.WireFormatPrivateMessage }})
	earlier := group.GroupContext()
	earlier.ConfirmedTranscriptHash = suite.Random(sc.suite.HashSize())
	sc.add("R-6.1-03", "signed for another GroupContext", play{good: proposes, bad: func(f *forgery) { f.context = &earlier }})
	for _, i := range []wire.LeafIndex{6, 7, 8, 1 << 30, 1<<31 + 1, 1<<32 - 1} {
		sc.add("R-6.1-04", "a sender's leaf that is blank, or beyond the tree", play{good: proposes, bad: func(f *forgery) {
			f.content = func(c *wire.FramedContent) { c.Sender.LeafIndex = i }
		}})
	}
	outside := func(kind wire.SenderType, signer *suite.SignaturePrivateKey, p wire.Proposal) func(*forgery) {
		return func(f *forgery) {
			f.outside, f.proposal, f.signer = &wire.Sender{SenderType: kind}, &p, signer
		}
	}
	from := outside(wire.SenderTypeExternal, service, removal(2))
	sc.add("R-6.1-05", "an external sender commits", play{good: from, bad: func(f *forgery) { f.proposal = nil }})
	sc.add("R-6.1-08", "an external sender signs with a stranger's key", play{good: from, bad: func(f *forgery) { f.signer = foreign }})
	for _, i := range []uint32{1, 1 << 31, 1<<32 - 1} {
		sc.add("R-12.1.8.1-01", "an index beyond the list", play{good: from, bad: func(f *forgery) { f.outside.SenderIndex = i }})
	}
	joiner := newPerson(b.t, sc.suite, "a joiner")
	k := (&packaging{t: b.t, by: joiner}).make()
	joins := outside(wire.SenderTypeNewMemberProposal, joiner.signer, addition(k))
	sc.add("R-6.1-06", "a new member proposes a Remove", play{good: joins, bad: func(f *forgery) { p := removal(2); f.proposal = &p }})
	sc.add("R-6.1-06", "a new member that only proposes commits", play{good: joins, bad: func(f *forgery) { f.proposal = nil }})
	sc.add("R-6.1-08", "a new member signs with a stranger's key", play{good: joins, bad: func(f *forgery) { f.signer = foreign }})
	enters := func(f *forgery) { f.by, f.external, f.list = joiner, true, values(externalInit()) }
	sc.add("R-6.1-07", "a new member that commits proposes", play{good: enters, bad: func(f *forgery) {
		f.outside, f.external, f.proposal, f.signer = &wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}, false, &add, joiner.signer
	}})
	sc.add("R-6.1-08", "an external commit is signed with a stranger's key", play{good: enters, bad: func(f *forgery) { f.signer = foreign }})
	for _, kind := range []wire.Proposal{updating(b.ofUpdate(sc.people[1], nil)), externalInit(), {ProposalType: wire.ProposalTypeSelfRemove}} {
		rule := "R-12.1.8-01"
		if kind.ProposalType == wire.ProposalTypeSelfRemove {
			rule = "R-SR-04"
		}
		sc.add(rule, "an external sender proposes "+kind.ProposalType.String(), play{good: from, bad: func(f *forgery) { f.proposal = &kind }})
	}
	for what, change := range map[string]func([]byte) []byte{
		"another": func(tag []byte) []byte { return changed(tag, 0) }, "empty": func([]byte) []byte { return nil },
		"the first octet": func(tag []byte) []byte { return tag[:1] }, "without its last octet": func(tag []byte) []byte { return tag[:len(tag)-1] },
		"with an octet more": func(tag []byte) []byte { return append(bytes.Clone(tag), 0) },
	} {
		sc.add("R-6.2-01", "membership tag: "+what, play{good: proposes, bad: func(f *forgery) { f.member = change }})
		sc.add("R-8.2-01", "confirmation tag: "+what, play{bad: func(f *forgery) {
			f.tagged = func(a *wire.FramedContentAuthData) { a.ConfirmationTag = change(a.ConfirmationTag) }
		}})
	}
}

// private: RFC 9420, Sections 6.3 and 9.
func (b *book) private() {
	for _, id := range []suite.ID{1, 2} {
		b.privateOf(b.scene([]string{"", "x25519", "p256"}[id], id, nil))
	}
}

func (b *book) privateOf(sc *scene) {
	speaks := func(f *forgery) { f.private, f.text, f.padding = true, []byte("hello"), make([]byte, 20) }
	add := func(rule, what string, bad func(*forgery)) {
		sc.add(rule, what, play{kind: "open", good: speaks, bad: bad})
	}
	sealed := func(change func(*wire.PrivateMessage)) func(*forgery) { return func(f *forgery) { f.sealed = change } }
	sender := func(change func(*wire.SenderData)) func(*forgery) { return func(f *forgery) { f.sender = change } }
	add("R-6.3.1-01", "the last octet of the padding is 1", func(f *forgery) { f.padding[19] = 1 })
	add("R-6.3.1-01", "the first octet of the padding is 128", func(f *forgery) { f.padding[0] = 128 })
	add("R-6.3.1-02", "other authenticated data", sealed(func(m *wire.PrivateMessage) { m.AuthenticatedData = []byte("other") }))
	add("R-6.3.1-02", "a ciphertext changed behind the sample", sealed(func(m *wire.PrivateMessage) { m.Ciphertext = changed(m.Ciphertext, len(m.Ciphertext)-1) }))
	add("R-6.3.1-02", "a ciphertext without its end", sealed(func(m *wire.PrivateMessage) { m.Ciphertext = m.Ciphertext[:len(m.Ciphertext)-1] }))
	add("R-6.3.2-02", "sender data of another message", sealed(func(m *wire.PrivateMessage) { m.Ciphertext = changed(m.Ciphertext, 0) }))
	add("R-6.3.2-02", "no sender data", sealed(func(m *wire.PrivateMessage) { m.EncryptedSenderData = nil }))
	add("R-6.3.2-02", "sender data changed", sealed(func(m *wire.PrivateMessage) { m.EncryptedSenderData = changed(m.EncryptedSenderData, 3) }))
	add("R-6.3.2-03", "the receiver's own leaf", sender(func(d *wire.SenderData) { d.LeafIndex = 5 }))
	for _, i := range []wire.LeafIndex{6, 8, 1 << 31, 1<<32 - 1} {
		add("R-6.3.2-01", "a leaf that is blank, or beyond the tree", sender(func(d *wire.SenderData) { d.LeafIndex = i }))
	}
	for _, g := range []uint32{MaxForward + 1, 1 << 24, 1<<31 + 1, 1<<32 - 1} {
		add("R-9.1-01", "a generation far ahead", sender(func(d *wire.SenderData) { d.Generation = g }))
	}
	add("R-6.1-01", "another member speaks in its name", func(f *forgery) { f.signer = sc.people[1].signer })
	add("R-6.1-02", "signed for a PublicMessage", func(f *forgery) { f.format = wire.WireFormatPublicMessage })
	sc.guarded(speaks)
	// A message that was opened already; its twin is the next one.
	said := seal(b.t, sc.fork(sc.people[0]).group, "said")
	next := sc.fork(sc.people[0])
	seal(b.t, next.group, "said")
	sc.file.Cases = append(sc.file.Cases, negativeCase{
		Rule: "R-9.2-01", What: "a message that was opened already", Kind: "open", Client: sc.name, Before: hexes(said),
		Accept: negativeInput{Message: seal(b.t, next.group, "more")}, Reject: negativeInput{Message: said},
	})
	commits := func(f *forgery) { f.private = true }
	sc.add("R-6.3.1-01", "a commit whose padding is not zero", play{good: commits, bad: func(f *forgery) { f.padding = []byte{1} }})
	sc.add("R-8.2-01", "a private commit with a wrong confirmation tag", play{good: commits, bad: func(f *forgery) {
		f.tagged = func(a *wire.FramedContentAuthData) { a.ConfirmationTag = changed(a.ConfirmationTag, 5) }
	}})
	sc.add("R-12.2-03", "a private commit removes the committer", play{
		good: func(f *forgery) { f.private, f.list = true, values(removal(2)) },
		bad:  func(f *forgery) { f.list = values(removal(0)) },
	})
}

// guarded: a message whose sender data names another reuse guard than the nonce
// was made with.
func (sc *scene) guarded(speaks func(*forgery)) {
	sc.add("R-6.3.1-03", "another reuse guard in the sender data", play{kind: "open", good: speaks, bad: func(f *forgery) {
		f.sealed = func(m *wire.PrivateMessage) {
			data := wire.SenderData{LeafIndex: 0, ReuseGuard: [4]byte{4, 3, 2, 1}}
			m.EncryptedSenderData = f.group.epoch.sealSenderData(m, data)
		}
	}})
}
