package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// The sizes of rooms that bench mls takes.
const (
	fewestMembers = 4
	mostMembers   = 100_000
)

// mlsBench is what bench mls was asked for.
type mlsBench struct {
	*bench
	suite   *suite.Suite
	size    int
	seconds float64 // for each operation
}

func benchMLSCommand(a *app) *cobra.Command {
	var members []int
	var id uint16
	b := mlsBench{}
	cmd := &cobra.Command{
		Use:   "mls",
		Short: "Measure RFC 9420: create, join, commit, process, seal, open",
		Long: `Mls measures what one device does in a room of N members, without any network:

  create   a group of one and the commit that adds N-1 members; bytes: commit and Welcome
  join     by Welcome, with the whole tree verified; bytes: tree and Welcome
  commit   new keys from the own leaf to the root; bytes: the commit
  process  another member's commit
  seal     one message; bytes: the PrivateMessage
  open     another member's message

Commit, process, seal and open include the records that a device has to store before it
goes on. They, and join, run in a room where every second member has committed before,
so that all nodes of the tree have keys.

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if b.suite, err = suite.Lookup(suite.ID(id)); err != nil {
				return usagef("--suite: %w; there are %v", err, suite.IDs())
			}
			for _, n := range members {
				if n < fewestMembers || n > mostMembers {
					return usagef("--members %d: a room of %d to %d members can be measured", n, fewestMembers, mostMembers)
				}
			}
			b.bench = newBench(a)
			for _, n := range members {
				if err := b.room(cmd.Context(), n); err != nil {
					return err
				}
			}
			return b.end()
		},
	}
	f := cmd.Flags()
	f.IntSliceVar(&members, "members", []int{100, 1000, 10000}, "sizes of the room")
	f.Uint16Var(&id, "suite", uint16(suite.X25519AES128SHA256Ed25519), "number of the cipher suite")
	f.IntVar(&b.size, "size", 300, "bytes of a message")
	f.Float64Var(&b.seconds, "seconds", 1, "how long each operation is repeated")
	return cmd
}

// room measures one size of room.
func (b *mlsBench) room(ctx context.Context, n int) error {
	b.stage("%d members: making their keys", n)
	people, err := newcomers(b.suite, n)
	if err != nil {
		return err
	}
	if err := b.create(ctx, people); err != nil {
		return err
	}
	b.stage("%d members: living in the room", n)
	room, err := liveIn(b.suite, people)
	if err != nil {
		return err
	}
	a, z, err := b.join(ctx, room, n)
	if err != nil {
		return err
	}
	if a, z, err = b.commits(ctx, a, z, n); err != nil {
		return err
	}
	return b.messages(ctx, a, z, n)
}

// done says whether an operation has been repeated for long enough.
func (b *mlsBench) done(ctx context.Context, w *stopwatch) bool {
	return w.total.Seconds() >= b.seconds || ctx.Err() != nil
}

// tell reports one operation.
func (b *mlsBench) tell(ctx context.Context, op string, n int, w *stopwatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := w.result("mls_" + op)
	r.Members, r.Suite = n, b.suite.String()
	if op == "seal" || op == "open" {
		r.Size = b.size
	}
	return b.report(r)
}

// create measures the making of a group of all people by the first.
func (b *mlsBench) create(ctx context.Context, people []*newcomer) error {
	b.stage("%d members: create", len(people))
	adds := make([]*wire.KeyPackage, len(people)-1)
	for i, p := range people[1:] {
		adds[i] = &p.kp.Public
	}
	w := newStopwatch()
	for ok := true; ok; ok = !b.done(ctx, w) {
		err := w.time(func() (int, error) {
			now := time.Now()
			g, err := mls.Create(mls.CreateOptions{
				Suite: b.suite, GroupID: []byte(roomName), Identity: people[0].identity("member 0"),
				Leaf: mls.KeyPackageOptions{Now: now}, Credentials: anyone{},
			})
			if err != nil {
				return 0, err
			}
			p, err := g.Commit(mls.CommitOptions{MessageOptions: mls.MessageOptions{Now: now}, Adds: adds})
			if err != nil {
				return 0, err
			}
			return len(p.Commit) + len(p.Welcome), nil
		})
		if err != nil {
			return err
		}
	}
	return b.tell(ctx, "create", len(people), w)
}

// join measures joining, and returns the two who have joined.
func (b *mlsBench) join(ctx context.Context, room *livedIn, n int) (a, z *mls.Group, err error) {
	b.stage("%d members: join", n)
	w := newStopwatch()
	for ok := true; ok; ok = !b.done(ctx, w) {
		err := w.time(func() (n int, err error) {
			a, err = room.join(room.joiners[0])
			return len(room.welcome) + len(room.tree), err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if z, err = room.join(room.joiners[1]); err != nil {
		return nil, nil, err
	}
	a.TakeChanges()
	z.TakeChanges()
	return a, z, b.tell(ctx, "join", n, w)
}

// commits measures commits of a, and z's processing of them. The first one is
// not counted: it merges the two into the tree.
func (b *mlsBench) commits(ctx context.Context, a, z *mls.Group, n int) (*mls.Group, *mls.Group, error) {
	b.stage("%d members: commit and process", n)
	make, process := newStopwatch(), newStopwatch()
	for first := true; first || !b.done(ctx, make) || !b.done(ctx, process); first = false {
		var p *mls.Pending
		err := make.time(func() (_ int, err error) {
			if p, err = a.Commit(mls.CommitOptions{MessageOptions: mls.MessageOptions{Now: time.Now()}, ForcePath: true}); err != nil {
				return 0, err
			}
			p.Next.TakeChanges()
			return len(p.Commit), nil
		})
		if err != nil {
			return nil, nil, err
		}
		err = process.time(func() (int, error) {
			r, err := z.Handle(p.Commit, time.Now())
			if err != nil {
				return 0, err
			}
			r.Next.TakeChanges()
			z = r.Next
			return len(p.Commit), nil
		})
		if err != nil {
			return nil, nil, err
		}
		a = p.Next
		if first {
			make, process = newStopwatch(), newStopwatch()
		}
	}
	if err := b.tell(ctx, "commit", n, make); err != nil {
		return nil, nil, err
	}
	return a, z, b.tell(ctx, "process", n, process)
}

// burst is how many messages are sealed before they are opened.
const burst = 256

// messages measures messages from a to z.
func (b *mlsBench) messages(ctx context.Context, a, z *mls.Group, n int) error {
	b.stage("%d members: seal and open", n)
	seal, open := newStopwatch(), newStopwatch()
	text := make([]byte, b.size)
	for !b.done(ctx, seal) || !b.done(ctx, open) {
		sealed := make([][]byte, burst)
		for i := range sealed {
			err := seal.time(func() (_ int, err error) {
				sealed[i], err = a.Seal(nil, text, 0)
				a.TakeChanges()
				return len(sealed[i]), err
			})
			if err != nil {
				return err
			}
		}
		for _, m := range sealed {
			err := open.time(func() (int, error) {
				_, err := z.Open(m)
				z.TakeChanges()
				return len(m), err
			})
			if err != nil {
				return err
			}
		}
	}
	if err := b.tell(ctx, "seal", n, seal); err != nil {
		return err
	}
	return b.tell(ctx, "open", n, open)
}
