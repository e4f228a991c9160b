package main

import (
	"math/rand/v2"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// The shapes of a room.
const (
	shapeBulk    = "bulk"
	shapeBatched = "batched"
	shapeWarm    = "warm"
	shapeChurned = "churned"
)

var shapes = []string{shapeBulk, shapeBatched, shapeWarm, shapeChurned}

// shapeOf makes the tree of n members in a shape.
var shapeOf = map[string]func(b *builder, n int) error{
	shapeBatched: (*builder).batched,
	shapeWarm:    (*builder).warm,
	shapeChurned: (*builder).churned,
}

// batches is how many commits a batched room was made by.
const batches = 10

// batched adds people in batches, each by a commit of a member of the one
// before.
func (b *builder) batched(n int) error {
	committer := wire.LeafIndex(0)
	for k := 1; k <= batches; k++ {
		first := len(b.seated)
		if err := b.add(max(first, n*k/batches)); err != nil {
			return err
		}
		if _, err := b.commit(committer); err != nil {
			return err
		}
		committer = wire.LeafIndex(first)
		if first == len(b.seated) {
			committer = 0
		}
	}
	return nil
}

// warm gives every node a key. Of each two siblings one commits, from the left
// to the right. A key that a later commit replaces is not worth a key pair: it is
// random, and only those that stay are made.
func (b *builder) warm(n int) error {
	if err := b.add(n); err != nil {
		return err
	}
	committers := make([]wire.LeafIndex, 0, n/2+1)
	for i := 0; i < n; i += 2 {
		committers = append(committers, wire.LeafIndex(i))
	}
	// The third joiner will be gone before it joins: its sibling commits.
	if gone := joinerLeaves(n)[2]; int(gone)+1 < n {
		committers[gone/2] = gone + 1
	}
	keys, err := b.keyPairs(n + n/2 + 64)
	if err != nil {
		return err
	}
	next := func() []byte {
		k := keys[0]
		keys = keys[1:]
		return k
	}
	size := len(keys[0])
	for k, i := range committers {
		steps := b.edit.FilteredDirectPath(i)
		path := make([][]byte, len(steps))
		for at, step := range steps {
			last := k+1 == len(committers) || !step.Parent.Contains(tree.NodeOf(committers[k+1]))
			if last {
				path[at] = next()
			} else {
				path[at] = suite.Random(size)
			}
		}
		if err := b.renew(i, next(), path); err != nil {
			return err
		}
	}
	return nil
}

// churn is how many members of n leave a churned room and others come.
func churn(n int) int { return min(n/20, 1000) }

// churned lets members of a warm room leave, others come, and random ones
// commit all the while. At last some places in the right half stay empty.
func (b *builder) churned(n int) error {
	if err := b.warm(n); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, uint64(n)))
	gone := make(map[wire.LeafIndex]bool)
	anybody := func(from int) wire.LeafIndex {
		for {
			if i := wire.LeafIndex(from + random.IntN(n-from)); !gone[i] && i > 3 {
				return i
			}
		}
	}
	for _, comes := range b.spare[:churn(n)] {
		leaves := anybody(0)
		if err := b.edit.Remove(leaves); err != nil {
			return err
		}
		gone[leaves] = true
		if _, err := b.commit(anybody(0)); err != nil {
			return err
		}
		delete(gone, leaves)
		if _, err := b.edit.Add(comes.public.LeafNode); err != nil {
			return err
		}
		b.seated[leaves] = comes
		if _, err := b.commit(anybody(0)); err != nil {
			return err
		}
	}
	return b.leave(n, gone, anybody)
}

// leave lets members of the right half go, behind its first leaf. Its last leaf
// stays, so that the tree keeps its width.
func (b *builder) leave(n int, gone map[wire.LeafIndex]bool, anybody func(from int) wire.LeafIndex) error {
	half := int(joinerLeaves(n)[2]) + 1
	if n-half < 8 {
		return nil
	}
	for range churn(n) / 4 {
		i := anybody(half)
		if int(i) == n-1 {
			continue
		}
		if err := b.edit.Remove(i); err != nil {
			return err
		}
		gone[i] = true
		if _, err := b.commit(anybody(0)); err != nil {
			return err
		}
	}
	return nil
}
