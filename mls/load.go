package mls

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// LoadOptions say where a stored Group comes from.
type LoadOptions struct {
	// Records are all that TakeChanges gave and that were not deleted, in any
	// order. Their values must not change afterwards.
	Records iter.Seq[Record]
	// Signers are this member's signature keys: that of its leaf, and those of
	// updates that wait. They are not among the records.
	Signers []*suite.SignaturePrivateKey
	// Credentials decides about credentials; nil refuses all.
	Credentials tree.CredentialValidator
	// Policy is what the application adds to the rules; zero adds nothing.
	Policy Policy
	// Parallel makes seals and verifies signatures where a step has many; nil: one
	// after the other. It is used for as long as the Group and what follows it are.
	Parallel tree.Parallel
}

// Load makes the Group that was stored. It fails with ErrRecord if records are
// missing or do not belong together, and with suite.ErrBadKey if the signature
// key is not among Signers. It takes time in proportion to the members.
func Load(o LoadOptions) (*Group, error) {
	g, err := load(&o)
	if err != nil {
		return nil, fmt.Errorf("load group: %w", err)
	}
	return g, nil
}

// A stored is a record with its key read.
type stored struct {
	id    recordID
	value []byte
}

// A loading is a Group being loaded.
type loading struct {
	group   *Group
	options *LoadOptions
	rows    [recordKinds][]stored
	stored  storedGroup
	epochs  map[uint64]*pastEpoch
}

func load(o *LoadOptions) (*Group, error) {
	l := &loading{
		options: o,
		group:   &Group{credentials: o.Credentials, policy: o.Policy, parallel: o.Parallel, changed: make(changes)},
		epochs:  make(map[uint64]*pastEpoch),
	}
	for r := range o.Records {
		id, err := parseKey(r.Key)
		if err != nil {
			return nil, err
		}
		l.rows[id.kind] = append(l.rows[id.kind], stored{id, r.Value})
	}
	for _, step := range []func() error{l.readGroup, l.readEpochs, l.readSecrets, l.readTree, l.readKeys, l.readProposals} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return l.group, nil
}

// readGroup reads the one record that is always there.
func (l *loading) readGroup() (err error) {
	if len(l.rows[groupRecord]) != 1 {
		return fmt.Errorf("%d group records: %w", len(l.rows[groupRecord]), ErrRecord)
	}
	l.stored, err = wire.Unmarshal[storedGroup](l.rows[groupRecord][0].value)
	return err
}

// readEpochs reads the epochs that the group carries, without their secrets.
func (l *loading) readEpochs() error {
	g := l.group
	for _, row := range l.rows[epochRecord] {
		p, err := wire.Unmarshal[pastEpoch](row.value)
		if err != nil {
			return err
		}
		if p.context.Epoch != row.id.epoch || l.epochs[row.id.epoch] != nil {
			return fmt.Errorf("record of epoch %d: %w", row.id.epoch, ErrRecord)
		}
		s, err := suite.Lookup(suite.ID(p.context.CipherSuite))
		if err != nil {
			return err
		}
		p.suite, p.tree.suite, p.own = s, s, l.stored.own
		l.epochs[row.id.epoch] = &p
	}
	current := l.epochs[l.stored.epoch]
	if current == nil {
		return fmt.Errorf("no record of epoch %d: %w", l.stored.epoch, ErrRecord)
	}
	g.suite, g.epoch, g.keep = current.suite, current.epoch, l.stored.keep
	for n := l.stored.epoch; n > 0 && l.epochs[n-1] != nil && len(g.past) < g.keep; n-- {
		g.past = append(g.past, *l.epochs[n-1])
	}
	for n := range l.epochs {
		if g.carried(n) == nil {
			g.changed.add(recordID{kind: epochRecord, epoch: n})
			delete(l.epochs, n)
		}
	}
	return nil
}

// readSecrets reads the secret trees. What is left of epochs that are over is
// to be deleted.
func (l *loading) readSecrets() error {
	for _, kind := range []recordKind{secretsRecord, ratchetsRecord, skippedRecord} {
		for _, row := range l.rows[kind] {
			p := l.epochs[row.id.epoch]
			if p == nil {
				l.group.changed.add(row.id)
				continue
			}
			r := wire.NewReader(row.value)
			switch kind {
			case secretsRecord:
				p.tree.decodeSecrets(r, row.id.leaf)
			case ratchetsRecord:
				p.tree.decodeRatchets(r, row.id.leaf)
			case skippedRecord:
				p.tree.decodeSkipped(r, row.id)
			}
			if err := r.Done(); err != nil {
				return fmt.Errorf("record %s: %w", row.id.key(), err)
			}
		}
	}
	return nil
}

