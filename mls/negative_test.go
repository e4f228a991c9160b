package mls

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// negativeDir holds the published refusals; its README.md says how they are
// read.
const negativeDir = "testdata/negative"

// A negativeFile is one file of refusals.
type negativeFile struct {
	Time    uint64                     `json:"time"`
	Clients map[string]*negativeClient `json:"clients,omitempty"`
	Cases   []negativeCase             `json:"cases"`
}

// A negativeClient is who receives: its key package with the private keys, and
// the Welcome by which it came into a group, if it did.
type negativeClient struct {
	Suite        suite.ID     `json:"cipher_suite"`
	KeyPackage   vectors.Hex  `json:"key_package"`
	Signature    vectors.Hex  `json:"signature_priv"`
	Encryption   vectors.Hex  `json:"encryption_priv"`
	Init         vectors.Hex  `json:"init_priv"`
	ExternalPSKs []passivePSK `json:"external_psks,omitempty"`
	Welcome      vectors.Hex  `json:"welcome,omitempty"`
	RatchetTree  vectors.Hex  `json:"ratchet_tree,omitempty"`
}

// A negativeCase is what must be refused, and its twin that must not.
type negativeCase struct {
	Rule   string        `json:"rule"`
	What   string        `json:"what"`
	Kind   string        `json:"kind"`
	Suite  suite.ID      `json:"cipher_suite,omitempty"` // where there is no client
	Type   string        `json:"type,omitempty"`         // of decode
	Client string        `json:"client,omitempty"`
	Before []vectors.Hex `json:"before,omitempty"` // messages it has handled
	Accept negativeInput `json:"accept"`
	Reject negativeInput `json:"reject"`
}

// A negativeInput is what the client is given.
type negativeInput struct {
	Message       vectors.Hex `json:"message"`
	RatchetTree   vectors.Hex `json:"ratchet_tree,omitempty"`
	Authenticator vectors.Hex `json:"epoch_authenticator,omitempty"` // after a commit
}

// A verdict is how one input ended: before and after are the client's state, nil
// if it has none.
type verdict struct {
	err           error
	before, after any
	authenticator []byte
	observed      bool  // the message is one that an observer can follow
	observer      error // what it says
}

// try gives the client an input.
func (c *negativeCase) try(file *negativeFile, in *negativeInput) (verdict, error) {
	now := time.Unix(int64(file.Time), 0)
	switch c.Kind {
	case "decode":
		return verdict{err: decodeAs(c.Type, in.Message)}, nil
	case "key_package":
		s, err := suite.Lookup(c.Suite)
		if err != nil {
			return verdict{}, err
		}
		m, err := wire.Unmarshal[wire.MLSMessage](in.Message)
		if err == nil {
			config := tree.Config{Credentials: anyone{}, Now: now, MaxLifetime: DefaultMaxLifetime}
			err = config.VerifyKeyPackage(s, m.KeyPackage)
		}
		return verdict{err: err}, nil
	case "external_join":
		s, err := suite.Lookup(c.Suite)
		if err != nil {
			return verdict{}, err
		}
		signer, err := s.GenerateSignatureKey()
		if err != nil {
			return verdict{}, err
		}
		_, err = JoinExternal(ExternalJoinOptions{
			GroupInfo: in.Message, RatchetTree: in.RatchetTree, Credentials: anyone{},
			Identity: Identity{Credential: wire.BasicCredential([]byte("newcomer")), Signer: signer}, Leaf: KeyPackageOptions{Now: now},
		})
		return verdict{err: err}, nil
	}
	client, ok := file.Clients[c.Client]
	if !ok {
		return verdict{}, fmt.Errorf("no client %q", c.Client)
	}
	return c.tryClient(client, in, now)
}

