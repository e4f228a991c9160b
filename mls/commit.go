package mls

import (
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// CommitOptions say what a commit does. The zero value, with Now, commits the
// proposals that wait; if there are none, it renews this member's keys.
type CommitOptions struct {
	MessageOptions
	// Adds and Removes are made in this commit, in this order.
	Adds    []*wire.KeyPackage
	Removes []wire.LeafIndex
	// Extensions replace those of the GroupContext; nil leaves them.
	Extensions *wire.Extensions
	// PSKs are mixed into the next epoch, in this order. Their nonces are made
	// anew.
	PSKs []wire.PreSharedKeyID
	// ReInit ends the group; nothing else may be in the commit. Reinitialize founds
	// the one that follows.
	ReInit *wire.ReInit
	// Custom are proposals of the application's own types.
	Custom []wire.Proposal
	// IgnorePending leaves the proposals that wait out.
	IgnorePending bool
	// Cover are the places in PendingProposals of those the commit covers, in this
	// order; none of them is left out. Nil covers all that fit.
	Cover []int
	// ForcePath renews this member's keys even if nothing requires it.
	ForcePath bool
	// Leaf says what changes in this member's leaf; if anything does, keys are
	// renewed too.
	Leaf LeafOptions
	// WelcomeTree puts the ratchet tree into the Welcome, for newcomers who are not
	// given it apart. Large groups should not: each newcomer's copy has all of it.
	WelcomeTree bool

	predecessor *Group // of a group that is being founded
	succession  wire.ResumptionPSKUsage
}

// A Pending is a commit that was made and not accepted yet. If it is, Next
// takes the place of the Group it was made of; if another commit was first, it
// is thrown away.
//
// Next.TakeChanges are to be stored beside the old Group's records, apart from
// them, before Commit leaves (I7). When it is accepted, what the old Group has
// changed is taken and written, and then these: they fit, whatever the old
// Group has sealed and opened meanwhile.
type Pending struct {
	Next *Group
	// Commit is an MLSMessage for all members.
	Commit []byte
	// Welcome is an MLSMessage for those who are added, nil if nobody is. It
	// must not leave before the commit is accepted (RFC 9420, Section 14).
	Welcome []byte
	// GroupInfo is an MLSMessage that describes the new epoch, with external_pub
	// and without the tree.
	GroupInfo []byte
	// Change says what the commit does.
	Change tree.Change
}

// Commit makes a commit (RFC 9420, Section 12.4.1). It covers the proposals
// that wait, by reference, but for those that a commit of this member can not
// hold: updates of its own, its own removal, what contradicts another proposal
// (a removal wins over updates, the last update over others), and what has
// become invalid. It renews keys unless it only adds members. The work is in
// proportion to the logarithm of the members, plus the blank nodes next to the
// path and what is changed.
//
// It fails with an error of mls/tree if what is asked for is not valid. It does
// not change g, but for the ratchet if Private is set.
func (g *Group) Commit(o CommitOptions) (*Pending, error) {
	p, err := g.commit(&o)
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return p, nil
}

func (g *Group) commit(o *CommitOptions) (*Pending, error) {
	if err := g.active(); err != nil {
		return nil, err
	}
	list, st, err := g.stage(o)
	if err != nil {
		return nil, err
	}
	c := &committed{group: g, options: o, staged: st, commit: wire.Commit{Proposals: list}}
	c.renewLeaf = func(key []byte) (wire.LeafNode, *suite.SignaturePrivateKey) { return g.renewLeaf(o.Leaf, key) }
	c.keys, c.signer, c.secret = g.keys, g.signer, make([]byte, g.suite.HashSize())
	if err := c.renew(); err != nil {
		return nil, err
	}
	return c.finish()
}

// stage chooses the proposals of a commit and applies them.
func (g *Group) stage(o *CommitOptions) ([]wire.ProposalOrRef, *tree.Staged, error) {
	values := o.values(g.suite)
	c := g.config(o.Now)
	c.Succession = o.succession
	refs, err := g.cover(o, values, c)
	if err != nil {
		return nil, nil, err
	}
	st, err := g.state.Stage(g.OwnLeaf(), g.sents(refs, values), c)
	if err != nil {
		return nil, nil, err
	}
	list := make([]wire.ProposalOrRef, 0, len(refs)+len(values))
	for _, p := range refs {
		list = append(list, wire.ByReference(p.ref))
	}
	for _, p := range values {
		list = append(list, wire.ByValue(p))
	}
	return list, st, nil
}

// fitting leaves out of refs what makes the commit invalid: a key package that
// has expired, a client that is a member already. If those that are valid by
// themselves are not together, all are left out.
func (g *Group) fitting(refs []*proposal, values []wire.Proposal, c *tree.Config) []*proposal {
	fit := func(refs []*proposal, values []wire.Proposal) bool {
		st, err := g.state.Stage(g.OwnLeaf(), g.sents(refs, values), c)
		if err == nil {
			_, err = st.Next()
		}
		return err == nil
	}
	if len(refs) == 0 || fit(refs, values) {
		return refs
	}
	var alone []*proposal
	for i := range refs {
		if fit(refs[i:i+1], nil) {
			alone = append(alone, refs[i])
		}
	}
	if fit(alone, values) {
		return alone
	}
	return nil
}

// values are the proposals that o makes.
func (o *CommitOptions) values(s *suite.Suite) []wire.Proposal {
	var list []wire.Proposal
	for _, kp := range o.Adds {
		list = append(list, wire.Proposal{ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: *kp}})
	}
	for _, leaf := range o.Removes {
		list = append(list, wire.Proposal{ProposalType: wire.ProposalTypeRemove, Remove: &wire.Remove{Removed: leaf}})
	}
	if o.Extensions != nil {
		list = append(list, wire.Proposal{
			ProposalType:           wire.ProposalTypeGroupContextExtensions,
			GroupContextExtensions: &wire.GroupContextExtensions{Extensions: *o.Extensions},
		})
	}
	for _, id := range o.PSKs {
		list = append(list, injection(s, id))
	}
	if o.ReInit != nil {
		list = append(list, wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: o.ReInit})
	}
	return append(list, o.Custom...)
}

