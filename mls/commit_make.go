package mls

import (
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

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
