package tree

import (
	"bytes"
	"fmt"

	"parley/mls/wire"
)

// FilteredDirectPath is that of leaf i in the draft.
func (e *Edit) FilteredDirectPath(i wire.LeafIndex) []Step {
	if uint32(i) >= e.width {
		return nil
	}
	return filteredPath(e.root, Root(e.width), NodeOf(i))
}

// SetPath gives the filtered direct path of member i new keys, from the bottom
// up, and blanks the rest of its direct path. It returns the parent_hash of the
// member's leaf (RFC 9420, Sections 7.5 and 7.9), which the new leaf node must
// have before SetLeaf puts it in its place. It fails with ErrBlankLeaf or
// ErrPathLength and then changes nothing.
func (e *Edit) SetPath(i wire.LeafIndex, keys [][]byte) (parentHash []byte, err error) {
	if !e.member(i) {
		return nil, fmt.Errorf("path of leaf %d: %w", i, ErrBlankLeaf)
	}
	steps := e.FilteredDirectPath(i)
	if len(keys) != len(steps) {
		return nil, fmt.Errorf("path of leaf %d: %d keys, want %d: %w", i, len(keys), len(steps), ErrPathLength)
	}
	parentHash = []byte{}
	at := len(steps) - 1
	e.walk(NodeOf(i), func(n *node, x NodeIndex) {
		if at < 0 || steps[at].Parent != x {
			e.blankParent(n, x)
			return
		}
		p := &wire.ParentNode{EncryptionKey: bytes.Clone(keys[at]), ParentHash: parentHash}
		e.setParent(n, x, p)
		sibling := n.left
		if steps[at].Copath > x {
			sibling = n.right
		}
		parentHash = e.hasher.parentHash(p, e.hasher.hash(sibling, steps[at].Copath))
		at--
	})
	return parentHash, nil
}

// SetLeaf replaces the leaf node of member i and nothing else: the last step of
// an update path. It fails with ErrBlankLeaf.
func (e *Edit) SetLeaf(i wire.LeafIndex, leaf wire.LeafNode) error {
	if !e.member(i) {
		return fmt.Errorf("set leaf %d: %w", i, ErrBlankLeaf)
	}
	e.walk(NodeOf(i), func(n *node, x NodeIndex) {
		if x == NodeOf(i) {
			e.setLeaf(n, x, &leaf)
		}
	})
	return nil
}

// ApplyPath merges the update path of member i, as its receiver (RFC 9420,
// Section 12.4.2): the number of nodes and of ciphertexts, the keys, which must
// be new to the tree, and the parent hash of the leaf are verified; the leaf's
// signature and contents are not. added are the leaves the same commit adds, in
// increasing order. After an error the draft is of no use.
func (e *Edit) ApplyPath(i wire.LeafIndex, path *wire.UpdatePath, added []wire.LeafIndex) error {
	keys, err := e.checkPath(i, path, added)
	if err != nil {
		return err
	}
	if err := e.setPath(i, path, keys); err != nil {
		return err
	}
	return e.SetLeaf(i, path.LeafNode)
}

// Join is ApplyPath of an external commit, whose sender gets the leaf that
// Vacant returns (RFC 9420, Section 12.4.2).
func (e *Edit) Join(path *wire.UpdatePath) (wire.LeafIndex, error) {
	i, err := e.Vacant()
	if err != nil {
		return i, err
	}
	keys, err := e.checkPath(i, path, nil)
	if err != nil {
		return i, err
	}
	if i, err = e.Add(path.LeafNode); err != nil {
		return i, err
	}
	return i, e.setPath(i, path, keys)
}

// Vacant returns the leftmost blank leaf, where Add puts the next member. It
// doubles the tree if there is none, or returns ErrTreeTooLarge.
func (e *Edit) Vacant() (wire.LeafIndex, error) {
	if e.root.members == e.width {
		if e.width >= MaxLeaves {
			return 0, fmt.Errorf("add member %d: %w", e.width, ErrTreeTooLarge)
		}
		e.extend()
	}
	return e.leftmostBlank(), nil
}

// checkPath verifies the form of a path and that its keys are new. It returns
// those above the leaf.
func (e *Edit) checkPath(i wire.LeafIndex, path *wire.UpdatePath, added []wire.LeafIndex) ([][]byte, error) {
	steps := e.FilteredDirectPath(i)
	if len(path.Nodes) != len(steps) {
		return nil, fmt.Errorf("%d nodes, want %d: %w", len(path.Nodes), len(steps), ErrPathLength)
	}
	if err := e.checkNewKey(path.LeafNode.EncryptionKey); err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	keys := make([][]byte, len(steps))
	for k, n := range path.Nodes {
		if want := e.resolutionSize(steps[k].Copath, added); len(n.EncryptedPathSecret) != want {
			return nil, fmt.Errorf("node %d: %d, want %d: %w", steps[k].Parent, len(n.EncryptedPathSecret), want, ErrPathCiphertexts)
		}
		if err := e.checkNewKey(n.EncryptionKey); err != nil {
			return nil, fmt.Errorf("node %d: %w", steps[k].Parent, err)
		}
		keys[k] = n.EncryptionKey
	}
	return keys, nil
}

// setPath sets the keys of a path and verifies the parent hash of its leaf.
func (e *Edit) setPath(i wire.LeafIndex, path *wire.UpdatePath, keys [][]byte) error {
	parentHash, err := e.SetPath(i, keys)
	if err != nil {
		return err
	}
	if !bytes.Equal(parentHash, path.LeafNode.ParentHash) {
		return fmt.Errorf("leaf %d: %w", i, ErrParentHash)
	}
	return nil
}

// checkNewKey verifies that key is one of the suite and of no node.
func (e *Edit) checkNewKey(key []byte) error {
	if err := e.hasher.suite.CheckHPKEPublicKey(key); err != nil {
		return fmt.Errorf("%w: %w", ErrEncryptionKey, err)
	}
	if e.nodesWith(key) > 0 {
		return ErrPathKeyReused
	}
	return nil
}

// resolutionSize counts the resolution of x without the leaves just added.
func (e *Edit) resolutionSize(x NodeIndex, added []wire.LeafIndex) (size int) {
	e.root.at(x, e.width).resolve(x, func(y NodeIndex) bool {
		if i, leaf := y.Leaf(); !leaf || !includes(added, i) {
			size++
		}
		return true
	})
	return size
}