// sents lists proposals by reference and by value.
func (g *Group) sents(refs []*proposal, values []wire.Proposal) []tree.Sent {
	list := make([]tree.Sent, 0, len(refs)+len(values))
	for _, p := range refs {
		list = append(list, p.sent())
	}
	for i := range values {
		list = append(list, tree.Sent{Proposal: &values[i], Sender: g.OwnLeaf()})
	}
	return list
}

// A committed is a commit in the making.
type committed struct {
	group   *Group
	options *CommitOptions
	staged  *tree.Staged
	commit  wire.Commit
	state   tree.State
	path    *path
	secret  []byte // commit_secret
	keys    keyring
	signer  *suite.SignaturePrivateKey
	init    []byte // of an external commit
	// renewLeaf makes the committer's leaf, unsigned, with a new key.
	renewLeaf func(key []byte) (wire.LeafNode, *suite.SignaturePrivateKey)
}

// joining reports whether the commit is our external one.
func (c *committed) joining() bool { return c.init != nil }

// renew gives the committer's path new keys, unless that may be left out
// (RFC 9420, Section 12.4), and makes the next state.
func (c *committed) renew() (err error) {
	o := c.options
	if !c.staged.PathRequired && !o.ForcePath && o.Leaf == (LeafOptions{}) {
		if c.state, err = c.staged.Next(); err == nil {
			c.keys = c.keys.next(c.state.Tree, nil)
		}
		return err
	}
	g, s, own := c.group, c.group.suite, c.group.OwnLeaf()
	key, err := s.GenerateKeyPair()
	if err != nil {
		return err
	}
	if c.path, err = newPath(s, c.staged.Draft.FilteredDirectPath(own)); err != nil {
		return err
	}
	leaf, signer := c.renewLeaf(key.PublicKey())
	leaf.LeafNodeSource = wire.LeafNodeSourceCommit
	if leaf.ParentHash, err = c.staged.SetPath(c.path.publicKeys()); err != nil {
		return err
	}
	if err := signLeaf(&leaf, signer, g.GroupID(), own); err != nil {
		return err
	}
	if err := c.staged.SetLeaf(leaf); err != nil {
		return err
	}
	if c.state, err = c.staged.Next(); err != nil {
		return err
	}
	if err := c.verifyIdentity(leaf); err != nil {
		return err
	}
	nodes, err := c.path.encrypt(&renewal{c.state.Tree, own, c.staged.Added, wire.Marshal(c.state.Context), g.parallel})
	if err != nil {
		return err
	}
	c.commit.Path = &wire.UpdatePath{LeafNode: leaf, Nodes: nodes}
	c.keys = c.keys.with(tree.NodeOf(own), key).next(c.state.Tree, c.path)
	c.secret, c.signer = c.path.commit, signer
	return nil
}

