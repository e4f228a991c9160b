package tree

import "slices"

// A trie is a set of pairs (hi, lo) of 32 bits each, by which an index or a
// census is kept: numbers lo under a hash hi, which may be several. It is a
// value: put and remove return the next one and share all but the changed
// branches with it. An entry takes some twelve bytes.
type trie struct{ root *branch }

// A branch divides its entries by their next two bits, or is a bucket of some. It
// may be changed in place by its owner only, the edit that made it.
type branch struct {
	owner  *token
	kids   *[4]*branch // nil in a bucket
	bucket []entry
}

// An entry is hi, and then lo.
type entry uint64

func newEntry(hi, lo uint32) entry { return entry(hi)<<32 | entry(lo) }

func (p entry) hi() uint32 { return uint32(p >> 32) }
func (p entry) lo() uint32 { return uint32(p) }

// kid returns the two bits of an entry that count at depth d.
func (p entry) kid(d int) int { return int(p >> (62 - 2*d) & 3) }

// bucketSize is how many entries a bucket has before it is divided: as many as
// are copied about as fast as a path of branches.
const bucketSize = 32

// hashDepth is the depth below which only lo counts.
const hashDepth = 16

// A token is the identity of one edit.
type token struct{ _ byte }

// contains reports whether an entry is there.
func (t trie) contains(hi, lo uint32) bool {
	b, p := t.root, newEntry(hi, lo)
	for d := 0; b != nil && b.kids != nil; d++ {
		b = b.kids[p.kid(d)]
	}
	return b != nil && slices.Contains(b.bucket, p)
}

// has reports whether there is an entry with that hi.
func (t trie) has(hi uint32) (found bool) {
	t.each(hi, func(uint32) bool { found = true; return false })
	return found
}

// each calls yield with lo of every entry that has hi, until it returns false.
func (t trie) each(hi uint32, yield func(lo uint32) bool) {
	b, first := t.root, newEntry(hi, 0)
	for d := 0; b != nil && b.kids != nil && d < hashDepth; d++ {
		b = b.kids[first.kid(d)]
	}
	b.all(func(p entry) bool { return p.hi() != hi || yield(p.lo()) })
}

// all calls yield with every entry below b, until it returns false.
func (b *branch) all(yield func(entry) bool) bool {
	if b == nil {
		return true
	}
	for _, p := range b.bucket {
		if !yield(p) {
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

// put returns t with an entry, which may be there already.
func (t trie) put(owner *token, hi, lo uint32) trie {
	return trie{t.root.put(owner, 0, newEntry(hi, lo))}
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

func (b *branch) put(owner *token, d int, p entry) *branch {
	if b == nil {
		return &branch{owner: owner, bucket: []entry{p}}
	}
	if slices.Contains(b.bucket, p) {
		return b
	}
	b = b.own(owner)
	if b.kids == nil && len(b.bucket) < bucketSize {
		b.bucket = append(b.bucket, p)
		return b
	}
	if b.kids == nil {
		b.divide(owner, d)
	}
	kid := &b.kids[p.kid(d)]
	*kid = (*kid).put(owner, d+1, p)
	return b
}

// divide makes a bucket at depth d a branch. Entries differ somewhere, so that
// this ends.
func (b *branch) divide(owner *token, d int) {
	b.kids = new([4]*branch)
	for _, p := range b.bucket {
		kid := &b.kids[p.kid(d)]
		*kid = (*kid).put(owner, d+1, p)
	}
	b.bucket = nil
}

// remove returns t without an entry, which need not be there.
func (t trie) remove(owner *token, hi, lo uint32) trie {
	if !t.contains(hi, lo) {
		return t
	}
	return trie{t.root.remove(owner, 0, newEntry(hi, lo))}
}

// remove takes out an entry that is there; nil is an empty branch.
func (b *branch) remove(owner *token, d int, p entry) *branch {
	b = b.own(owner)
	if b.kids == nil {
		at := slices.Index(b.bucket, p)
		b.bucket = slices.Delete(b.bucket, at, at+1)
		if len(b.bucket) == 0 {
			return nil
		}
		return b
	}
	kid := &b.kids[p.kid(d)]
	*kid = (*kid).remove(owner, d+1, p)
	if *kid == nil && *b.kids == [4]*branch{} {
		return nil
	}
	return b
}
