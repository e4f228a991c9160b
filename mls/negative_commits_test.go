package mls

import (
	"bytes"
	"slices"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

func hexes(messages ...[]byte) (list []vectors.Hex) {
	for _, m := range messages {
		list = append(list, m)
	}
	return list
}

// leafNodes: RFC 9420, Section 7.3, where a group asks more of a leaf than that
// it is valid by itself.
func (b *book) leafNodes() {
	const extra wire.ExtensionType = 0xf0f0
	require := requirements(wire.RequiredCapabilities{
		ExtensionTypes: []wire.ExtensionType{extra}, ProposalTypes: []wire.ProposalType{poll}, CredentialTypes: []wire.CredentialType{wire.CredentialTypeX509},
	})
	capable := DefaultCapabilities(extra)
	capable.Proposals = append(capable.Proposals, poll)
	sc := b.scene("required", 1, func(i int, p *person) { p.capabilities, p.extensions = capable, wire.Extensions{require} })
	adds := func(change func(*wire.Capabilities)) func(*forgery) {
		return func(f *forgery) {
			k := b.newcomer(sc.suite, func(p *packaging) {
				p.leaf = func(l *wire.LeafNode) {
					l.Capabilities.Extensions = append(l.Capabilities.Extensions, extra)
					l.Capabilities.Proposals = append(slices.Clone(l.Capabilities.Proposals), poll)
					change(&l.Capabilities)
				}
			})
			f.list = values(addition(k))
		}
	}
	all := adds(func(*wire.Capabilities) {})
	lacks := map[string]func(*wire.Capabilities){
		"R-7.3-02": func(c *wire.Capabilities) {
			c.Extensions = slices.DeleteFunc(c.Extensions, func(e wire.ExtensionType) bool { return e == extra })
		},
		"R-7.3-03": func(c *wire.Capabilities) {
			c.Proposals = slices.DeleteFunc(slices.Clone(c.Proposals), func(p wire.ProposalType) bool { return p == poll })
		},
		"R-7.3-04": func(c *wire.Capabilities) { c.Credentials = []wire.CredentialType{wire.CredentialTypeBasic} },
	}
	for _, rule := range slices.Sorted(mapKeys(lacks)) {
		lack := lacks[rule]
		sc.add(rule, "a new member lacks it", play{good: all, bad: adds(lack)})
		lose := func(l *wire.LeafNode) {
			l.Capabilities.Extensions = slices.Clone(l.Capabilities.Extensions)
			lack(&l.Capabilities)
		}
		sc.add(rule, "the committer's new leaf lacks it", play{bad: func(f *forgery) { f.leaf = lose }})
		updates := func(list []*person) [][]byte {
			f := &forgery{t: b.t, by: list[1], group: list[1].group}
			p := updating(b.ofUpdate(list[1], lose))
			f.proposal = &p
			return [][]byte{f.message()}
		}
		sc.add(rule, "an Update lacks it", play{
			before: updates,
			good:   func(f *forgery) {},
			bad:    func(f *forgery) { f.list = []wire.ProposalOrRef{wire.ByReference(f.group.proposals[0].ref)} },
		})
	}
	narrow := wire.Capabilities{Versions: capable.Versions, CipherSuites: capable.CipherSuites, Credentials: []wire.CredentialType{wire.CredentialTypeBasic}}
	sc = b.scene("narrow", 1, func(i int, p *person) {
		if i == 2 {
			p.capabilities = narrow
		}
	})
	sc.add("R-SR-05", "member 2 does not list it", play{
		good: func(f *forgery) { p := removal(0); f.proposal = &p },
		bad:  func(f *forgery) { f.proposal = &wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove} },
	})
	signer := newSigner(b.t, sc.suite)
	certified := newPerson(b.t, sc.suite, "")
	var err error
	certified.signer, err = sc.suite.SignatureKeyOf(signer)
	must(b.t, err)
	credential := wire.X509Credential(certify(b.t, signer.Public(), signer))
	certified.credential = &credential
	sc.add("R-7.3-05", "an X.509 credential, which member 2 does not know", play{
		good: func(f *forgery) { f.list = values(addition(b.newcomer(sc.suite, nil))) },
		bad:  func(f *forgery) { f.list = values(addition((&packaging{t: b.t, by: certified}).make())) },
	})
	sc = b.scene("certified", 1, func(i int, p *person) {
		if i == 2 {
			p.signer, p.credential = certified.signer, &credential
		}
	})
	sc.add("R-7.3-06", "a new member that does not know X.509 credentials, which member 2 has", play{
		good: func(f *forgery) { f.list = values(addition(b.newcomer(sc.suite, nil))) },
		bad: func(f *forgery) {
			f.list = values(addition(b.newcomer(sc.suite, func(p *packaging) {
				p.leaf = func(l *wire.LeafNode) { l.Capabilities.Credentials = []wire.CredentialType{wire.CredentialTypeBasic} }
			})))
		},
	})
}

