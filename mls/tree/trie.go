package tree

import "slices"

// A trie maps 96-bit keys (hi, lo) to numbers. It is a value: put and remove
// return the next one and share all but the changed branches with it. Several
// keys may have the same hi, which is how an index by hash holds collisions.
type trie struct{ root *branch }

// A branch divides its keys by their next four bits, or is a bucket of some.
// It may be changed in place by its owner only, the edit that made it.
type branch struct {
	owner  *token
	kids   *[16]*branch // nil in a bucket
	bucket []entry
}

// An entry is a key and its number.
type entry struct {
	hi        uint64
	lo, value uint32
}

// bucketSize is how many entries a bucket has before it is divided: as many as
// are copied about as fast as a branch.
const bucketSize = 12

// A token is the identity of one edit.
type token struct{ _ byte }

// nibble returns the four bits of a key that count at depth d.
func nibble(hi uint64, lo uint32, d int) int {
	if d < 16 {
		return int(hi >> (60 - 4*d) & 15)
	}
	return int(lo >> (92 - 4*d) & 15)
}

// get returns the number of a key, 0 for one that is not there.
func (t trie) get(hi uint64, lo uint32) (uint32, bool) {
	b := t.root
	for d := 0; b != nil && b.kids != nil; d++ {
		b = b.kids[nibble(hi, lo, d)]
	}
	if b == nil {
		return 0, false
	}
	at := b.find(hi, lo)
	if at < 0 {
		return 0, false
	}
	return b.bucket[at].value, true
}

// find returns where in a bucket a key is, or -1.
func (b *branch) find(hi uint64, lo uint32) int {
	for i := range b.bucket {
		if b.bucket[i].hi == hi && b.bucket[i].lo == lo {
			return i
		}
	}
	return -1
}

// has reports whether there is a key with that hi.
func (t trie) has(hi uint64) (found bool) {
	t.each(hi, func(uint32) bool { found = true; return false })
	return found
}

// each calls yield with lo of every key that has hi, until it returns false.
func (t trie) each(hi uint64, yield func(lo uint32) bool) {
	b := t.root
	for d := 0; b != nil && b.kids != nil && d < 16; d++ {
		b = b.kids[nibble(hi, 0, d)]
	}
	b.all(func(e entry) bool { return e.hi != hi || yield(e.lo) })
}

// all calls yield with every entry below b, until it returns false.
func (b *branch) all(yield func(entry) bool) bool {
	if b == nil {
		return true
	}
	for _, e := range b.bucket {
		if !yield(e) {
			return false
		}
	}
	if b.kids != nil {
		for _, kid := range b.kids {
			if !kid.all(yield) {
				return false
			}
		}
	}
	return true
}

// put returns t with value at (hi, lo).
func (t trie) put(owner *token, hi uint64, lo, value uint32) trie {
	return trie{t.root.put(owner, 0, entry{hi, lo, value})}
}

// own returns b if owner may change it, or else a copy that it may change, with
// room for one more entry.
func (b *branch) own(owner *token) *branch {
	if b.owner == owner {
		return b
	}
	c := &branch{owner: owner}
	if b.kids != nil {
		kids := *b.kids
		c.kids = &kids
		return c
	}
	c.bucket = append(make([]entry, 0, len(b.bucket)+1), b.bucket...)
	return c
}

func (b *branch) put(owner *token, d int, e entry) *branch {
	if b == nil {
		return &branch{owner: owner, bucket: []entry{e}}
	}
	b = b.own(owner)
	if b.kids != nil {
		kid := &b.kids[nibble(e.hi, e.lo, d)]
		*kid = (*kid).put(owner, d+1, e)
		return b
	}
	if at := b.find(e.hi, e.lo); at >= 0 {
		b.bucket[at] = e
		return b
	}
	b.bucket = append(b.bucket, e)
	if len(b.bucket) > bucketSize {
		b.divide(owner, d)
	}
	return b
}

// divide makes a bucket at depth d a branch. Keys differ somewhere, so that
// this ends.
func (b *branch) divide(owner *token, d int) {
	b.kids = new([16]*branch)
	for _, e := range b.bucket {
		kid := &b.kids[nibble(e.hi, e.lo, d)]
		*kid = (*kid).put(owner, d+1, e)
	}
	b.bucket = nil
}

// remove returns t without (hi, lo), which need not be there.
func (t trie) remove(owner *token, hi uint64, lo uint32) trie {
	if _, found := t.get(hi, lo); !found {
		return t
	}
	return trie{t.root.remove(owner, 0, hi, lo)}
}

// remove takes out an entry that is there; nil is an empty branch.
func (b *branch) remove(owner *token, d int, hi uint64, lo uint32) *branch {
	b = b.own(owner)
	if b.kids == nil {
		at := b.find(hi, lo)
		b.bucket = slices.Delete(b.bucket, at, at+1)
		if len(b.bucket) == 0 {
			return nil
		}
		return b
	}
	kid := &b.kids[nibble(hi, lo, d)]
	*kid = (*kid).remove(owner, d+1, hi, lo)
	if *kid == nil && *b.kids == [16]*branch{} {
		return nil
	}
	return b
}
