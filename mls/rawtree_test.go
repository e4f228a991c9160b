package mls

import (
	"slices"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A rawTree is a ratchet tree as an array, to which anything can be done: what
// is invalid too. It is how a forger has its trees.
type rawTree struct {
	suite *suite.Suite
	nodes []*wire.Node
}

// rawTreeOf copies a tree.
func rawTreeOf(t *tree.Tree) *rawTree {
	list, err := wire.Unmarshal[wire.RatchetTree](wire.Marshal(t))
	if err != nil {
		panic(err)
	}
	r := &rawTree{t.Suite(), list}
	r.extend()
	return r
}

// extend adds blank nodes up to a length of 2^(d+1) - 1.
func (r *rawTree) extend() {
	for len(r.nodes)&(len(r.nodes)+1) != 0 {
		r.nodes = append(r.nodes, nil)
	}
}

func (r *rawTree) width() uint32 { return uint32(len(r.nodes)+1) / 2 }

// encode writes the extension ratchet_tree.
func (r *rawTree) encode() []byte {
	end := len(r.nodes)
	for r.nodes[end-1] == nil {
		end--
	}
	return wire.Marshal(wire.RatchetTree(r.nodes[:end]))
}

// leaf returns leaf node i.
func (r *rawTree) leaf(i wire.LeafIndex) *wire.LeafNode { return r.nodes[tree.NodeOf(i)].LeafNode }

// parent returns parent node x.
func (r *rawTree) parent(x tree.NodeIndex) *wire.ParentNode { return r.nodes[x].ParentNode }

func (r *rawTree) hash(x tree.NodeIndex) []byte {
	var in wire.TreeHashInput
	node := r.nodes[x]
	if i, ok := x.Leaf(); ok {
		in = wire.TreeHashInput{NodeType: wire.NodeTypeLeaf, LeafNode: &wire.LeafNodeHashInput{LeafIndex: i}}
		if node != nil {
			in.LeafNode.LeafNode = node.LeafNode
		}
	} else {
		left, _ := x.Left()
		right, _ := x.Right()
		in = wire.TreeHashInput{NodeType: wire.NodeTypeParent, ParentNode: &wire.ParentNodeHashInput{LeftHash: r.hash(left), RightHash: r.hash(right)}}
		if node != nil {
			in.ParentNode.ParentNode = node.ParentNode
		}
	}
	return r.suite.Hash(wire.Marshal(in))
}

func (r *rawTree) resolution(x tree.NodeIndex) []tree.NodeIndex {
	if node := r.nodes[x]; node != nil {
		list := []tree.NodeIndex{x}
		if node.ParentNode != nil {
			for _, i := range node.ParentNode.UnmergedLeaves {
				list = append(list, tree.NodeOf(i))
			}
		}
		return list
	}
	left, ok := x.Left()
	if !ok {
		return nil
	}
	right, _ := x.Right()
	return append(r.resolution(left), r.resolution(right)...)
}

func (r *rawTree) filteredPath(i wire.LeafIndex) (steps []tree.Step) {
	path, copath := tree.DirectPath(tree.NodeOf(i), r.width()), tree.Copath(tree.NodeOf(i), r.width())
	for k := range path {
		if len(r.resolution(copath[k])) > 0 {
			steps = append(steps, tree.Step{Parent: path[k], Copath: copath[k]})
		}
	}
	return steps
}

// add puts a leaf into the leftmost blank place.
func (r *rawTree) add(leaf wire.LeafNode) wire.LeafIndex {
	i := wire.LeafIndex(0)
	for int(tree.NodeOf(i)) < len(r.nodes) && r.nodes[tree.NodeOf(i)] != nil {
		i++
	}
	if uint32(i) == r.width() {
		r.nodes = append(r.nodes, nil, nil)
		r.extend()
	}
	for _, x := range tree.DirectPath(tree.NodeOf(i), r.width()) {
		if node := r.nodes[x]; node != nil {
			node.ParentNode.UnmergedLeaves = append(node.ParentNode.UnmergedLeaves, i)
			slices.Sort(node.ParentNode.UnmergedLeaves)
		}
	}
	r.set(i, leaf)
	return i
}

// set replaces leaf i and nothing else.
func (r *rawTree) set(i wire.LeafIndex, leaf wire.LeafNode) {
	r.nodes[tree.NodeOf(i)] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
}

// setParent replaces a parent node.
func (r *rawTree) setParent(x tree.NodeIndex, p wire.ParentNode) {
	r.nodes[x] = &wire.Node{NodeType: wire.NodeTypeParent, ParentNode: &p}
}

// blank makes the nodes above leaf i blank.
func (r *rawTree) blank(i wire.LeafIndex) {
	for _, x := range tree.DirectPath(tree.NodeOf(i), r.width()) {
		r.nodes[x] = nil
	}
}

// remove blanks leaf i, if there is one, and truncates.
func (r *rawTree) remove(i wire.LeafIndex) {
	if uint32(i) >= r.width() {
		return
	}
	r.nodes[tree.NodeOf(i)] = nil
	r.blank(i)
	for r.width() > 1 {
		right, _ := tree.Root(r.width()).Right()
		if len(r.resolution(right)) > 0 {
			return
		}
		r.nodes = r.nodes[:len(r.nodes)/2]
	}
}

// setPath gives the filtered direct path of i new keys and returns the parent
// hash of its leaf. What was unmerged is merged, so that the copath's tree hashes
// are the original ones.
func (r *rawTree) setPath(i wire.LeafIndex, keys [][]byte) []byte {
	steps := r.filteredPath(i)
	r.blank(i)
	parentHash := []byte{}
	for k := len(steps) - 1; k >= 0; k-- {
		r.setParent(steps[k].Parent, wire.ParentNode{EncryptionKey: keys[k], ParentHash: parentHash})
		parentHash = r.suite.Hash(wire.Marshal(wire.ParentHashInput{
			EncryptionKey: keys[k], ParentHash: parentHash, OriginalSiblingTreeHash: r.hash(steps[k].Copath),
		}))
	}
	return parentHash
}