// tryClient gives a client with keys an input.
func (c *negativeCase) tryClient(client *negativeClient, in *negativeInput, now time.Time) (verdict, error) {
	welcome, ratchetTree := client.Welcome, client.RatchetTree
	if c.Kind == "join" {
		welcome, ratchetTree = in.Message, in.RatchetTree
	}
	g, err := client.join(welcome, ratchetTree)
	if c.Kind == "join" {
		return verdict{err: err}, nil
	}
	if err != nil {
		return verdict{}, fmt.Errorf("client %s: %w", c.Client, err)
	}
	for i, m := range c.Before {
		if g, err = c.prepare(g, m, now); err != nil {
			return verdict{}, fmt.Errorf("message %d before: %w", i, err)
		}
	}
	v := verdict{before: snapshot(g)}
	v.observe(g, in.Message, now)
	if c.Kind == "open" {
		_, v.err = g.Open(in.Message)
	} else {
		var r *Result
		if r, v.err = g.Handle(in.Message, now); v.err == nil && r.Next != nil {
			v.authenticator = r.Next.EpochAuthenticator()
		}
	}
	v.after = snapshot(g)
	return v, nil
}

// observe gives the input to somebody who has no secrets.
func (v *verdict) observe(g *Group, message []byte, now time.Time) {
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil || m.PublicMessage == nil {
		return
	}
	info, err := g.groupInfo()
	if err != nil {
		v.observed, v.observer = true, err
		return
	}
	o, err := tree.NewObserver(info, g.Tree(), g.config(now))
	for i := range g.proposals {
		c := &g.proposals[i].content
		p := &wire.PublicMessage{Content: c.Content, Auth: c.Auth, MembershipTag: make([]byte, g.suite.HashSize())}
		if err == nil {
			o, _, err = o.Handle(p, g.config(now))
		}
	}
	if err == nil {
		_, _, err = o.Handle(m.PublicMessage, g.config(now))
	}
	v.observed, v.observer = true, err
}

// secretRules are those that only a member can check.
var secretRules = []error{ErrMembershipTag, ErrConfirmationTag, ErrPathSecret, ErrNoPSK, suite.ErrDecrypt}

// prepare handles a message that comes before the one that counts.
func (c *negativeCase) prepare(g *Group, message []byte, now time.Time) (*Group, error) {
	if m, err := wire.ParsePrivateMessage(message); err == nil && m.ContentType == wire.ContentTypeApplication {
		_, err := g.Open(message)
		return g, err
	}
	r, err := g.Handle(message, now)
	if err == nil && r.Next != nil {
		g = r.Next
	}
	return g, err
}

// join makes the client a member.
func (c *negativeClient) join(welcome, ratchetTree []byte) (*Group, error) {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return nil, err
	}
	p := passiveCase{
		Suite: c.Suite, ExternalPSKs: c.ExternalPSKs, KeyPackage: c.KeyPackage, Signature: c.Signature, Encryption: c.Encryption, Init: c.Init,
	}
	kp, signer, err := p.keyPackage(s)
	if err != nil {
		return nil, err
	}
	policy := p.policy()
	policy.Custom = map[wire.ProposalType]tree.CustomProposal{poll: {External: true}}
	return Join(JoinOptions{
		Welcome: bytes.Clone(welcome), KeyPackage: kp, Signer: signer, RatchetTree: bytes.Clone(ratchetTree), Credentials: anyone{}, Policy: policy,
	})
}

// decodeAs decodes b as one structure, whole.
func decodeAs(name string, b []byte) error {
	switch name {
	case "MLSMessage":
		return decodeOne[wire.MLSMessage](b)
	case "Proposal":
		return decodeOne[wire.Proposal](b)
	case "Commit":
		return decodeOne[wire.Commit](b)
	case "LeafNode":
		return decodeOne[wire.LeafNode](b)
	case "GroupSecrets":
		return decodeOne[wire.GroupSecrets](b)
	case "RatchetTree":
		return decodeOne[wire.RatchetTree](b)
	case "Credential":
		return decodeOne[wire.Credential](b)
	case "PreSharedKeyID":
		return decodeOne[wire.PreSharedKeyID](b)
	}
	return fmt.Errorf("no type %q", name)
}

