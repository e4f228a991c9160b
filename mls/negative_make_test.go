package mls

import (
	"fmt"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A book is a file of refusals being written.
type book struct {
	t    *testing.T
	file *negativeFile
}

func newBook(t *testing.T) *book {
	return &book{t, &negativeFile{Time: seconds(start), Clients: make(map[string]*negativeClient)}}
}

// makeNegative makes all files.
func makeNegative(t *testing.T) map[string]*negativeFile {
	files := make(map[string]*negativeFile)
	for name, write := range map[string]func(*book){
		"codec.json":         (*book).codec,
		"key-packages.json":  (*book).keyPackages,
		"signatures.json":    (*book).signatures,
		"framing.json":       (*book).framing,
		"private.json":       (*book).private,
		"leaf-nodes.json":    (*book).leafNodes,
		"paths.json":         (*book).paths,
		"proposals.json":     (*book).proposals,
		"lists.json":         (*book).lists,
		"external.json":      (*book).external,
		"welcomes.json":      (*book).welcomes,
		"trees.json":         (*book).trees,
		"external-join.json": (*book).externalJoins,
		"self-remove.json":   (*book).selfRemoves,
	} {
		b := newBook(t)
		write(b)
		files[name] = b.file
	}
	return files
}

// decode writes a case of the codec.
func (b *book) decode(rule, what, kind string, good, bad []byte) {
	b.file.Cases = append(b.file.Cases, negativeCase{
		Rule: rule, What: what, Kind: "decode", Type: kind,
		Accept: negativeInput{Message: good}, Reject: negativeInput{Message: bad},
	})
}

// A scene is a group of five, and of a sixth who came by the Welcome that the
// files hold.
type scene struct {
	*book
	name     string
	suite    *suite.Suite
	people   []*person // five
	receiver *person
}

// A cast changes what the members of a scene are, before the group is made; the
// sixth is the receiver.
type cast func(i int, p *person)

// scene makes a group. Parent nodes are set, and the receiver is unmerged.
func (b *book) scene(name string, id suite.ID, change cast) *scene {
	b.t.Helper()
	s, err := suite.Lookup(id)
	must(b.t, err)
	sc := &scene{book: b, name: name, suite: s}
	var packages []*KeyPackage
	var adds []*wire.KeyPackage
	for i := range 6 {
		p := newPerson(b.t, s, fmt.Sprintf("person %d", i))
		p.policy = Policy{
			PSKs: purse{"known": []byte("a pre-shared key")}, Accept: everything,
			Custom: map[wire.ProposalType]tree.CustomProposal{poll: {External: true}},
		}
		p.capabilities = DefaultCapabilities()
		p.capabilities.Proposals = append(p.capabilities.Proposals, poll)
		if change != nil {
			change(i, p)
		}
		if i == 5 {
			sc.receiver = p
			break
		}
		sc.people = append(sc.people, p)
		if i > 0 {
			kp := p.keyPackage(b.t)
			packages, adds = append(packages, kp), append(adds, &kp.Public)
		}
	}
	first := sc.people[0]
	first.create(b.t)
	p := commit(b.t, first.group, CommitOptions{Adds: adds})
	first.group = p.Next
	for i, q := range sc.people[1:] {
		q.join(b.t, packages[i], p.Welcome, p.Next.Tree())
	}
	everybody(b.t, sc.people, 3, CommitOptions{})
	everybody(b.t, sc.people, 0, CommitOptions{})
	kp := sc.receiver.keyPackage(b.t)
	p = everybody(b.t, sc.people, 1, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	sc.receiver.join(b.t, kp, p.Welcome, p.Next.Tree())
	client := b.client(name, sc.receiver, kp)
	client.Welcome, client.RatchetTree = p.Welcome, wire.Marshal(p.Next.Tree())
	return sc
}

// client writes down who receives.
func (b *book) client(name string, p *person, kp *KeyPackage) *negativeClient {
	b.t.Helper()
	c := &negativeClient{
		Suite: p.suite.ID(), KeyPackage: kp.Message(),
		ExternalPSKs: []passivePSK{{ID: []byte("known"), PSK: []byte("a pre-shared key")}},
	}
	var err error
	c.Signature, err = p.signer.Bytes()
	must(b.t, err)
	c.Init, err = kp.init.Bytes()
	must(b.t, err)
	c.Encryption, err = kp.leaf.Bytes()
	must(b.t, err)
	b.file.Clients[name] = c
	return c
}

// fork returns a copy of a person that goes its own way.
func (sc *scene) fork(p *person) *person {
	sc.t.Helper()
	g, err := Load(LoadOptions{
		Records: snapshot(p.group).all(), Signers: []*suite.SignaturePrivateKey{p.signer}, Credentials: anyone{}, Policy: p.policy,
	})
	must(sc.t, err)
	q := *p
	q.group = g
	return &q
}

// A play is how a case of a scene comes about.
type play struct {
	kind   string // handle unless open
	by     int
	before func(list []*person) [][]byte // messages that all handle first
	good   func(f *forgery)              // what is valid about it
	bad    func(f *forgery)              // what is broken then
}

// add writes a case.
func (sc *scene) add(rule, what string, p play) {
	sc.t.Helper()
	list := sc.people
	c := negativeCase{Rule: rule, What: what, Kind: p.kind, Client: sc.name}
	if c.Kind == "" {
		c.Kind = "handle"
	}
	if p.before != nil {
		list = nil
		for _, q := range sc.people {
			list = append(list, sc.fork(q))
		}
		for _, m := range p.before(list) {
			for _, q := range list {
				sc.hears(q, m)
			}
			c.Before = append(c.Before, m)
		}
	}
	forged := func(bad func(*forgery)) negativeInput {
		f := &forgery{t: sc.t, by: list[p.by], group: list[p.by].group}
		if p.good != nil {
			p.good(f)
		}
		if bad != nil {
			bad(f)
		}
		in := negativeInput{Message: f.message()}
		if f.proposal == nil && f.text == nil {
			in.Authenticator = f.authenticator
		}
		return in
	}
	c.Accept, c.Reject = forged(nil), forged(p.bad)
	c.Reject.Authenticator = nil
	sc.file.Cases = append(sc.file.Cases, c)
}

// hears lets a member of a fork handle a message, also its own.
func (sc *scene) hears(q *person, message []byte) {
	sc.t.Helper()
	if m, err := wire.ParsePrivateMessage(message); err == nil && m.ContentType == wire.ContentTypeApplication {
		return // the forger needs it as little as its sender
	}
	handle(sc.t, q.group, message)
}

// sent are messages that members of a fork send.
func (sc *scene) sent(m []byte, err error) [][]byte {
	sc.t.Helper()
	must(sc.t, err)
	return [][]byte{m}
}

// newcomer makes a key package of a new client.
func (b *book) newcomer(s *suite.Suite, change func(*packaging)) wire.KeyPackage {
	p := &packaging{t: b.t, by: newPerson(b.t, s, "newcomer")}
	if change != nil {
		change(p)
	}
	return p.make()
}

// Proposals in short.

func updating(leaf wire.LeafNode) wire.Proposal {
	return wire.Proposal{ProposalType: wire.ProposalTypeUpdate, Update: &wire.Update{LeafNode: leaf}}
}

func extensions(list ...wire.Extension) wire.Proposal {
	return wire.Proposal{
		ProposalType:           wire.ProposalTypeGroupContextExtensions,
		GroupContextExtensions: &wire.GroupContextExtensions{Extensions: list},
	}
}

func externalInit() wire.Proposal {
	return wire.Proposal{ProposalType: wire.ProposalTypeExternalInit, ExternalInit: &wire.ExternalInit{}}
}

func reinit(version wire.ProtocolVersion) wire.Proposal {
	return wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: &wire.ReInit{
		GroupID: []byte("the next group"), Version: version, CipherSuite: 1,
	}}
}

func psk(id wire.PreSharedKeyID, nonce int) wire.Proposal {
	id.PSKNonce = suite.Random(nonce)
	return wire.Proposal{ProposalType: wire.ProposalTypePSK, PreSharedKey: &wire.PreSharedKey{PSK: id}}
}

func values(proposals ...wire.Proposal) []wire.ProposalOrRef { return byValue(proposals...).Proposals }

// ofUpdate makes and signs the leaf of an Update of p.
func (b *book) ofUpdate(p *person, change func(*wire.LeafNode)) wire.LeafNode {
	b.t.Helper()
	key, err := p.suite.GenerateKeyPair()
	must(b.t, err)
	leaf, _ := p.group.renewLeaf(LeafOptions{}, key.PublicKey())
	leaf.LeafNodeSource = wire.LeafNodeSourceUpdate
	if change != nil {
		change(&leaf)
	}
	must(b.t, signLeaf(&leaf, p.signer, p.group.GroupID(), p.group.OwnLeaf()))
	return leaf
}

// requirements is the extension required_capabilities.
func requirements(c wire.RequiredCapabilities) wire.Extension {
	return wire.Extension{ExtensionType: wire.ExtensionTypeRequiredCapabilities, ExtensionData: wire.Marshal(c)}
}
