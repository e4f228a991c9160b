package service

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A proof is a key record that holds: its author signed it, and stands in the
// tree of the GroupContext that it names. Whether that context is the room's is
// not known by that: for an item the envelope says so, which is bound to the
// context's hash; for an anchor the member who vouches for it.
type proof struct {
	record  *groups.KeyRecord
	context wire.GroupContext
	policy  groups.Policy
	suite   *suite.Suite
	author  *wire.LeafNode
}

// prove verifies one record.
func prove(p *groups.Proven) (*proof, error) {
	r, err := groups.ParseKeyRecord(p.Record)
	if err != nil {
		return nil, err
	}
	out := &proof{record: r}
	if groups.Hash(sha256.Sum256(p.Context)) != r.ContextHash {
		return nil, fmt.Errorf("record of epoch %d of %s: it names another context", r.Epoch, r.Room)
	}
	if out.context, err = wire.Unmarshal[wire.GroupContext](p.Context); err != nil {
		return nil, err
	}
	if string(out.context.GroupID) != string(r.Room) || groups.Epoch(out.context.Epoch) != r.Epoch {
		return nil, fmt.Errorf("record of epoch %d of %s: its context is of epoch %d of %q", r.Epoch, r.Room, out.context.Epoch, clip(string(out.context.GroupID)))
	}
	if out.suite, err = suite.Lookup(suite.ID(out.context.CipherSuite)); err != nil {
		return nil, err
	}
	if err := out.readPolicy(); err != nil {
		return nil, err
	}
	if uint32(p.Author.LeafIndex) != r.AuthorLeaf {
		return nil, fmt.Errorf("record of epoch %d of %s: made by leaf %d, leaf %d is shown", r.Epoch, r.Room, r.AuthorLeaf, p.Author.LeafIndex)
	}
	if err := p.Author.Verify(out.suite, out.context.TreeHash); err != nil {
		return nil, err
	}
	out.author = p.Author.LeafNode()
	return out, r.Verify(out.suite, out.author)
}

// readPolicy takes the room's policy out of the context, and holds the record's
// recipients against it.
func (p *proof) readPolicy() error {
	for _, ext := range p.context.Extensions {
		if ext.ExtensionType != groups.PolicyExtension {
			continue
		}
		var err error
		if p.policy, err = groups.ParsePolicy(ext.ExtensionData); err != nil {
			return err
		}
		same := len(p.policy.CoIs) == len(p.record.Recipients)
		for i := 0; same && i < len(p.policy.CoIs); i++ {
			same = p.policy.CoIs[i].Name == p.record.Recipients[i].Name
		}
		if !same {
			return fmt.Errorf("record of epoch %d of %s: its recipients are not those of the room's policy", p.record.Epoch, p.record.Room)
		}
		return nil
	}
	return fmt.Errorf("epoch %d of %s has no policy", p.record.Epoch, p.record.Room)
}

// wrappedTo says whether the key is wrapped to a CoI.
func (p *proof) wrappedTo(name groups.CoIID) bool {
	for i := range p.record.Recipients {
		if p.record.Recipients[i].Name == name {
			return true
		}
	}
	return false
}

// leaf returns the leaf that another proof shows in this epoch's tree.
func (p *proof) leaf(m *tree.MembershipProof) (*wire.LeafNode, error) {
	if m == nil {
		return nil, fmt.Errorf("no leaf is shown in epoch %d of %s", p.record.Epoch, p.record.Room)
	}
	if err := m.Verify(p.suite, p.context.TreeHash); err != nil {
		return nil, err
	}
	return m.LeafNode(), nil
}

// holder returns whose leaf a proof shows in this epoch's tree. The members have
// judged its certificate when it was in force; only its name is read here.
func (p *proof) holder(m *tree.MembershipProof) (coi.Name, error) {
	leaf, err := p.leaf(m)
	if err != nil {
		return coi.Name{}, err
	}
	c := &leaf.Credential
	if c.CredentialType != wire.CredentialTypeX509 || len(c.Certificates) == 0 {
		return coi.Name{}, fmt.Errorf("leaf %d of epoch %d of %s has no certificate", m.LeafIndex, p.record.Epoch, p.record.Room)
	}
	return coi.CertificateName(c.Certificates[0].CertData)
}

// ended says whether the key's time is over, clocks allowed for.
func (p *proof) ended(now time.Time) bool {
	end := p.record.NotAfter
	return end != 0 && uint64(now.UnixMilli()) > end+uint64(coi.Skew/time.Millisecond)
}

// policyHash names the policy in the log.
func (p *proof) policyHash() [32]byte {
	return sha256.Sum256(p.policy.Extension().ExtensionData)
}

// same says whether two proofs are of one epoch of one room.
func (p *proof) same(o *proof) bool {
	return p.record.Room == o.record.Room && p.record.ContextHash == o.record.ContextHash
}

// vouched says whether the author of a later record was a member of this epoch:
// a leaf of this tree has the author's signature key.
func (p *proof) vouched(later *proof, m *tree.MembershipProof) error {
	if later == nil {
		return fmt.Errorf("epoch %d of %s: the anchor does not hold", p.record.Epoch, p.record.Room)
	}
	if later.record.Room != p.record.Room || later.record.Epoch <= p.record.Epoch && !p.same(later) {
		return fmt.Errorf("epoch %d of %s: the anchor is epoch %d of %s", p.record.Epoch, p.record.Room, later.record.Epoch, later.record.Room)
	}
	leaf, err := p.leaf(m)
	if err != nil {
		return err
	}
	if !bytes.Equal(leaf.SignatureKey, later.author.SignatureKey) {
		return fmt.Errorf("epoch %d of %s: whoever made the anchor was no member then", p.record.Epoch, p.record.Room)
	}
	return nil
}

// inParallel calls f for 0 to n-1 on all processors, and waits for the end.
func inParallel(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