func decodeOne[T any, P interface {
	*T
	Decode(*wire.Reader)
	Encode(*wire.Writer)
}](b []byte) error {
	v, err := wire.Unmarshal[T, P](b)
	if err == nil && !bytes.Equal(wire.Marshal(P(&v)), b) {
		return errors.New("encoded as something else")
	}
	return err
}

// check checks that the input is refused by its rule and changes nothing, and
// that its twin is accepted.
func (c *negativeCase) check(t *testing.T, file *negativeFile) {
	t.Helper()
	rule := findRule(c.Rule)
	if rule == nil || rule.err == nil {
		t.Fatalf("%s %s: no such rule with cases", c.Rule, c.What)
	}
	bad, err := c.try(file, &c.Reject)
	if err != nil {
		t.Fatalf("%s %s: %v", c.Rule, c.What, err)
	}
	if !errors.Is(bad.err, rule.err) {
		t.Errorf("%s %s: %v, want %v", c.Rule, c.What, bad.err, rule.err)
	}
	if !reflect.DeepEqual(bad.before, bad.after) {
		t.Errorf("%s %s: the state has changed", c.Rule, c.What)
	}
	if bad.observed && bad.observer == nil && !slices.Contains(secretRules, rule.err) {
		t.Errorf("%s %s: an observer accepts it", c.Rule, c.What)
	}
	good, err := c.try(file, &c.Accept)
	if err != nil || good.err != nil {
		t.Errorf("%s %s: the twin is refused: %v %v", c.Rule, c.What, err, good.err)
	}
	if good.observer != nil {
		t.Errorf("%s %s: an observer refuses the twin: %v", c.Rule, c.What, good.observer)
	}
	if !bytes.Equal(good.authenticator, c.Accept.Authenticator) {
		t.Errorf("%s %s: the twin leads to another epoch", c.Rule, c.What)
	}
}

// readNegative reads the published refusals, by file name.
func readNegative(t *testing.T) map[string]*negativeFile {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(negativeDir, "*.json"))
	must(t, err)
	files := make(map[string]*negativeFile)
	for _, name := range names {
		if filepath.Base(name) == rulesFile {
			continue
		}
		b, err := os.ReadFile(name)
		must(t, err)
		file := new(negativeFile)
		if err := json.Unmarshal(b, file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files[filepath.Base(name)] = file
	}
	return files
}

// TestPublishedRefusals checks every case of testdata/negative, and that every
// rule has its cases or its test.
func TestPublishedRefusals(t *testing.T) {
	met := make(map[string]int)
	total := 0
	for name, file := range readNegative(t) {
		t.Run(name, func(t *testing.T) {
			for i := range file.Cases {
				file.Cases[i].check(t, file)
				met[file.Cases[i].Rule]++
				total++
			}
		})
	}
	for _, r := range rules {
		switch {
		case r.err != nil && met[r.id] == 0:
			t.Errorf("%s has no case", r.id)
		case r.err == nil && (r.test == "") == (r.why == ""):
			t.Errorf("%s needs a test or a reason", r.id)
		}
	}
	t.Logf("%d rules, %d of them by %d cases", len(rules), len(met), total)
}

// TestRefusals makes every case anew, with new keys: go test ./mls -run
// TestRefusals -update writes them.
func TestRefusals(t *testing.T) {
	files := makeNegative(t)
	for _, name := range slices.Sorted(mapKeys(files)) {
		file := files[name]
		t.Run(name, func(t *testing.T) {
			for i := range file.Cases {
				file.Cases[i].check(t, file)
			}
		})
	}
	if *update && !t.Failed() {
		writeNegative(t, files)
	}
}

// writeNegative publishes the cases and the rules.
func writeNegative(t *testing.T, files map[string]*negativeFile) {
	t.Helper()
	must(t, os.MkdirAll(negativeDir, 0o755))
	write := func(name string, v any) {
		b, err := json.MarshalIndent(v, "", " ")
		must(t, err)
		must(t, os.WriteFile(filepath.Join(negativeDir, name), append(b, '\n'), 0o644))
	}
	for name, file := range files {
		write(name, file)
	}
	write(rulesFile, publishedRules())
}