// paths: RFC 9420, Sections 7.5, 7.6, 7.9 and 12.4.2.
func (b *book) paths() {
	sc := b.scene("member", 1, nil)
	group := sc.people[0].group
	leaf := func(rule, what string, change func(*wire.LeafNode)) {
		sc.add(rule, what, play{bad: func(f *forgery) { f.leaf = change }})
	}
	key := func(x tree.NodeIndex) []byte { k, _ := group.Tree().EncryptionKey(x); return k }
	other := wire.LeafIndex(1)
	leaf("R-7.3-11", "source update", func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceUpdate })
	leaf("R-7.3-11", "source key_package", func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceKeyPackage })
	leaf("R-12.4.2-02", "the encryption key of before", func(l *wire.LeafNode) { l.EncryptionKey = key(0) })
	leaf("R-12.4.2-03", "another leaf's encryption key", func(l *wire.LeafNode) { l.EncryptionKey = key(2) })
	leaf("R-7.9-01", "a random parent hash", func(l *wire.LeafNode) { l.ParentHash = suite.Random(32) })
	leaf("R-7.9-01", "no parent hash", func(l *wire.LeafNode) { l.ParentHash = nil })
	leaf("R-5.3.1-02", "another name", func(l *wire.LeafNode) { l.Credential = wire.BasicCredential([]byte("mallory")) })
	leaf("R-7.2-01", "an extension that is not listed", func(l *wire.LeafNode) {
		l.Extensions = append(slices.Clone(l.Extensions), wire.Extension{ExtensionType: 0xf001})
	})
	leaf("R-5.1.1-03", "a point of low order", func(l *wire.LeafNode) { l.EncryptionKey = make([]byte, 32) })
	sc.add("R-7.3-01", "a random signature", play{bad: func(f *forgery) { f.signed = func(l *wire.LeafNode) { l.Signature = suite.Random(64) } }})
	sc.add("R-7.3-01", "signed with another member's key", play{bad: func(f *forgery) { f.leafSign = sc.people[1].signer }})
	sc.add("R-7.2-06", "signed for another leaf", play{bad: func(f *forgery) { f.place = &other }})
	sc.add("R-7.2-06", "signed for another group", play{bad: func(f *forgery) { f.groupID = []byte("another group") }})
	sc.add("R-7.3-12", "the committer takes another member's signature key", play{bad: func(f *forgery) {
		f.leafSign = sc.people[1].signer
		f.leaf = func(l *wire.LeafNode) { l.SignatureKey = sc.people[1].signer.PublicKey() }
	}})

	path := func(rule, what string, change func(*wire.UpdatePath)) {
		sc.add(rule, what, play{bad: func(f *forgery) { f.path = change }})
	}
	path("R-7.6-01", "no nodes", func(p *wire.UpdatePath) { p.Nodes = nil })
	path("R-7.6-01", "a node less", func(p *wire.UpdatePath) { p.Nodes = p.Nodes[:len(p.Nodes)-1] })
	path("R-7.6-01", "a node more", func(p *wire.UpdatePath) { p.Nodes = append(p.Nodes, p.Nodes[0]) })
	last := func(p *wire.UpdatePath) *[]wire.HPKECiphertext { return &p.Nodes[len(p.Nodes)-1].EncryptedPathSecret }
	path("R-7.6-02", "a ciphertext less", func(p *wire.UpdatePath) { *last(p) = (*last(p))[1:] })
	path("R-7.6-02", "a ciphertext more", func(p *wire.UpdatePath) { *last(p) = append(*last(p), (*last(p))[0]) })
	path("R-7.6-02", "no ciphertexts", func(p *wire.UpdatePath) { *last(p) = nil })
	sc.add("R-7.6-02", "a ciphertext for a member that the commit adds", play{
		good: func(f *forgery) { f.list = values(addition(b.newcomer(sc.suite, nil))) },
		bad:  func(f *forgery) { f.path = func(p *wire.UpdatePath) { *last(p) = append(*last(p), (*last(p))[0]) } },
	})
	path("R-5.1.3-01", "every ciphertext changed", func(p *wire.UpdatePath) {
		for i := range p.Nodes {
			for j := range p.Nodes[i].EncryptedPathSecret {
				c := &p.Nodes[i].EncryptedPathSecret[j]
				c.Ciphertext = changed(c.Ciphertext, 0)
			}
		}
	})
	path("R-5.1.3-01", "every kem_output of low order", func(p *wire.UpdatePath) {
		for i := range p.Nodes {
			for j := range p.Nodes[i].EncryptedPathSecret {
				p.Nodes[i].EncryptedPathSecret[j].KEMOutput = make([]byte, 32)
			}
		}
	})
	path("R-7.5-02", "every secret for another receiver", func(p *wire.UpdatePath) {
		for i := range p.Nodes {
			for j := range p.Nodes[i].EncryptedPathSecret {
				p.Nodes[i].EncryptedPathSecret[j] = p.Nodes[0].EncryptedPathSecret[0]
			}
		}
	})
	sc.add("R-7.5-01", "random secrets", play{bad: func(f *forgery) { f.secret = func(int, []byte) []byte { return suite.Random(32) } }})
	sc.add("R-7.5-01", "secrets of 31 octets", play{bad: func(f *forgery) { f.secret = func(_ int, s []byte) []byte { return s[:31] } }})
	sc.add("R-7.5-01", "empty secrets", play{bad: func(f *forgery) { f.secret = func(int, []byte) []byte { return nil } }})
	keys := func(rule, what string, change func([][]byte)) {
		sc.add(rule, what, play{bad: func(f *forgery) { f.keys = change }})
	}
	keys("R-12.4.2-03", "the receiver's encryption key", func(k [][]byte) { k[0] = key(10) })
	keys("R-12.4.2-03", "the root's encryption key", func(k [][]byte) { k[len(k)-1] = key(group.Tree().Root()) })
	keys("R-12.4.2-04", "two keys the same", func(k [][]byte) { k[0] = k[1] })
	keys("R-5.1.1-01", "31 octets", func(k [][]byte) { k[0] = k[0][:31] })
	keys("R-5.1.1-03", "a point of low order", func(k [][]byte) { k[1] = make([]byte, 32) })
	keys("R-7.5-01", "a key of nobody at the root", func(k [][]byte) { k[len(k)-1] = suite.Random(32) })
}

