package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/groups"
	"parley/mls/wire"
)

func benchFederateCommand(a *app) *cobra.Command {
	b := &loadBench{}
	cmd := &cobra.Command{
		Use:   "federate",
		Short: "Measure messages from one site to another",
		Long: `Federate has devices send into rooms at one site that have a member at another. A message
counts when the other site has verified and stored it, which its device there sees: the
rate is that of all messages, from the first one sent to the last one arrived.

p50 and p99 are from the moment at which a message was sealed to its arrival at the
other site's device, with full queues in between.

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			b.bench = newBench(a)
			return b.federate(cmd.Context())
		},
	}
	b.flags(cmd)
	cmd.Flags().IntVar(&b.devices, "devices", 16, "how many devices send")
	cmd.Flags().IntVar(&b.rooms, "rooms", 16, "into how many rooms")
	return cmd
}

// federate measures two sites.
func (b *loadBench) federate(ctx context.Context) (err error) {
	ctx, cancel := withAudience(ctx)
	defer cancel()
	r, err := newRig(ctx, b.bench, b.parleyd, "alpha.example", "beta.example")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	rooms, err := b.makeRooms(ctx, r.sites[0])
	if err != nil {
		return err
	}
	reader, err := r.sites[1].device(ctx, "reader", "bench")
	if err != nil {
		return err
	}
	if err := reader.publish(ctx, b.rooms); err != nil {
		return err
	}
	for i, room := range rooms[:b.rooms] {
		b.stage("adding the member at the other site: %d of %d", i, b.rooms)
		if err := b.untilLinked(ctx, func() error { return room.add(ctx, reader.Device.User()) }); err != nil {
			return err
		}
	}
	l := newLoad(rooms, b.size)
	res, err := b.across(ctx, r, l, reader)
	if err != nil {
		return err
	}
	if err := b.tell(res); err != nil {
		return err
	}
	return b.end()
}

// untilLinked tries again while the sites do not see each other yet.
func (b *loadBench) untilLinked(ctx context.Context, act func() error) error {
	return eventually(ctx, func(context.Context) (bool, error) {
		err := act()
		if errors.Is(err, errNoKeyPackages) {
			return false, nil
		}
		return err == nil, err
	})
}

// across runs a load and counts at the other end.
func (b *loadBench) across(ctx context.Context, rig *rig, l *load, reader *benchDevice) (*result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &arrivals{load: l, watch: newStopwatch()}
	stream, err := reader.link.Tail(ctx, &devicev1.TailRequest{AllRooms: true, Follow: true})
	if err != nil {
		return nil, err
	}
	read := make(chan error, 1)
	go func() { read <- a.read(stream); cancel() }()
	start, cpu, profiled := time.Now(), rig.meter(), rig.profileTo(b.profile, "federate", b.length())
	enough := func() bool {
		if b.messages > 0 {
			return l.accepted.Load() >= b.messages
		}
		return time.Since(start).Seconds() >= b.seconds
	}
	if err := l.run(ctx, enough); err != nil {
		return nil, errors.Join(err, stream.Close(), <-read)
	}
	took := time.Since(start)
	err = eventually(ctx, func(context.Context) (bool, error) { return a.count.Load() >= l.accepted.Load(), nil })
	if err != nil {
		return nil, fmt.Errorf("%d of %d messages have arrived: %w", a.count.Load(), l.accepted.Load(), err)
	}
	r := &result{Op: "federate", N: a.count.Load(), Seconds: time.Since(start).Seconds(), Bytes: l.length()}
	r.PerSecond = float64(r.N) / r.Seconds
	cpu.note(r)
	r.Note = fmt.Sprintf("accepted in %.1f s, stored at the other site in %.1f s", took.Seconds(), r.Seconds)
	stream.Close()
	<-read
	a.watch.spread(r)
	return r, profiled()
}

// sampled is one message of how many that is looked into when it arrives.
const sampled = 64

// arrivals count the messages that a device is sent, and look into some of
// them for when they were sealed. It belongs to the goroutine of read, but for
// what is atomic.
type arrivals struct {
	load     *load
	counting bool // entries are counted, not parsed: they are all messages
	watch    *stopwatch
	count    atomic.Int64
	ready    *atomic.Int64 // counts the devices that have caught up; may be nil
}

// read counts until the stream ends.
func (a *arrivals) read(stream client.Receiver[devicev1.TailResponse]) error {
	for {
		resp, err := stream.Receive()
		if err != nil {
			return err
		}
		now := time.Now()
		if resp.CaughtUp && a.ready != nil {
			a.ready.Add(1)
		}
		for _, room := range resp.Rooms {
			n := len(room.Entries)
			for _, b := range room.Entries {
				if a.counting {
					break
				}
				message, err := a.look(b, now)
				if err != nil {
					return err
				}
				if !message {
					n--
				}
			}
			a.count.Add(int64(n))
		}
	}
}

// look says whether an entry is a message, and takes the time of some.
func (a *arrivals) look(b []byte, now time.Time) (bool, error) {
	header, err := groups.ParseEntry(b)
	if err != nil || header.Kind != groups.KindMessage {
		return false, err
	}
	if header.Seq%sampled != 0 {
		return true, nil
	}
	m, err := wire.ParsePrivateMessage(header.Body)
	if err != nil {
		return false, err
	}
	stamp, err := groups.ParseAuthenticatedData(m.AuthenticatedData)
	if err != nil {
		return false, err
	}
	sent, ok := a.load.sentAt(&stamp)
	if ok {
		a.watch.lap(now.Sub(sent), 0)
	}
	return true, nil
}

// sentAt says when a message was sealed, if that is still known.
func (l *load) sentAt(stamp *groups.AuthenticatedData) (time.Time, bool) {
	for _, s := range l.senders {
		if s.room.device.Device != stamp.Device {
			continue
		}
		if at, ok := s.sent.at(serialOf(stamp.ID[:])); ok {
			return at, true
		}
	}
	return time.Time{}, false
}
