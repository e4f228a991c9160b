package client_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"parley/client"
	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// A cost is what a commit of a room takes that goes over the wire.
type cost struct {
	entry, body, info, record int // bytes
	seals                     int // CMS messages in the record's envelope
	asked                     int // of status services
}

// "A commit in a CoI room costs one envelope more than in a plain one, at any
// size of the room": in bytes, all that it has more is its record, and that is as
// long in a room of three as in one of five hundred. With a strict policy each
// wrapping has to ask each community's status service once, so the questions
// count the wrappings.
func TestACommitUnderCommunitiesCostsOneEnvelopeMore(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		var first cost
		for _, members := range []int{3, 50, 500} {
			plain := alice.costOfCommit(fmt.Sprintf("plain-%03d", members), members, nil)
			policy := c.policy(finance, legal)
			policy.StrictStatus = true
			sealed := alice.costOfCommit(fmt.Sprintf("vault-%03d", members), members, policy)
			if plain.record != 0 || plain.asked != 0 {
				t.Fatalf("%d members: a plain commit has a record of %d bytes, and asked %d times", members, plain.record, plain.asked)
			}
			const lengthField = 2 // of a record of 64 bytes to 16 KiB; whether there is one is said in both
			if more := sealed.body - plain.body; more != sealed.record+lengthField {
				t.Errorf("%d members: a commit has %d bytes more, its record has %d", members, more, sealed.record)
			}
			if sealed.seals != 1 || sealed.asked != len(policy.CoIs) {
				t.Errorf("%d members: %d messages were sealed, status services asked %d times", members, sealed.seals, sealed.asked)
			}
			more := cost{
				entry: sealed.entry - plain.entry, body: sealed.body - plain.body, info: sealed.info - plain.info,
				record: sealed.record, seals: sealed.seals, asked: sealed.asked,
			}
			if members == 3 {
				first = more
			}
			if more != first {
				t.Errorf("%d members: a commit costs %+v more, with 3 members it is %+v", members, more, first)
			}
		}
		t.Logf("a record for two communities makes a commit longer by %d bytes, the GroupInfo beside it by %d", first.body, first.info)
	}, finance, legal)
}

// costOfCommit makes a room with so many members and has alice renew its key
// there, twice: the first renewal uses up what was asked before.
func (p *phone) costOfCommit(name string, members int, policy *groups.Policy) (c cost) {
	p.t.Helper()
	id := must(groups.NewRoomID(p.h.site, name))
	if _, err := p.CreateRoom(p.t.Context(), client.RoomSpec{Room: id, Policy: policy}); err != nil {
		p.t.Fatal(err)
	}
	users := make([]groups.UserID, members-1)
	for i := range users {
		who := fmt.Sprintf("%s-%d", name, i)
		users[i] = must(p.FindUser(who))
		device := groups.DeviceID(fmt.Sprintf("mimi://%s/d/%s/phone", p.h.site, who))
		list := p.h.keyPackages(who+"/phone", 1)
		p.h.set(func() { p.h.packages[device] = list })
	}
	if waiting, err := p.Add(p.t.Context(), id, users...); err != nil || len(waiting) > 0 {
		p.t.Fatalf("add %d people: %v, %d wait", len(users), err, len(waiting))
	}
	var commit groups.Submission
	p.h.set(func() { p.h.mangle = func(s *groups.Submission) { commit = *s } })
	defer p.h.set(func() { p.h.mangle = nil })
	if err := p.Accept(must(p.Inspect(p.t.Context(), id))); err != nil {
		p.t.Fatal(err)
	}
	asked := 0
	for range 2 {
		asked = p.statusCalls()
		if err := p.Rekey(p.t.Context(), id); err != nil {
			p.t.Fatal(err)
		}
	}
	log := p.h.log(id)
	entry := log[len(log)-1]
	bundle := must(groups.ParseCommitBundle(entry.Body))
	if string(entry.Body) != string(commit.Body) || len(commit.Attachments) != 1 {
		p.t.Fatal("the last entry is not the commit")
	}
	c = cost{
		entry: len(entry.Marshal()), body: len(entry.Body), info: len(commit.Attachments[0]), record: len(bundle.KeyRecord),
		asked: p.statusCalls() - asked,
	}
	if bundle.KeyRecord != nil {
		record := must(groups.ParseKeyRecord(bundle.KeyRecord))
		c.seals = len(must(wrap.Parts(record.Envelope)))
	}
	return c
}

// statusCalls is how often the communities' status services were asked.
func (p *phone) statusCalls() (n int) {
	for _, one := range p.h.cois.list {
		n += p.h.cois.calls(one.Status)
	}
	return n
}

