package client

import (
	"bytes"
	"slices"

	"parley/groups"
	"parley/mls/tree"
	"parley/mls/wire"
)

// leafIndex is where the author of a record was.
func leafIndex(k *groups.KeyRecord) wire.LeafIndex { return wire.LeafIndex(k.AuthorLeaf) }

// A chain says for each epoch how a service can see, from that epoch's own tree
// on, that this device is a member now: a member of that epoch has made the
// record of a later one, and so on to the last.
type chain struct {
	epochs []*pastEpoch
	next   []int // the epoch whose author vouches, -1 if nobody does
	last   int   // the newest epoch with a record, in which this device has a leaf; -1 if there is none
}

// An author is who made the records of epochs that lead to the last one.
type author struct {
	key   []byte
	leaf  wire.LeafIndex
	epoch int // the newest such
}

// newChain finds for each epoch the latest one that vouches for it. It takes
// time in proportion to the epochs and to how many people have made keys.
func newChain(epochs []*pastEpoch, own groups.DeviceID) *chain {
	c := &chain{epochs: epochs, next: make([]int, len(epochs)), last: -1}
	var authors []author
	for i := len(epochs) - 1; i >= 0; i-- {
		e := epochs[i]
		c.next[i] = -1
		if e.Record == nil {
			continue
		}
		if c.last < 0 {
			if _, member := e.ledger.Leaf(own); !member {
				continue
			}
			c.last = i
		} else {
			for _, a := range authors {
				if _, ok := e.holds(a); ok && a.epoch > c.next[i] {
					c.next[i] = a.epoch
				}
			}
			if c.next[i] < 0 {
				continue
			}
		}
		authors = with(authors, e, i)
	}
	return c
}

// with adds the author of an epoch, unless they have made a later one too.
func with(authors []author, e *pastEpoch, i int) []author {
	leaf, ok := e.Tree.Leaf(leafIndex(e.Record))
	if !ok || slices.ContainsFunc(authors, func(a author) bool { return bytes.Equal(a.key, leaf.SignatureKey) }) {
		return authors
	}
	return append(authors, author{leaf.SignatureKey, leafIndex(e.Record), i})
}

// holds says whether an author was a member of an epoch, and where: at the same
// leaf, for as long as they stayed.
func (e *pastEpoch) holds(a author) (wire.LeafIndex, bool) {
	leaf, ok := e.Tree.Leaf(a.leaf)
	return a.leaf, ok && bytes.Equal(leaf.SignatureKey, a.key)
}

// vouch proves that the author of a later epoch was a member of an earlier one.
func (c *chain) vouch(earlier, later int) (*tree.MembershipProof, error) {
	record := c.epochs[later].Record
	return c.epochs[earlier].Tree.Proof(leafIndex(record))
}

// anchors lists the epochs that the chains from some epochs go through, in
// order, the last one at the end.
func (c *chain) anchors(from ...int) []int {
	on := make(map[int]bool)
	for _, i := range from {
		for i = c.next[i]; i >= 0 && !on[i]; i = c.next[i] {
			on[i] = true
		}
	}
	if c.last >= 0 {
		on[c.last] = true
	}
	list := make([]int, 0, len(on))
	for i := range on {
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}

// proven is an epoch's record with what shows that its author was there.
func (e *pastEpoch) proven() (groups.Proven, error) {
	proof, err := e.proof(leafIndex(e.Record))
	if err != nil {
		return groups.Proven{}, err
	}
	return groups.Proven{Record: e.Record.Marshal(), Context: wire.Marshal(&e.Context), Author: proof}, nil
}

// anchor writes one anchor of a request; at says where the others stand.
func (c *chain) anchor(i int, at map[int]int, own groups.DeviceID) (a groups.Anchor, err error) {
	e := c.epochs[i]
	if a.Proven, err = e.proven(); err != nil {
		return a, err
	}
	if leaf, member := e.ledger.Leaf(own); member {
		if a.Self, err = e.Tree.Proof(leaf); err != nil {
			return a, err
		}
	}
	if next := c.next[i]; next >= 0 {
		proof, err := c.vouch(i, next)
		if err != nil {
			return a, err
		}
		a.Next = &groups.Vouch{Anchor: uint16(at[next]), Author: proof}
	}
	return a, nil
}

// item writes what is asked for of one epoch. The words say why it can not be
// asked for.
func (c *chain) item(i int, at map[int]int, own groups.DeviceID) (it groups.KeyItem, why string, err error) {
	e := c.epochs[i]
	if it.Proven, err = e.proven(); err != nil {
		return it, "", err
	}
	policy := e.ledger.Policy()
	if leaf, member := e.ledger.Leaf(own); member {
		it.Standing = groups.StandingMember
		it.Member, err = e.Tree.Proof(leaf)
	} else if policy.History == groups.HistoryAll {
		it.Standing = groups.StandingNewcomer
	} else if leaf, member := e.ledger.LeafOf(own.User()); member && policy.History == groups.HistoryOwn {
		it.Standing = groups.StandingUser
		it.Member, err = e.Tree.Proof(leaf)
	} else if policy.History == groups.HistoryOwn {
		return it, "its person was no member then, and the room's policy gives no more", nil
	} else {
		return it, "the room's policy gave new devices nothing of that time", nil
	}
	if err != nil {
		return it, "", err
	}
	if i == c.last {
		return it, "", nil
	}
	next := c.next[i]
	if next < 0 {
		return it, "nobody who was a member then has made a key since: nobody can vouch for this device", nil
	}
	proof, err := c.vouch(i, next)
	it.Anchor = &groups.Vouch{Anchor: uint16(at[next]), Author: proof}
	return it, "", err
}
