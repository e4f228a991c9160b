package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

const (
	// addsAtATime is how many people are added in one commit.
	addsAtATime = 100
	// makesAtATime is how many devices are made and logged in side by side.
	makesAtATime = 8
	// ahead is how many messages the slowest device may lack before no more are
	// sent.
	ahead = 256
	// lookedInto is one device of how many that looks when messages were sealed.
	lookedInto = 100
)

func benchFanoutCommand(a *app) *cobra.Command {
	b := &loadBench{rooms: 1}
	cmd := &cobra.Command{
		Use:   "fanout",
		Short: "Measure one room's messages to many connected devices",
		Long: `Fanout has many devices, each with a session and a stream of its own, read one room in
which one more device writes. A delivery is one message received by one device; the
devices take the frames apart but do not open the messages, since they all run on this
machine: the figure is the gateway's. The writer goes on as long as the slowest device
lacks no more than a few hundred messages, and at the end every device has to have them all.

p50 and p99 are from the moment at which a message was sealed to its arrival, at one
device in a hundred, with full queues in between.

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			b.bench = newBench(a)
			return b.fanout(cmd.Context())
		},
	}
	b.flags(cmd)
	cmd.Flags().IntVar(&b.devices, "devices", 1000, "how many devices read")
	return cmd
}

// fanout measures one room.
func (b *loadBench) fanout(ctx context.Context) (err error) {
	ctx, cancel := withAudience(ctx)
	defer cancel()
	r, err := newRig(ctx, b.bench, b.parleyd, "alpha.example")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	readers, err := b.makeReaders(ctx, r.sites[0])
	if err != nil {
		return err
	}
	defer func() {
		for _, d := range readers {
			err = errors.Join(err, d.link.Close())
		}
	}()
	writer, err := r.sites[0].device(ctx, "writer", "bench")
	if err != nil {
		return err
	}
	room, err := writer.createRoom(ctx, "fanout")
	if err != nil {
		return err
	}
	for i := 0; i < len(readers); i += addsAtATime {
		b.stage("adding devices: %d of %d", i, len(readers))
		var users []groups.UserID
		for _, d := range readers[i:min(i+addsAtATime, len(readers))] {
			users = append(users, d.Device.User())
		}
		if err := room.add(ctx, users...); err != nil {
			return err
		}
	}
	res, err := b.deliver(ctx, room, readers)
	if err != nil {
		return err
	}
	if err := b.tell(res); err != nil {
		return err
	}
	return b.end()
}

// makeReaders makes devices that can be added.
func (b *loadBench) makeReaders(ctx context.Context, s *rigSite) ([]*benchDevice, error) {
	readers := make([]*benchDevice, b.devices)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(makesAtATime)
	for i := range readers {
		b.stage("making devices: %d of %d", i, b.devices)
		g.Go(func() (err error) {
			if readers[i], err = s.device(ctx, fmt.Sprintf("user%d", i), "bench"); err != nil {
				return err
			}
			return readers[i].publish(ctx, 1)
		})
	}
	return readers, g.Wait()
}

// A delivery is a fan-out that is measured.
type delivery struct {
	*loadBench
	load    *load
	readers []*arrivals
}

// total counts all deliveries; least is the count of the slowest reader.
func (d *delivery) total() (total, least int64) {
	for i, r := range d.readers {
		n := r.count.Load()
		total += n
		if i == 0 || n < least {
			least = n
		}
	}
	return total, least
}

// deliver has all readers tail the room, and a load write into it.
func (b *loadBench) deliver(ctx context.Context, room *benchRoom, readers []*benchDevice) (*result, error) {
	d := &delivery{loadBench: b, load: newLoad([]*benchRoom{room}, b.size)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, inner := errgroup.WithContext(ctx)
	var caughtUp atomic.Int64
	for i, reader := range readers {
		b.stage("opening streams: %d of %d", i, len(readers))
		stream, err := reader.link.Tail(inner, &devicev1.TailRequest{
			Cursors: []*devicev1.Cursor{{Room: string(room.id), Seq: uint64(room.seq)}}, Follow: true,
		})
		if err != nil {
			return nil, err
		}
		a := &arrivals{load: d.load, counting: i%lookedInto != 0, ready: &caughtUp, watch: newStopwatch()}
		d.readers = append(d.readers, a)
		g.Go(func() error { return a.read(stream) })
	}
	g.Go(func() error {
		<-inner.Done()
		return inner.Err()
	})
	err := eventually(ctx, func(context.Context) (bool, error) { return caughtUp.Load() == int64(len(readers)), nil })
	if err != nil {
		return nil, fmt.Errorf("%d of %d devices read: %w", caughtUp.Load(), len(readers), err)
	}
	res, err := d.run(inner)
	cancel()
	if ended := g.Wait(); err != nil {
		return nil, errors.Join(err, ended)
	}
	watch := newStopwatch()
	for i := 0; i < len(d.readers); i += lookedInto {
		watch.times.Merge(d.readers[i].watch.times)
	}
	watch.spread(res)
	return res, nil
}

// run writes, measures, and waits until everybody has everything.
func (d *delivery) run(ctx context.Context) (*result, error) {
	run := d.load.begin(ctx, func() bool {
		for {
			if _, least := d.total(); d.load.accepted.Load()-least < ahead {
				return false
			}
			if ctx.Err() != nil {
				return true
			}
			time.Sleep(time.Millisecond) // the writer's rest
		}
	})
	res, err := d.measure(ctx, run.over)
	if err := errors.Join(err, run.end()); err != nil {
		return nil, err
	}
	err = eventually(ctx, func(context.Context) (bool, error) {
		_, least := d.total()
		return least == d.load.accepted.Load(), nil
	})
	if _, least := d.total(); err != nil {
		return nil, fmt.Errorf("the slowest device has %d of %d messages: %w", least, d.load.accepted.Load(), err)
	}
	return res, nil
}

// measure counts deliveries for as long as was asked for.
func (d *delivery) measure(ctx context.Context, over chan struct{}) (*result, error) {
	pause := func(t time.Duration) error {
		select {
		case <-time.After(t):
			return nil
		case <-over:
			return errLoadEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.stage("fanout: warming up")
	if err := pause(warmUp); err != nil {
		return nil, err
	}
	begin, accepted := time.Now(), d.load.accepted.Load()
	before, _ := d.total()
	for enough := false; !enough; {
		if err := pause(50 * time.Millisecond); err != nil {
			return nil, err
		}
		now, _ := d.total()
		enough = time.Since(begin).Seconds() >= d.seconds
		if d.messages > 0 {
			enough = d.load.accepted.Load()-accepted >= d.messages
		}
		d.stage("fanout: %.0f deliveries a second", float64(now-before)/time.Since(begin).Seconds())
	}
	after, _ := d.total()
	r := &result{Op: "fanout", N: after - before, Seconds: time.Since(begin).Seconds(), Bytes: d.load.length()}
	r.PerSecond = float64(r.N) / r.Seconds
	r.Note = fmt.Sprintf("deliveries of %.0f messages a second; received, not opened", float64(d.load.accepted.Load()-accepted)/r.Seconds)
	return r, nil
}