// verifyIdentity asks what the other members will ask, if the committer
// changes its identity or its leaf.
func (c *committed) verifyIdentity(leaf wire.LeafNode) error {
	if c.options.Leaf == (LeafOptions{}) && !c.joining() {
		return nil
	}
	g, own := c.group, c.group.OwnLeaf()
	if err := c.state.Tree.VerifyLeaves(g.GroupID(), own, own+1, g.config(c.options.Now)); err != nil {
		return err
	}
	if c.joining() {
		return nil
	}
	old, _ := g.state.Tree.Leaf(own)
	if err := g.credentials.Succeeds(old.Credential, leaf.Credential); err != nil {
		return fmt.Errorf("%w: %w", tree.ErrSuccessor, err)
	}
	return nil
}

// finish signs and protects the commit, and makes what goes with it.
func (c *committed) finish() (*Pending, error) {
	g, o := c.group, &c.options.MessageOptions
	content := g.framed(wire.ContentTypeCommit, o)
	content.Commit = &c.commit
	if c.joining() {
		content.Sender = wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}
	}
	ac, err := g.epoch.sign(g.signer, o.format(), content)
	if err != nil {
		return nil, err
	}
	psk, err := pskSecret(g.suite, c.staged.Change.PSKs, g.finder(c.options.predecessor))
	if err != nil {
		return nil, err
	}
	a := g.advance(&transition{
		state: c.state, change: &c.staged.Change, commit: &ac, commitSecret: c.secret,
		psk: psk, init: c.init, joining: c.joining(), keys: c.keys, signer: c.signer,
	})
	ac.Auth.ConfirmationTag = a.next.tag
	p := &Pending{Next: a.next, Change: c.staged.Change}
	info, err := a.next.groupInfo()
	if err != nil {
		return nil, err
	}
	p.GroupInfo = wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatGroupInfo, GroupInfo: info})
	if newcomers := c.newcomers(); len(newcomers) > 0 {
		if c.options.WelcomeTree {
			if info, err = a.next.groupInfo(a.next.treeExtension()); err != nil {
				return nil, err
			}
		}
		h := hospitality{g.suite, a.joiner, a.member, p.Change.PSKs, info, g.parallel}
		if p.Welcome, err = h.welcome(newcomers); err != nil {
			return nil, err
		}
	}
	message, u, err := g.protect(&ac, o)
	if err != nil {
		return nil, err
	}
	if u != nil {
		g.use(g.epoch, u)
	}
	p.Commit = message
	return p, nil
}

// newcomers are those whom the commit adds, in the order of their leaves.
func (c *committed) newcomers() []newcomer {
	list := make([]newcomer, 0, len(c.staged.Added))
	for _, sent := range c.sents() {
		if sent.ProposalType != wire.ProposalTypeAdd {
			continue
		}
		n := newcomer{keyPackage: &sent.Add.KeyPackage}
		if c.path != nil {
			at := tree.CommonAncestor(tree.NodeOf(c.staged.Added[len(list)]), tree.NodeOf(c.group.OwnLeaf()))
			n.pathSecret = c.path.secretAt(at)
		}
		list = append(list, n)
	}
	return list
}

// sents are the proposals of the commit.
func (c *committed) sents() []*wire.Proposal {
	list := make([]*wire.Proposal, len(c.commit.Proposals))
	for i, p := range c.commit.Proposals {
		if list[i] = p.Proposal; list[i] == nil {
			list[i] = c.group.pending(p.Reference).content.Content.Proposal
		}
	}
	return list
}
