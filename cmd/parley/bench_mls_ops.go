package main

import (
	"context"
	"time"

	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// room measures one room.
func (b *mlsBench) room(ctx context.Context, r mlsRoom) error {
	var d *doorway
	var err error
	if r.shape == shapeBulk {
		d, err = b.add(ctx, r)
	} else {
		b.stage("%s, %d members: living in the room", r.shape, r.members)
		d, err = b.crowd.room(r.members, r.shape)
	}
	if err != nil {
		return err
	}
	if err := b.sizes(r, d); err != nil {
		return err
	}
	l, err := b.joins(ctx, r, d)
	if err != nil {
		return err
	}
	if r.shape == shapeWarm {
		if err := l.settle(); err != nil {
			return err
		}
	}
	if b.coi {
		return b.wrapped(ctx, r, l.a, d.joiners[0].someone)
	}
	if r.shape == shapeWarm {
		if err := b.wrapped(ctx, r, l.a, d.joiners[0].someone); err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context, mlsRoom, *life) error{b.commits, b.removal, b.outsider, b.messages} {
		if err := part(ctx, r, l); err != nil {
			return err
		}
	}
	return b.resident(r, d)
}

// add measures the adding of all others to a group of one, which makes a bulk
// room.
func (b *mlsBench) add(ctx context.Context, r mlsRoom) (*doorway, error) {
	g, adds, joiners, err := b.crowd.bulkRoom(r.members)
	if err != nil {
		return nil, err
	}
	var p *mls.Pending
	err = b.measure(ctx, measure{op: "add", room: r, act: func() (int, error) {
		p, err = g.Commit(mls.CommitOptions{MessageOptions: mls.MessageOptions{Now: time.Now()}, Adds: adds})
		if err != nil {
			return 0, err
		}
		return len(p.Commit) + len(p.Welcome), nil
	}})
	if err != nil {
		return nil, err
	}
	return &doorway{tree: wire.Marshal(p.Next.Tree()), welcome: p.Welcome, joiners: joiners}, b.sizeOf("add_commit", r, len(p.Commit))
}

// sizes reports what travels apart from messages.
func (b *mlsBench) sizes(r mlsRoom, d *doorway) error {
	if r.shape == shapeBulk {
		if err := b.sizeOf("welcome", r, len(d.welcome)); err != nil {
			return err
		}
	}
	return b.sizeOf("tree", r, len(d.tree))
}

// A life is a room that three have joined.
type life struct {
	suite   *suite.Suite
	a, z, y *mls.Group
}

// joins measures joining, on one processor and on all.
func (b *mlsBench) joins(ctx context.Context, r mlsRoom, d *doorway) (*life, error) {
	l := &life{suite: b.suite}
	for i, g := range []**mls.Group{&l.a, &l.z, &l.y} {
		if i == 2 {
			var err error
			if *g, err = d.join(d.joiners[i]); err != nil {
				return nil, err
			}
			continue
		}
		err := b.measure(ctx, measure{op: "join", room: r, processors: 1 - i, act: func() (n int, err error) {
			*g, err = d.join(d.joiners[i])
			return len(d.welcome) + len(d.tree), err
		}})
		if err != nil {
			return nil, err
		}
	}
	for _, g := range []*mls.Group{l.a, l.z, l.y} {
		g.TakeChanges()
	}
	return l, nil
}

// renewal is a commit that only gives the committer new keys.
func renewal() mls.CommitOptions {
	return mls.CommitOptions{MessageOptions: mls.MessageOptions{Now: time.Now()}, ForcePath: true}
}

// settle lets each of the three commit, so that none is an unmerged leaf.
func (l *life) settle() error {
	for _, by := range []**mls.Group{&l.a, &l.z, &l.y} {
		p, err := (*by).Commit(renewal())
		if err != nil {
			return err
		}
		for _, g := range []**mls.Group{&l.a, &l.z, &l.y} {
			next := p.Next
			if g != by {
				r, err := (*g).Handle(p.Commit, time.Now())
				if err != nil {
					return err
				}
				next = r.Next
			}
			next.TakeChanges()
			*g = next
		}
	}
	return nil
}

// commits measures commits of a, and how y, far away, and z, next to it,
// process them. All are made of the same epoch.
func (b *mlsBench) commits(ctx context.Context, r mlsRoom, l *life) error {
	var p *mls.Pending
	commit := func() (_ int, err error) {
		if p, err = l.a.Commit(renewal()); err != nil {
			return 0, err
		}
		p.Next.TakeChanges()
		return len(p.Commit), nil
	}
	if err := b.measure(ctx, measure{op: "commit", room: r, processors: 1, act: commit}); err != nil {
		return err
	}
	if err := b.measure(ctx, measure{op: "commit", room: r, act: commit}); err != nil {
		return err
	}
	if err := b.measure(ctx, measure{op: "process", room: r, processors: 1, act: l.process(l.y, &p)}); err != nil {
		return err
	}
	if err := b.measure(ctx, measure{op: "process_sibling", room: r, processors: 1, act: l.process(l.z, &p)}); err != nil {
		return err
	}
	return b.records(r, l)
}

// process makes the measured act of handling a commit.
func (l *life) process(g *mls.Group, p **mls.Pending) func() (int, error) {
	return func() (int, error) {
		r, err := g.Handle((*p).Commit, time.Now())
		if err != nil {
			return 0, err
		}
		r.Next.TakeChanges()
		return len((*p).Commit), nil
	}
}

// records reports what is written down for a commit, deletions included.
func (b *mlsBench) records(r mlsRoom, l *life) error {
	p, err := l.a.Commit(renewal())
	if err != nil {
		return err
	}
	handled, err := l.y.Handle(p.Commit, time.Now())
	if err != nil {
		return err
	}
	if err := b.sizeOf("own_records", r, written(p.Next)); err != nil {
		return err
	}
	return b.sizeOf("records", r, written(handled.Next))
}

// written counts the bytes that a Group has to write.
func written(g *mls.Group) (n int) {
	for _, rec := range g.TakeChanges() {
		n += len(rec.Key) + len(rec.Value)
	}
	return n
}

// removal measures commits that remove a member: the first of the right half
// after y.
func (b *mlsBench) removal(ctx context.Context, r mlsRoom, l *life) error {
	leaf := l.y.OwnLeaf() / 2
	var p *mls.Pending
	remove := func() (_ int, err error) {
		o := renewal()
		o.Removes = []wire.LeafIndex{leaf}
		if p, err = l.a.Commit(o); err != nil {
			return 0, err
		}
		p.Next.TakeChanges()
		return len(p.Commit), nil
	}
	if leaf <= l.z.OwnLeaf() { // in the smallest rooms
		leaf = 1
	}
	if err := b.measure(ctx, measure{op: "remove", room: r, act: remove}); err != nil {
		return err
	}
	return b.measure(ctx, measure{op: "remove_process", room: r, processors: 1, act: l.process(l.y, &p)})
}

// outsider measures an external join, and the processing of it.
func (b *mlsBench) outsider(ctx context.Context, r mlsRoom, l *life) error {
	var info []byte
	err := b.measure(ctx, measure{op: "group_info", room: r, processors: 1, act: func() (_ int, err error) {
		info, err = l.a.GroupInfo(false)
		return len(info), err
	}})
	if err != nil {
		return err
	}
	stranger, err := newNewcomer(b.suite, "outsider")
	if err != nil {
		return err
	}
	ratchetTree := wire.Marshal(l.a.Tree())
	var p *mls.Pending
	join := func() (_ int, err error) {
		p, err = mls.JoinExternal(mls.ExternalJoinOptions{
			GroupInfo: info, RatchetTree: ratchetTree, Identity: stranger.identity(),
			Leaf: memberLeaf(), Credentials: anyone{}, Parallel: processors,
		})
		if err != nil {
			return 0, err
		}
		return len(p.Commit), nil
	}
	if err := b.measure(ctx, measure{op: "external_join", room: r, act: join}); err != nil {
		return err
	}
	return b.measure(ctx, measure{op: "external_process", room: r, processors: 1, act: l.process(l.y, &p)})
}

// messages measures messages from a to z.
func (b *mlsBench) messages(ctx context.Context, r mlsRoom, l *life) error {
	text := make([]byte, b.size)
	var sealed [][]byte
	err := b.measure(ctx, measure{op: "seal", room: r, processors: 1, act: func() (int, error) {
		m, err := l.a.Seal(nil, text, 0)
		l.a.TakeChanges()
		sealed = append(sealed, m)
		return len(m), err
	}})
	if err != nil {
		return err
	}
	next := 0
	return b.measure(ctx, measure{op: "open", room: r, processors: 1, most: len(sealed), act: func() (int, error) {
		m := sealed[next]
		next++
		_, err := l.z.Open(m)
		l.z.TakeChanges()
		return len(m), err
	}})
}

// primitives measures what all else is made of.
func (b *mlsBench) primitives(ctx context.Context) error {
	s := b.suite
	text, context := make([]byte, 200), make([]byte, 150)
	signer, err := s.GenerateSignatureKey()
	if err != nil {
		return err
	}
	key, err := s.GenerateKeyPair()
	if err != nil {
		return err
	}
	secret := suite.Random(s.HashSize())
	var signature, kem, ct []byte
	sealer := s.NewSealer("UpdatePathNode", context)
	for _, m := range []measure{
		{op: "sign", act: func() (_ int, err error) {
			signature, err = signer.Sign("bench", text)
			return len(signature), err
		}},
		{op: "verify", act: func() (int, error) { return len(signature), s.Verify(signer.PublicKey(), "bench", text, signature) }},
		{op: "hpke_seal", act: func() (_ int, err error) {
			kem, ct, err = sealer.Seal(key.PublicKey(), secret)
			return len(kem) + len(ct), err
		}},
		{op: "hpke_open", act: func() (int, error) {
			_, err := s.Decrypt(key, "UpdatePathNode", context, kem, ct)
			return len(kem) + len(ct), err
		}},
		{op: "derive_key", act: func() (int, error) {
			key, err := s.DeriveKeyPair(secret)
			return len(key.PublicKey()), err
		}},
	} {
		m.processors = 1
		if err := b.measure(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
