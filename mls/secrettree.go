package mls

import (
	"parley/mls/suite"
)

// A secretTree is the secret tree of one epoch (RFC 9420, Section 9), grown
// only where somebody has spoken: it holds the secrets of the subtrees nobody
// has been heard from, and the ratchets of those who have. A secret is erased
// when its children are derived (I8).
type secretTree struct {
	suite   *suite.Suite
	height  int // levels above the leaves
	nodes   map[treeNode]subtreeSecret
	senders map[uint32]*sender
}

// A treeNode names a node of a full binary tree by its level (leaves are 0)
// and its place in the level.
type treeNode struct {
	level int
	place uint32
}

// A subtreeSecret is the secret of a node. Home is the leaf at whose first
// message it was derived: what is kept in one record together.
type subtreeSecret struct {
	secret secretBytes
	home   uint32
}

// A sender is the pair of ratchets of one leaf.
type sender struct {
	handshake, application ratchet
}

// noHome is the home of the encryption secret itself.
const noHome = 1<<32 - 1

// newSecretTree takes over encryptionSecret for a tree of 2^height leaves.
func newSecretTree(s *suite.Suite, encryptionSecret []byte, height int) *secretTree {
	t := &secretTree{
		suite:   s,
		height:  height,
		nodes:   make(map[treeNode]subtreeSecret, height+1),
		senders: make(map[uint32]*sender),
	}
	root := subtreeSecret{home: noHome}
	copy(root.secret[:], encryptionSecret)
	t.nodes[treeNode{height, 0}] = root
	clear(encryptionSecret)
	return t
}

// A growth is the part of the tree that has to be derived for a sender who was
// not heard before. Like a step, it is computed first and made later.
type growth struct {
	leaf     uint32
	from     treeNode // whose secret is spent
	fromHome uint32
	siblings []subtreeSecret // of the leaf's ancestors below from, top down
	sender   *sender
}

// seek returns the ratchets of leaf, which must be in the tree, and what has
// to be grown for them, nil if nothing.
func (t *secretTree) seek(leaf uint32) (*sender, *growth) {
	if s, ok := t.senders[leaf]; ok {
		return s, nil
	}
	g := &growth{leaf: leaf, sender: new(sender)}
	level := 0
	for ; ; level++ {
		if level > t.height {
			panic("BUG: leaf without a secret above it")
		}
		if _, ok := t.nodes[treeNode{level, leaf >> level}]; ok {
			break
		}
	}
	g.from = treeNode{level, leaf >> level}
	from := t.nodes[g.from]
	g.fromHome = from.home
	n := t.suite.HashSize()
	secret := from.secret
	for level--; level >= 0; level-- {
		mine, other := "left", "right"
		if leaf>>level&1 == 1 {
			mine, other = other, mine
		}
		sibling := subtreeSecret{home: leaf}
		t.suite.AppendExpandWithLabel(sibling.secret[:0], secret[:n], "tree", []byte(other), n)
		t.suite.AppendExpandWithLabel(secret[:0], secret[:n], "tree", []byte(mine), n)
		g.siblings = append(g.siblings, sibling)
	}
	t.suite.AppendExpandWithLabel(g.sender.handshake.secret[:0], secret[:n], "handshake", nil, n)
	t.suite.AppendExpandWithLabel(g.sender.application.secret[:0], secret[:n], "application", nil, n)
	clear(secret[:])
	return g.sender, g
}

// apply grows the tree.
func (t *secretTree) apply(g *growth) {
	delete(t.nodes, g.from)
	level := g.from.level
	for _, sibling := range g.siblings {
		level--
		t.nodes[treeNode{level, g.leaf>>level ^ 1}] = sibling
	}
	t.senders[g.leaf] = g.sender
	clear(g.siblings)
}

// home returns the nodes whose secrets belong into leaf's record.
func (t *secretTree) home(leaf uint32) []treeNode {
	var nodes []treeNode
	if leaf == noHome {
		if n, ok := t.nodes[treeNode{t.height, 0}]; ok && n.home == noHome {
			nodes = append(nodes, treeNode{t.height, 0})
		}
		return nodes
	}
	for level := t.height - 1; level >= 0; level-- {
		node := treeNode{level, leaf>>level ^ 1}
		if n, ok := t.nodes[node]; ok && n.home == leaf {
			nodes = append(nodes, node)
		}
	}
	return nodes
}
