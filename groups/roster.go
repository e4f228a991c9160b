package groups

import (
	"hash/maphash"
	"maps"
	"slices"

	"parley/mls/wire"
)

// A roster says which device holds which leaf. It is a value: with and without
// return a new roster that shares all but O(log n) of the old one.
type roster struct {
	byDevice *trieNode
	byLeaf   [][]DeviceID // chunks of leafChunk, shared until written
	sites    map[SiteID]int
	n        int
}

const leafChunk = 256

// A trieNode is a leaf with one or, after a collision of whole hashes, several
// members, or a branch of sixteen.
type trieNode struct {
	children [16]*trieNode
	members  []member
	leaf     bool
}

type member struct {
	hash   uint64
	device DeviceID
	leaf   wire.LeafIndex
}

// rosterSeed keys the trie within a process, so that nobody can choose names
// that make it deep.
var rosterSeed = maphash.MakeSeed()

func (r roster) lookup(d DeviceID) (wire.LeafIndex, bool) {
	h := maphash.String(rosterSeed, string(d))
	node := r.byDevice
	for depth := 0; node != nil; depth++ {
		if node.leaf {
			for _, m := range node.members {
				if m.device == d {
					return m.leaf, true
				}
			}
			return 0, false
		}
		node = node.children[h>>(4*depth)&15]
	}
	return 0, false
}

// at returns the device at a leaf, empty if there is none.
func (r roster) at(i wire.LeafIndex) DeviceID {
	c := int(i) / leafChunk
	if c >= len(r.byLeaf) {
		return ""
	}
	return r.byLeaf[c][int(i)%leafChunk]
}

// with returns the roster with d at leaf i, which must be free.
func (r roster) with(d DeviceID, i wire.LeafIndex) roster {
	m := member{maphash.String(rosterSeed, string(d)), d, i}
	r.byDevice = r.byDevice.insert(m, 0)
	r = r.setLeaf(i, d)
	r.sites = maps.Clone(r.sites)
	if r.sites == nil {
		r.sites = make(map[SiteID]int)
	}
	r.sites[d.Site()]++
	r.n++
	return r
}

// without returns the roster without d, which must be in it.
func (r roster) without(d DeviceID) roster {
	i, ok := r.lookup(d)
	if !ok {
		panic("BUG: removes a device that is not in the roster")
	}
	r.byDevice = r.byDevice.remove(maphash.String(rosterSeed, string(d)), d, 0)
	r = r.setLeaf(i, "")
	r.sites = maps.Clone(r.sites)
	if r.sites[d.Site()]--; r.sites[d.Site()] == 0 {
		delete(r.sites, d.Site())
	}
	r.n--
	return r
}

func (r roster) setLeaf(i wire.LeafIndex, d DeviceID) roster {
	c := int(i) / leafChunk
	chunks := slices.Clone(r.byLeaf)
	for len(chunks) <= c {
		chunks = append(chunks, make([]DeviceID, leafChunk))
	}
	chunks[c] = slices.Clone(chunks[c])
	chunks[c][int(i)%leafChunk] = d
	r.byLeaf = chunks
	return r
}

// all returns the members in the order of their leaves.
func (r roster) all() []member {
	list := make([]member, 0, r.n)
	for c, chunk := range r.byLeaf {
		for j, d := range chunk {
			if d != "" {
				list = append(list, member{device: d, leaf: wire.LeafIndex(c*leafChunk + j)})
			}
		}
	}
	return list
}

// trieDepth is where the hash is used up and members share a node.
const trieDepth = 16

func (t *trieNode) insert(m member, depth int) *trieNode {
	if t == nil {
		return &trieNode{leaf: true, members: []member{m}}
	}
	if t.leaf && depth == trieDepth {
		return &trieNode{leaf: true, members: append(slices.Clip(t.members), m)}
	}
	next := &trieNode{}
	if t.leaf {
		old := t.members[0]
		next.children[old.hash>>(4*depth)&15] = t
	} else {
		next.children = t.children
	}
	slot := &next.children[m.hash>>(4*depth)&15]
	*slot = (*slot).insert(m, depth+1)
	return next
}

func (t *trieNode) remove(hash uint64, d DeviceID, depth int) *trieNode {
	if t == nil {
		return nil
	}
	if t.leaf {
		rest := slices.DeleteFunc(slices.Clone(t.members), func(m member) bool { return m.device == d })
		if len(rest) == 0 {
			return nil
		}
		return &trieNode{leaf: true, members: rest}
	}
	next := &trieNode{children: t.children}
	slot := &next.children[hash>>(4*depth)&15]
	*slot = (*slot).remove(hash, d, depth+1)
	if next.children == ([16]*trieNode{}) {
		return nil
	}
	return next
}