// refer commits everything that waits, by reference.
func refer(f *forgery) {
	f.list = nil
	for i := range f.group.proposals {
		f.list = append(f.list, wire.ByReference(f.group.proposals[i].ref))
	}
}

// proposals: RFC 9420, Section 12.1.
func (b *book) proposals() {
	sc := b.scene("member", 1, nil)
	group := sc.people[0].group
	proposal := func(rule, what string, good, bad wire.Proposal) {
		sc.add(rule, what+", proposed", play{
			good: func(f *forgery) { f.proposal = &good },
			bad:  func(f *forgery) { f.proposal = &bad },
		})
		sc.add(rule, what+", committed", play{
			good: func(f *forgery) { f.list = values(good) },
			bad:  func(f *forgery) { f.list = values(bad) },
		})
	}
	remove := removal(2)
	for _, i := range []wire.LeafIndex{6, 8, 1 << 31, 1<<32 - 1} {
		proposal("R-12.1.3-01", "a leaf that is blank, or beyond the tree", remove, removal(i))
	}
	add := addition(b.newcomer(sc.suite, nil))
	unsigned := b.newcomer(sc.suite, func(p *packaging) { p.finished = func(k *wire.KeyPackage) { k.Signature = suite.Random(64) } })
	proposal("R-12.2-01", "an Add whose key package is not signed", add, addition(unsigned))
	proposal("R-10.1-01", "an Add of version 2", add, addition(b.newcomer(sc.suite, func(p *packaging) { p.whole = func(k *wire.KeyPackage) { k.Version = 2 } })))
	proposal("R-10.1-02", "an Add for suite 3", add, addition(b.newcomer(sc.suite, func(p *packaging) { p.whole = func(k *wire.KeyPackage) { k.CipherSuite = 3 } })))
	proposal("R-7.2-03", "an Add of a leaf that lives for ever", add, addition(b.newcomer(sc.suite, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.Lifetime = wire.Lifetime{NotAfter: 1<<64 - 1} }
	})))
	proposal("R-5.1.1-03", "an Add of a leaf to which nothing can be sealed", add, addition(b.newcomer(sc.suite, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.EncryptionKey = make([]byte, 32) }
	})))
	known := ExternalPSK([]byte("known"))
	good := psk(known, 32)
	for _, n := range []int{0, 31, 33, 64} {
		proposal("R-12.1.4-03", "a nonce of another length", good, psk(known, n))
	}
	resumption := ResumptionPSK(group.GroupID(), group.Epoch())
	resumed := psk(resumption, 32)
	resumption.Usage = wire.ResumptionPSKUsageReInit
	proposal("R-12.1.4-01", "usage reinit", resumed, psk(resumption, 32))
	resumption.Usage = wire.ResumptionPSKUsageBranch
	proposal("R-12.1.4-02", "usage branch", resumed, psk(resumption, 32))
	proposal("R-12.1.5-01", "version 0", reinit(1), reinit(0))
	sc.add("R-12.2-10", "an ExternalInit of a member, proposed", play{
		good: func(f *forgery) { f.proposal = &remove },
		bad: func(f *forgery) {
			p := externalInit()
			f.proposal = &p
		},
	})
	supported := extensions(requirements(wire.RequiredCapabilities{ProposalTypes: []wire.ProposalType{poll}}))
	lists := func(list wire.Extension) wire.Proposal { return extensions(list) }
	sc.add("R-12.1.7-01", "an extension that nobody has", play{
		good: func(f *forgery) { f.list = values(supported) },
		bad: func(f *forgery) {
			f.list = values(lists(requirements(wire.RequiredCapabilities{ExtensionTypes: []wire.ExtensionType{0xf0f0}})))
		},
	})
	proposal("R-12.1.7-02", "required_capabilities that end in the middle", supported, lists(wire.Extension{
		ExtensionType: wire.ExtensionTypeRequiredCapabilities, ExtensionData: []byte{2, 0},
	}))
	proposal("R-12.1.7-02", "required_capabilities with half an extension type", supported, lists(wire.Extension{
		ExtensionType: wire.ExtensionTypeRequiredCapabilities, ExtensionData: []byte{3, 0, 1, 0, 0, 0},
	}))
	senders := func(key []byte, c wire.Credential) wire.Proposal {
		return extensions(wire.Extension{ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: wire.Marshal(wire.ExternalSenders{
			{SignatureKey: key, Credential: c},
		})})
	}
	signer := newSigner(b.t, sc.suite)
	public, err := sc.suite.SignaturePublicKey(signer.Public())
	must(b.t, err)
	certificate := wire.X509Credential(certify(b.t, signer.Public(), signer))
	proposal("R-5.1.1-02", "an external sender with a key of 31 octets", senders(public, certificate), senders(public[:31], certificate))
	proposal("R-5.1.1-04", "an external sender whose key is the identity",
		senders(public, wire.BasicCredential([]byte("service"))), senders(append([]byte{1}, make([]byte, 31)...), wire.BasicCredential([]byte("service"))))
	proposal("R-5.3-01", "an external sender with a certificate for another key", senders(public, certificate), senders(sc.people[0].signer.PublicKey(), certificate))
	proposal("R-12.1.7-02", "external_senders that are none", supported, lists(wire.Extension{
		ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: []byte{1},
	}))
	sc.add("R-13.4-03", "an extension that nobody lists", play{
		good: func(f *forgery) { f.list = values(supported) },
		bad:  func(f *forgery) { f.list = values(extensions(wire.Extension{ExtensionType: 0xf0f0})) },
	})
	leaf, _ := group.Tree().Leaf(1)
	for _, v := range leaf.Capabilities.Extensions { // the one that member 1 lists
		sc.add("R-13.5-01", "a GREASE extension", play{
			good: func(f *forgery) { f.list = values(supported) },
			bad:  func(f *forgery) { f.list = values(extensions(wire.Extension{ExtensionType: greaseBut(v)})) },
		})
	}
	for _, n := range []struct {
		rule string
		by   uint64
	}{{"R-12.1-01", ^uint64(0)}, {"R-12.1-02", 1}, {"R-12.1-02", 1 << 63}} {
		for what, good := range map[string]func(*forgery){
			"a proposal of another epoch": func(f *forgery) { f.proposal = &remove }, "a commit of another epoch": func(*forgery) {},
		} {
			sc.add(n.rule, what, play{good: good, bad: func(f *forgery) {
				context := f.group.GroupContext()
				context.Epoch += n.by
				f.context = &context
				f.content = func(c *wire.FramedContent) { c.Epoch = context.Epoch }
			}})
		}
	}
	b.updates(sc)
}