// A countingSigner counts what is signed with a key.
type countingSigner struct {
	crypto.Signer
	n int
}

// Sign implements crypto.Signer.
func (s *countingSigner) Sign(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.n++
	return s.Signer.Sign(random, message, opts)
}

// The work is one signature and one envelope as well, and takes no more memory
// in a larger room: nothing goes over the members.
func TestARecordTakesOneSignatureAndNoWorkForEachMember(t *testing.T) {
	authority := must(coi.NewCoIAuthority("alpha.example", time.Now()))
	cert := must(authority.IssueCoI(must(coi.ParseName(string(finance))), coi.CoIPlan{
		Request: &coi.CoIRequest{Key: must(coi.NewCoIKey("p256")).Public()},
	}, time.Now()))
	wrapping := &client.KeyWrapping{
		To:         []wrap.Recipient{{Name: string(finance), Certificate: cert}},
		Recipients: []groups.CoIRecipient{{Name: finance, Certificate: sha256.Sum256(cert.Raw), Serial: cert.SerialNumber.Bytes()}},
		Reason:     groups.KeyRotatedByUser, Made: time.Now(),
	}
	bytes, signatures := make(map[int]uint64), make(map[int]int)
	for _, members := range []int{3, 500} {
		me, signer := countedIdentity("alice")
		g := groupOf(t, me, members)
		signer.n = 0
		p := must(g.Commit(mls.CommitOptions{MessageOptions: mls.MessageOptions{Now: time.Now()}, ForcePath: true}))
		signatures[members], signer.n = signer.n, 0
		bytes[members] = leastMemory(20, func() {
			signer.n = 0
			record := must(client.NewKeyRecord(p.Next, me, wrapping))
			if signer.n != 1 {
				t.Errorf("%d members: a record took %d signatures", members, signer.n)
			}
			if parts := must(wrap.Parts(record.Envelope)); len(parts) != 1 || len(parts[0].KeyIDs) != 1 {
				t.Errorf("%d members: %d messages were sealed", members, len(parts))
			}
		})
	}
	t.Logf("a record takes %v bytes of memory, a commit without one %v signatures", bytes, signatures)
	if signatures[3] != signatures[500] {
		t.Errorf("a commit takes %v signatures: it is not the record that is measured", signatures)
	}
	if bytes[500] > bytes[3]+497/2 {
		t.Errorf("a record takes %v bytes of memory: it grows with the room", bytes)
	}
}

// countedIdentity is somebody without a certificate, whose signatures count.
func countedIdentity(name string) (mls.Identity, *countingSigner) {
	_, key := must2(ed25519.GenerateKey(rand.Reader))
	signer := &countingSigner{Signer: key}
	cs := must(suite.Lookup(suite.X25519AES128SHA256Ed25519))
	return mls.Identity{Credential: wire.BasicCredential([]byte(name)), Signer: must(cs.SignatureKeyOf(signer))}, signer
}

// groupOf makes a group whose policy names finance.
func groupOf(t *testing.T, me mls.Identity, members int) *mls.Group {
	t.Helper()
	policy := groups.DefaultPolicy("mimi://alpha.example/u/alice")
	policy.CoIs = []groups.CoI{{Name: finance, Lookup: "https://lookup.finance", Unwrap: []string{"https://unwrap.finance"}}}
	cs := must(suite.Lookup(suite.X25519AES128SHA256Ed25519))
	leaf := mls.KeyPackageOptions{Now: time.Now(), Capabilities: mls.DefaultCapabilities(groups.PolicyExtension)}
	g := must(mls.Create(mls.CreateOptions{
		Suite: cs, GroupID: []byte(ops), Identity: me, Leaf: leaf, Extensions: wire.Extensions{policy.Extension()}, Credentials: anybody{},
	}))
	o := mls.CommitOptions{MessageOptions: mls.MessageOptions{Now: time.Now()}}
	for i := range members - 1 {
		who, _ := countedIdentity(fmt.Sprint("member ", i))
		o.Adds = append(o.Adds, &must(mls.NewKeyPackage(cs, who, leaf)).Public)
	}
	return must(g.Commit(o)).Next
}

// anybody lets everyone in.
type anybody struct{}

// Validate implements mls.Credentials.
func (anybody) Validate(wire.Credential, []byte) error { return nil }

// Succeeds implements mls.Credentials.
func (anybody) Succeeds(_, _ wire.Credential) error { return nil }

// leastMemory is how many bytes an act allocates: the least of n times, since
// what else runs in the process can only add to it.
func leastMemory(n int, act func()) uint64 {
	least := ^uint64(0)
	for range n {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		act()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
