package tree

import (
	"math/bits"
	"slices"
)

// A trie maps 96-bit keys (hi, lo) to numbers. It is a value: put and remove
// return the next one and share all but the changed branches with it. Several
// keys may have the same hi, which is how an index by hash holds collisions.
type trie struct{ root *branch }

// A branch holds up to 16 slots, those that bitmap says are there. It may be
// changed in place by its owner only, the edit that made it.
type branch struct {
	owner  *token
	bitmap uint16
	slots  []slot
}

// A slot is a branch further down, or an entry.
type slot struct {
	next  *branch
	hi    uint64
	lo    uint32
	value uint32
}

// A token is the identity of one edit.
type token struct{ _ byte }

// nibble returns the four bits of a key that count at depth d.
func nibble(hi uint64, lo uint32, d int) int {
	if d < 16 {
		return int(hi >> (60 - 4*d) & 15)
	}
	return int(lo >> (92 - 4*d) & 15)
}

// find returns the position of nibble i among the slots, and whether it is
// taken.
func (b *branch) find(i int) (at int, taken bool) {
	return bits.OnesCount16(b.bitmap & (1<<i - 1)), b.bitmap>>i&1 == 1
}

// get returns the number of a key, 0 for one that is not there.
func (t trie) get(hi uint64, lo uint32) (uint32, bool) {
	b := t.root
	for d := 0; b != nil; d++ {
		at, taken := b.find(nibble(hi, lo, d))
		if !taken {
			return 0, false
		}
		s := &b.slots[at]
		if s.next == nil {
			if s.hi == hi && s.lo == lo {
				return s.value, true
			}
			return 0, false
		}
		b = s.next
	}
	return 0, false
}

// has reports whether there is a key with that hi.
func (t trie) has(hi uint64) (found bool) {
	t.each(hi, func(uint32) bool { found = true; return false })
	return found
}

// each calls yield with lo of every key that has hi, until it returns false.
func (t trie) each(hi uint64, yield func(lo uint32) bool) {
	b := t.root
	for d := 0; b != nil && d < 16; d++ {
		at, taken := b.find(nibble(hi, 0, d))
		if !taken {
			return
		}
		s := &b.slots[at]
		if s.next == nil {
			if s.hi == hi {
				yield(s.lo)
			}
			return
		}
		b = s.next
	}
	b.all(yield)
}

// all calls yield with every entry below b.
func (b *branch) all(yield func(lo uint32) bool) bool {
	if b == nil {
		return true
	}
	for _, s := range b.slots {
		if s.next != nil && !s.next.all(yield) || s.next == nil && !yield(s.lo) {
			return false
		}
	}
	return true
}

// put returns t with value at (hi, lo).
func (t trie) put(owner *token, hi uint64, lo, value uint32) trie {
	return trie{t.root.put(owner, 0, slot{hi: hi, lo: lo, value: value})}
}

// own returns b if owner may change it, or else a copy that it may change.
func (b *branch) own(owner *token) *branch {
	if b.owner == owner {
		return b
	}
	return &branch{owner: owner, bitmap: b.bitmap, slots: slices.Clone(b.slots)}
}

func (b *branch) put(owner *token, d int, s slot) *branch {
	i := nibble(s.hi, s.lo, d)
	if b == nil {
		return &branch{owner: owner, bitmap: 1 << i, slots: []slot{s}}
	}
	b = b.own(owner)
	at, taken := b.find(i)
	if !taken {
		b.bitmap |= 1 << i
		b.slots = slices.Insert(b.slots, at, s)
		return b
	}
	switch old := b.slots[at]; {
	case old.next != nil:
		b.slots[at].next = old.next.put(owner, d+1, s)
	case old.hi == s.hi && old.lo == s.lo:
		b.slots[at] = s
	default:
		var fork *branch
		b.slots[at] = slot{next: fork.put(owner, d+1, old).put(owner, d+1, s)}
	}
	return b
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
	i := nibble(hi, lo, d)
	at, _ := b.find(i)
	if next := b.slots[at].next; next != nil {
		next = next.remove(owner, d+1, hi, lo)
		switch {
		case next != nil && len(next.slots) == 1 && next.slots[0].next == nil:
			b.slots[at] = next.slots[0]
			return b
		case next != nil:
			b.slots[at].next = next
			return b
		}
	}
	b.bitmap &^= 1 << i
	b.slots = slices.Delete(b.slots, at, at+1)
	if len(b.slots) == 0 {
		return nil
	}
	return b
}