// greaseBut is another GREASE value.
func greaseBut(v wire.ExtensionType) wire.ExtensionType {
	if v == 0x0a0a {
		return 0x1a1a
	}
	return 0x0a0a
}

// updates: RFC 9420, Section 12.1.2.
func (b *book) updates(sc *scene) {
	p := sc.people[1]
	update := func(rule, what string, change func(*wire.LeafNode)) {
		good, bad := updating(b.ofUpdate(p, nil)), updating(b.ofUpdate(p, change))
		sc.add(rule, what, play{by: 1, good: func(f *forgery) { f.proposal = &good }, bad: func(f *forgery) { f.proposal = &bad }})
	}
	update("R-7.3-09", "source commit", func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceCommit })
	update("R-7.3-09", "source key_package", func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceKeyPackage })
	update("R-7.3-10", "the same key", func(l *wire.LeafNode) { l.EncryptionKey, _ = p.group.Tree().EncryptionKey(2) })
	sc.add("R-7.3-12", "an Update to another member's signature key", play{
		before: func(list []*person) [][]byte {
			f := &forgery{t: b.t, by: list[1], group: list[1].group}
			leaf := b.ofUpdate(list[1], nil)
			leaf.SignatureKey = list[2].signer.PublicKey()
			must(b.t, signLeaf(&leaf, list[2].signer, list[1].group.GroupID(), 1))
			p := updating(leaf)
			f.proposal = &p
			return [][]byte{f.message()}
		},
		good: func(*forgery) {}, bad: refer,
	})
	update("R-12.1.2-01", "another name", func(l *wire.LeafNode) { l.Credential = wire.BasicCredential([]byte("mallory")) })
	update("R-7.2-02", "no credential type listed", func(l *wire.LeafNode) { l.Capabilities.Credentials = nil })
	update("R-5.1.1-01", "31 octets", func(l *wire.LeafNode) { l.EncryptionKey = l.EncryptionKey[:31] })
	good := updating(b.ofUpdate(p, nil))
	sc.add("R-7.2-06", "an Update of another member, sent again", play{
		by: 1, good: func(f *forgery) { f.proposal = &good }, bad: func(f *forgery) { f.by = sc.people[2] },
	})
	sc.add("R-7.3-13", "an Update to another member's encryption key", play{
		before: func(list []*person) [][]byte {
			f := &forgery{t: b.t, by: list[1], group: list[1].group}
			stolen := updating(b.ofUpdate(list[1], func(l *wire.LeafNode) { l.EncryptionKey, _ = list[1].group.Tree().EncryptionKey(4) }))
			f.proposal = &stolen
			return [][]byte{f.message()}
		},
		good: func(f *forgery) {}, bad: refer,
	})
}

