package tree

import (
	"bytes"
	"testing"

	"parley/mls/wire"
)

// A node's memory is its own but for what a size class adds: it neither keeps what
// it was read from, nor that of nodes that are gone.
func TestNodesKeepNoMoreMemoryThanTheyNeed(t *testing.T) {
	tree := grown(t, 300)
	read, err := Parse(tree.Suite(), wire.Marshal(tree))
	if err != nil {
		t.Fatal(err)
	}
	unmerged := 0
	for _, tree := range []*Tree{tree, read} {
		for x := range 2*tree.Width() - 1 {
			if n := tree.node(NodeIndex(x)); cap(n.blob) > len(n.blob)+len(n.blob)/8+16 || !n.sealed {
				t.Fatalf("node %d: %d bytes in %d", x, len(n.blob), cap(n.blob))
			} else if p := n.parent; p != nil {
				unmerged++
				if key := n.content(); &p.EncryptionKey[0] != &key[0] {
					t.Fatalf("node %d has its key twice", x)
				}
			}
		}
	}
	if unmerged == 0 {
		t.Fatal("no node has unmerged leaves")
	}
}

// Parse does not look at keys: one of any length is read back as it was.
func TestParseKeepsAKeyOfAnyLength(t *testing.T) {
	n := naiveOf(bulk(t, 8, true))
	n.parent(t, 3).EncryptionKey = bytes.Repeat([]byte{7}, 1<<16+5)
	encoded := n.encode()
	tree, err := Parse(n.suite, encoded)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := tree.ParentNode(3)
	if !bytes.Equal(wire.Marshal(tree), encoded) || !bytes.Equal(tree.Hash(), n.hash(7)) || len(p.EncryptionKey) != 1<<16+5 {
		t.Fatal("the tree is not what was read")
	}
}
