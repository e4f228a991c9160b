package tree

import (
	"bytes"
	"slices"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A naive is a ratchet tree as the RFC writes it down: an array of nodes, each
// definition a recursion over it, nothing cached. It is what Tree is compared
// with.
type naive struct {
	suite *suite.Suite
	nodes []*wire.Node
}

// naiveOf reads a tree through the list of wire.
func naiveOf(t *Tree) *naive {
	list, err := wire.Unmarshal[wire.RatchetTree](wire.Marshal(t))
	if err != nil {
		panic(err)
	}
	n := &naive{t.suite, list}
	n.extend()
	return n
}

// extend adds blank nodes up to a length of 2^(d+1) - 1.
func (n *naive) extend() {
	for len(n.nodes)&(len(n.nodes)+1) != 0 {
		n.nodes = append(n.nodes, nil)
	}
}

func (n *naive) width() uint32 { return uint32(len(n.nodes)+1) / 2 }

// clone copies the nodes, deep enough to change them.
func (n *naive) clone() *naive {
	c := &naive{suite: n.suite}
	for _, node := range n.nodes {
		if node != nil && node.ParentNode != nil {
			p := *node.ParentNode
			p.UnmergedLeaves = slices.Clone(p.UnmergedLeaves)
			node = &wire.Node{NodeType: wire.NodeTypeParent, ParentNode: &p}
		}
		c.nodes = append(c.nodes, node)
	}
	return c
}

// encode writes the extension ratchet_tree.
func (n *naive) encode() []byte {
	end := len(n.nodes)
	for n.nodes[end-1] == nil {
		end--
	}
	return wire.Marshal(wire.RatchetTree(n.nodes[:end]))
}

func (n *naive) hash(x NodeIndex) []byte { return n.nodeHash(x, n.hash) }

// nodeHash is the tree hash of x, given those of its children.
func (n *naive) nodeHash(x NodeIndex, child func(NodeIndex) []byte) []byte {
	var in wire.TreeHashInput
	node := n.nodes[x]
	if i, ok := x.Leaf(); ok {
		in = wire.TreeHashInput{NodeType: wire.NodeTypeLeaf, LeafNode: &wire.LeafNodeHashInput{LeafIndex: i}}
		if node != nil {
			in.LeafNode.LeafNode = node.LeafNode
		}
	} else {
		in = wire.TreeHashInput{NodeType: wire.NodeTypeParent, ParentNode: &wire.ParentNodeHashInput{
			LeftHash: child(first(x.Left())), RightHash: child(first(x.Right())),
		}}
		if node != nil {
			in.ParentNode.ParentNode = node.ParentNode
		}
	}
	return n.suite.Hash(wire.Marshal(in))
}

func (n *naive) resolution(x NodeIndex) []NodeIndex {
	if node := n.nodes[x]; node != nil {
		list := []NodeIndex{x}
		if node.ParentNode != nil {
			for _, i := range node.ParentNode.UnmergedLeaves {
				list = append(list, NodeOf(i))
			}
		}
		return list
	}
	l, ok := x.Left()
	if !ok {
		return nil
	}
	r, _ := x.Right()
	return append(n.resolution(l), n.resolution(r)...)
}

func (n *naive) filteredDirectPath(i wire.LeafIndex) []Step {
	var steps []Step
	path, copath := DirectPath(NodeOf(i), n.width()), Copath(NodeOf(i), n.width())
	for k := range path {
		if len(n.resolution(copath[k])) > 0 {
			steps = append(steps, Step{path[k], copath[k]})
		}
	}
	return steps
}

func (n *naive) add(leaf wire.LeafNode) wire.LeafIndex {
	i := wire.LeafIndex(0)
	for int(NodeOf(i)) < len(n.nodes) && n.nodes[NodeOf(i)] != nil {
		i++
	}
	if uint32(i) == n.width() {
		n.nodes = append(n.nodes, nil, nil)
		n.extend()
	}
	for _, x := range DirectPath(NodeOf(i), n.width()) {
		if node := n.nodes[x]; node != nil {
			node.ParentNode.UnmergedLeaves = append(node.ParentNode.UnmergedLeaves, i)
			slices.Sort(node.ParentNode.UnmergedLeaves)
		}
	}
	n.nodes[NodeOf(i)] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	return i
}

func (n *naive) update(i wire.LeafIndex, leaf wire.LeafNode) {
	n.nodes[NodeOf(i)] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	n.blankPath(i)
}

func (n *naive) blankPath(i wire.LeafIndex) {
	for _, x := range DirectPath(NodeOf(i), n.width()) {
		n.nodes[x] = nil
	}
}

func (n *naive) remove(i wire.LeafIndex) {
	n.nodes[NodeOf(i)] = nil
	n.blankPath(i)
	for n.width() > 1 {
		right, _ := Root(n.width()).Right()
		if len(n.resolution(right)) > 0 {
			return
		}
		n.nodes = n.nodes[:len(n.nodes)/2]
	}
}

// original is the tree hash of x without the leaves.
func (n *naive) original(x NodeIndex, without []wire.LeafIndex) []byte {
	c := n.clone()
	for _, i := range without {
		c.nodes[NodeOf(i)] = nil
	}
	for _, node := range c.nodes {
		if node != nil && node.ParentNode != nil {
			p := node.ParentNode
			p.UnmergedLeaves = slices.DeleteFunc(p.UnmergedLeaves, func(i wire.LeafIndex) bool { return slices.Contains(without, i) })
		}
	}
	return c.hash(x)
}

// parentHash is the parent hash of p with that copath child.
func (n *naive) parentHash(p, sibling NodeIndex) []byte {
	node := n.nodes[p].ParentNode
	return n.suite.Hash(wire.Marshal(wire.ParentHashInput{
		EncryptionKey: node.EncryptionKey, ParentHash: node.ParentHash,
		OriginalSiblingTreeHash: n.original(sibling, node.UnmergedLeaves),
	}))
}

// setPath gives the filtered direct path of i new keys and returns the parent
// hash of the leaf.
func (n *naive) setPath(i wire.LeafIndex, keys [][]byte) []byte {
	steps := n.filteredDirectPath(i)
	n.blankPath(i)
	hash := []byte{}
	for k := len(steps) - 1; k >= 0; k-- {
		n.nodes[steps[k].Parent] = &wire.Node{NodeType: wire.NodeTypeParent, ParentNode: &wire.ParentNode{EncryptionKey: keys[k], ParentHash: hash}}
		hash = n.parentHash(steps[k].Parent, steps[k].Copath)
	}
	return hash
}

// parentHashesValid looks, for every parent node, at all nodes below it for
// those that have its parent hash (RFC 9420, Section 7.9.2).
func (n *naive) parentHashesValid() bool {
	for i, node := range n.nodes {
		p := NodeIndex(i)
		if node == nil || node.ParentNode == nil {
			continue
		}
		children := 0
		for j := range n.nodes {
			if d := NodeIndex(j); d != p && p.Contains(d) && n.validFor(d, p) {
				children++
			}
		}
		if children != 1 {
			return false
		}
	}
	return true
}

// validFor reports whether the parent hash of d is valid with respect to p.
func (n *naive) validFor(d, p NodeIndex) bool {
	if n.nodes[d] == nil {
		return false
	}
	c, s := first(p.Left()), first(p.Right())
	if !c.Contains(d) {
		c, s = s, c
	}
	var hash []byte
	if leaf := n.nodes[d].LeafNode; leaf == nil {
		hash = n.nodes[d].ParentNode.ParentHash
	} else if hash = leaf.ParentHash; leaf.LeafNodeSource != wire.LeafNodeSourceCommit {
		return false
	}
	resolution := n.resolution(c)
	at := slices.Index(resolution, d)
	if at < 0 {
		return false
	}
	resolution = slices.Delete(resolution, at, at+1)
	slices.Sort(resolution)
	var unmerged []NodeIndex
	for _, i := range n.nodes[p].ParentNode.UnmergedLeaves {
		if c.Contains(NodeOf(i)) {
			unmerged = append(unmerged, NodeOf(i))
		}
	}
	return slices.Equal(resolution, unmerged) && bytes.Equal(hash, n.parentHash(p, s))
}

func first(x NodeIndex, _ bool) NodeIndex { return x }