// lists: RFC 9420, Sections 12.2 to 12.4, of commits of members.
func (b *book) lists() {
	capable := DefaultCapabilities()
	sc := b.scene("member", 1, func(i int, p *person) {
		if i == 3 {
			p.capabilities = capable // without the type poll
		}
	})
	list := func(rule, what string, good, bad []wire.ProposalOrRef) {
		sc.add(rule, what, play{good: func(f *forgery) { f.list = good }, bad: func(f *forgery) { f.list = bad }})
	}
	add := func() wire.Proposal { return addition(b.newcomer(sc.suite, nil)) }
	own := func(list []*person) [][]byte {
		return sc.sent(list[0].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start}))
	}
	sc.add("R-12.2-02", "by reference", play{before: own, good: func(*forgery) {}, bad: refer})
	value := updating(b.ofUpdate(sc.people[0], nil))
	list("R-12.2-02", "by value", nil, values(value))
	list("R-12.2-03", "alone", values(removal(1)), values(removal(0)))
	list("R-12.2-03", "after another Remove", values(removal(1)), values(removal(1), removal(0)))
	sc.add("R-12.2-03", "by reference", play{
		before: func(list []*person) [][]byte {
			return sc.sent(list[1].group.ProposeRemove(0, MessageOptions{Now: start}))
		},
		good: func(*forgery) {}, bad: refer,
	})
	list("R-12.2-04", "two Removes", values(removal(1), removal(2)), values(removal(1), removal(1)))
	sc.add("R-12.2-04", "an Update and a Remove", play{
		before: func(list []*person) [][]byte {
			return sc.sent(list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start}))
		},
		good: refer,
		bad:  func(f *forgery) { f.list = append(f.list, values(removal(1))...) },
	})
	sc.add("R-12.2-04", "two Updates", play{
		before: func(list []*person) [][]byte {
			one := sc.sent(list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start}))
			return append(one, sc.sent(list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start}))...)
		},
		good: func(f *forgery) { refer(f); f.list = f.list[1:] },
		bad:  refer,
	})
	twin := newPerson(b.t, sc.suite, "twin")
	one := addition((&packaging{t: b.t, by: twin}).make())
	two := addition((&packaging{t: b.t, by: twin}).make())
	list("R-12.2-05", "two key packages with one signature key", values(one, add()), values(one, two))
	list("R-12.2-12", "one key package twice", values(one, add()), values(one, one))
	member := addition((&packaging{t: b.t, by: sc.people[1]}).make())
	list("R-12.2-06", "a member", values(removal(1), member), values(member))
	list("R-12.2-06", "a member, while another one is removed", values(removal(1), member), values(removal(2), member))
	list("R-12.2-06", "the receiver", values(add()), values(addition((&packaging{t: b.t, by: sc.receiver}).make())))
	shared := add()
	same := b.newcomer(sc.suite, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.EncryptionKey = shared.Add.KeyPackage.LeafNode.EncryptionKey }
	})
	list("R-12.2-12", "two new leaves with one encryption key", values(shared, add()), values(shared, addition(same)))
	stolen := b.newcomer(sc.suite, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.EncryptionKey, _ = sc.people[0].group.Tree().EncryptionKey(4) }
	})
	list("R-12.2-12", "a new leaf with a member's encryption key", values(add()), values(addition(stolen)))
	stolen2 := b.newcomer(sc.suite, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.EncryptionKey, _ = sc.people[0].group.Tree().EncryptionKey(10) }
	})
	list("R-12.2-12", "a new leaf with the receiver's encryption key", values(add()), values(addition(stolen2)))
	id := psk(ExternalPSK([]byte("known")), 32)
	again := psk(ExternalPSK([]byte("known")), 32)
	list("R-12.2-07", "with one nonce", values(id, again), values(id, id))
	gce := extensions(requirements(wire.RequiredCapabilities{}))
	list("R-12.2-08", "twice the same", values(gce), values(gce, gce))
	list("R-12.2-08", "two that differ", values(gce), values(gce, extensions()))
	list("R-12.2-09", "with a Remove", values(reinit(1)), values(reinit(1), removal(1)))
	list("R-12.2-09", "with a pre-shared key before it", values(reinit(1)), values(id, reinit(1)))
	list("R-12.2-09", "with another", values(reinit(1)), values(reinit(1), reinit(1)))
	list("R-12.2-10", "alone", nil, values(externalInit()))
	custom := wire.Proposal{ProposalType: poll, Data: []byte("tea or coffee")}
	list("R-12.2-11", "member 3 does not list it and stays", values(custom, removal(3)), values(custom, removal(2)))
	list("R-12.4.2-01", "a pre-shared key of no one", values(id), values(psk(ExternalPSK([]byte("unknown")), 32)))
	list("R-12.4.2-01", "a resumption key of another group", values(id), values(psk(ResumptionPSK([]byte("another group"), 1), 32)))
	list("R-12.4-02", "a reference to nothing", nil, []wire.ProposalOrRef{wire.ByReference(suite.Random(32))})
	list("R-12.4-02", "an empty reference", nil, []wire.ProposalOrRef{wire.ByReference(nil)})
	sc.add("R-12.4-02", "a reference without its last octet", play{
		before: func(list []*person) [][]byte {
			return sc.sent(list[1].group.ProposeRemove(2, MessageOptions{Now: start}))
		},
		good: refer,
		bad: func(f *forgery) {
			f.list = []wire.ProposalOrRef{wire.ByReference(bytes.Clone(f.list[0].Reference[:31]))}
		},
	})
	for what, p := range map[string][]wire.ProposalOrRef{
		"nothing": nil, "a Remove": values(removal(1)), "extensions": values(gce), "a Remove and an Add": values(add(), removal(1)),
	} {
		sc.add("R-12.4-01", what, play{good: func(f *forgery) { f.list = p }, bad: func(f *forgery) { f.noPath = true }})
	}
	sc.add("R-12.4-01", "an Update", play{
		before: func(list []*person) [][]byte {
			return sc.sent(list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start}))
		},
		good: refer, bad: func(f *forgery) { f.noPath = true },
	})
	b.extensionLists(sc, list, add)
}