// readTree puts the nodes together as they stand in the tree's extension.
func (l *loading) readTree() error {
	g, rows := l.group, l.rows[treeRecord]
	slices.SortFunc(rows, func(a, b stored) int { return cmp.Compare(a.id.leaf, b.id.leaf) })
	if n := len(rows); n > 0 && rows[n-1].id.leaf >= 2*tree.MaxLeaves {
		return fmt.Errorf("record of node %d: %w", rows[n-1].id.leaf, ErrRecord)
	}
	w := wire.NewWriter(nil)
	w.Vector(func(w *wire.Writer) {
		next := uint32(0)
		for _, row := range rows {
			for ; next < row.id.leaf; next++ {
				w.Bool(false)
			}
			w.Bool(true)
			w.Raw(row.value)
			next++
		}
	})
	t, err := tree.Parse(g.suite, w.Bytes())
	if err != nil {
		return err
	}
	context := g.epoch.context
	if string(t.Hash()) != string(context.TreeHash) || height(t) != g.epoch.tree.height {
		return fmt.Errorf("tree of another epoch: %w", ErrRecord)
	}
	g.state = tree.State{Context: context, Tree: t}
	return nil
}

// readKeys reads what the member has of the epoch for itself.
func (l *loading) readKeys() (err error) {
	g, s := l.group, &l.stored
	g.secrets, g.tag = s.secrets, s.tag
	g.secrets.senderData, g.secrets.membership = g.epoch.senderData, g.epoch.membership
	g.epoch.resumption, g.reinit = s.secrets.resumption, s.reinit
	g.interim = interimHash(g.suite, g.state.Context.ConfirmedTranscriptHash, g.tag)
	if g.keys, err = s.keyring(g.state.Tree); err != nil {
		return err
	}
	public, ok := g.state.Tree.SignatureKey(s.own)
	if _, there := g.keys[tree.NodeOf(s.own)]; !ok || !there {
		return fmt.Errorf("no key of our leaf %d: %w", s.own, ErrRecord)
	}
	g.signer, err = l.signer(public)
	return err
}

// signer finds one of the member's signature keys.
func (l *loading) signer(public []byte) (*suite.SignaturePrivateKey, error) {
	for _, k := range l.options.Signers {
		if string(k.PublicKey()) == string(public) {
			return k, nil
		}
	}
	return nil, fmt.Errorf("signature key is not given: %w", suite.ErrBadKey)
}

// readProposals reads the proposals that wait.
func (l *loading) readProposals() error {
	g, rows := l.group, l.rows[proposalRecord]
	slices.SortFunc(rows, func(a, b stored) int { return cmp.Compare(a.id.leaf, b.id.leaf) })
	for _, row := range rows {
		if row.id.epoch != g.Epoch() {
			g.changed.add(row.id)
			continue
		}
		p, err := l.readProposal(row)
		if err != nil {
			return fmt.Errorf("record %s: %w", row.id.key(), err)
		}
		g.proposals = append(g.proposals, p)
	}
	return nil
}

func (l *loading) readProposal(row stored) (p proposal, err error) {
	r := wire.NewReader(row.value)
	version := r.Uint8()
	p.number, p.verified = row.id.leaf, true // or it would not have been stored
	p.content.Decode(r)
	private, public := r.Opaque(), r.Opaque()
	if err := r.Done(); err != nil {
		return p, err
	}
	content := &p.content.Content
	if version != recordVersion || content.Proposal == nil || content.Epoch != l.group.Epoch() {
		return p, ErrRecord
	}
	p.ref = l.group.suite.ProposalRef(wire.Marshal(p.content))
	if len(private) == 0 {
		return p, nil
	}
	if content.Proposal.Update == nil {
		return p, ErrRecord
	}
	if p.key, err = privateKeyOf(l.group.suite, private, content.Proposal.Update.LeafNode.EncryptionKey); err != nil {
		return p, err
	}
	p.signer, err = l.signer(public)
	return p, err
}