// extensionLists: what extensions ask of those who come with them.
func (b *book) extensionLists(sc *scene, list func(rule, what string, good, bad []wire.ProposalOrRef), add func() wire.Proposal) {
	require := extensions(requirements(wire.RequiredCapabilities{ExtensionTypes: []wire.ExtensionType{0xf0f0}}))
	list("R-12.3-01", "a requirement that the new member does not meet", values(add()), values(require, add()))
	const extra wire.ExtensionType = 0xf0f0
	capable := DefaultCapabilities(extra)
	const strange wire.ProposalType = 0xf00e
	capable.Proposals = append(capable.Proposals, poll, strange)
	wide := b.scene("extended", 1, func(i int, p *person) {
		p.capabilities, p.extensions = capable, wire.Extensions{{ExtensionType: extra}}
	})
	k := b.newcomer(sc.suite, func(p *packaging) {
		p.leaf = func(l *wire.LeafNode) { l.Capabilities.Extensions = append(l.Capabilities.Extensions, extra) }
	})
	wide.add("R-13.2-01", "a type that all list and the application does not know", play{
		good: func(f *forgery) { f.list = values(wire.Proposal{ProposalType: poll, Data: []byte("tea or coffee")}) },
		bad:  func(f *forgery) { f.list = values(wire.Proposal{ProposalType: strange, Data: []byte("tea or coffee")}) },
	})
	wide.add("R-13.4-02", "a new member that does not list it", play{
		good: func(f *forgery) { f.list = values(addition(k)) },
		bad:  func(f *forgery) { f.list = values(add()) },
	})
}

// external: external commits (RFC 9420, Sections 8.3, 12.2 and 12.4.3.2).
func (b *book) external() {
	sc := b.scene("member", 1, nil)
	joins := func(who *person, more ...wire.Proposal) func(*forgery) {
		return func(f *forgery) {
			f.by, f.external = who, true
			f.list = values(append([]wire.Proposal{externalInit()}, more...)...)
		}
	}
	fresh := func() *person { return newPerson(b.t, sc.suite, "a stranger") }
	again := newPerson(b.t, sc.suite, sc.people[2].name)
	add := func(rule, what string, good, bad func(*forgery)) { sc.add(rule, what, play{good: good, bad: bad}) }
	who := fresh()
	good := joins(who)
	back := joins(again, removal(2))
	id := psk(ExternalPSK([]byte("known")), 32)

	add("R-12.2-13", "none", joins(who, id), func(f *forgery) { f.list = f.list[1:] })
	add("R-12.2-13", "two", good, func(f *forgery) { f.list = append(f.list, values(externalInit())...) })
	add("R-12.2-14", "two", back, func(f *forgery) { f.list = append(f.list, values(removal(3))...) })
	add("R-12.2-14", "two of one leaf", back, func(f *forgery) { f.list = append(f.list, values(removal(2))...) })
	add("R-12.2-15", "a stranger removes member 2", good, func(f *forgery) { f.list = append(f.list, values(removal(2))...) })
	add("R-12.2-15", "member 2 comes back and removes member 3", back, func(f *forgery) { f.list[1] = values(removal(3))[0] })
	add("R-12.1.3-01", "a leaf that is blank", back, func(f *forgery) { f.list[1] = values(removal(6))[0] })
	add("R-12.1.3-01", "a leaf beyond the tree", back, func(f *forgery) { f.list[1] = values(removal(1 << 31))[0] })
	for _, p := range []wire.Proposal{
		addition(b.newcomer(sc.suite, nil)), updating(b.ofUpdate(sc.people[1], nil)), reinit(1), extensions(),
	} {
		add("R-12.2-16", p.ProposalType.String(), good, func(f *forgery) { f.list = append(f.list, values(p)...) })
	}
	add("R-12.2-17", "the old encryption key", back, func(f *forgery) {
		f.leaf = func(l *wire.LeafNode) { l.EncryptionKey, _ = sc.people[0].group.Tree().EncryptionKey(4) }
	})
	add("R-12.2-07", "one pre-shared key twice", joins(who, id), func(f *forgery) { f.list = append(f.list, values(id)...) })
	add("R-12.1.4-03", "a nonce of 31 octets", joins(who, id), func(f *forgery) { f.list[1] = values(psk(ExternalPSK([]byte("known")), 31))[0] })
	add("R-12.4.2-01", "a pre-shared key of no one", joins(who, id), func(f *forgery) {
		f.list[1] = values(psk(ExternalPSK([]byte("unknown")), 32))[0]
	})
	add("R-12.4-01", "no path", good, func(f *forgery) { f.noPath = true })
	add("R-12.2-06", "a member joins without leaving", good, func(f *forgery) { f.by = sc.people[2] })
	add("R-7.2-06", "a leaf signed for another group", good, func(f *forgery) { f.groupID = []byte("another group") })
	add("R-7.2-06", "a leaf signed for another place", good, func(f *forgery) { i := wire.LeafIndex(7); f.place = &i })
	add("R-7.3-11", "source key_package", good, func(f *forgery) {
		f.leaf = func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceKeyPackage }
	})
	add("R-12.4.2-03", "the receiver's encryption key", good, func(f *forgery) {
		f.leaf = func(l *wire.LeafNode) { l.EncryptionKey, _ = sc.people[0].group.Tree().EncryptionKey(10) }
	})
	add("R-7.9-01", "no parent hash", good, func(f *forgery) { f.leaf = func(l *wire.LeafNode) { l.ParentHash = nil } })
	add("R-7.6-01", "a node less", good, func(f *forgery) { f.path = func(p *wire.UpdatePath) { p.Nodes = p.Nodes[1:] } })
	add("R-8.3-01", "31 octets", good, func(f *forgery) {
		f.list[0].Proposal.ExternalInit.KEMOutput = suite.Random(31)
	})
	add("R-8.3-01", "a point of low order", good, func(f *forgery) {
		f.list[0].Proposal.ExternalInit.KEMOutput = make([]byte, 32)
	})
	add("R-8.2-01", "an init secret for another key", good, func(f *forgery) {
		key, err := sc.suite.GenerateKeyPair()
		must(b.t, err)
		f.initKey = key.PublicKey()
	})
	add("R-7.2-01", "an extension that is not listed", good, func(f *forgery) {
		f.leaf = func(l *wire.LeafNode) { l.Extensions = wire.Extensions{{ExtensionType: 0xf001}} }
	})
	sc.add("R-12.4.3.2-01", "a Remove by reference", play{
		before: func(list []*person) [][]byte {
			return sc.sent(list[1].group.ProposeRemove(2, MessageOptions{Now: start}))
		},
		good: good,
		bad: func(f *forgery) {
			f.list = append(f.list, wire.ByReference(f.group.proposals[0].ref))
		},
	})
}

// selfRemoves: draft-ietf-mls-extensions.
func (b *book) selfRemoves() {
	sc := b.scene("member", 1, nil)
	leaves := wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}
	proposed := func(i int) func([]*person) [][]byte {
		return func(list []*person) [][]byte {
			return sc.sent(list[i].group.ProposeSelfRemove(MessageOptions{Now: start}))
		}
	}
	sc.add("R-SR-01", "by value", play{before: proposed(1), good: refer, bad: func(f *forgery) { f.list = values(leaves) }})
	sc.add("R-SR-02", "in a PrivateMessage", play{
		good: func(f *forgery) { f.proposal = &leaves }, bad: func(f *forgery) { f.private = true },
	})
	sc.add("R-SR-03", "its own", play{before: proposed(0), good: func(*forgery) {}, bad: refer})
	sc.add("R-12.2-04", "a SelfRemove and a Remove of one leaf", play{
		before: proposed(1), good: refer, bad: func(f *forgery) { f.list = append(f.list, values(removal(1))...) },
	})
	sc.add("R-12.4-01", "a SelfRemove", play{before: proposed(1), good: refer, bad: func(f *forgery) { f.noPath = true }})
}
