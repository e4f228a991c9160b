package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// A loadBench is what a benchmark with gateways was asked for.
type loadBench struct {
	*bench
	parleyd  string
	devices  int
	rooms    int
	size     int
	seconds  float64
	messages int64
	rate     float64
	profile  string // folder for CPU profiles, empty for none
}

// warmUp is how long a load runs before it is measured.
const warmUp = time.Second

const (
	mostDevices = 20_000
	mostRooms   = 1000
	mostSize    = 60_000
	mostStreams = 15 // of one device at a gateway, with one to spare
)

// flags adds the flags that all loads have.
func (b *loadBench) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&b.parleyd, "parleyd", "", "the parleyd to measure (default: the one beside this program)")
	f.IntVar(&b.size, "size", 300, "bytes of a message's text")
	f.Float64Var(&b.seconds, "seconds", 10, "how long to measure")
	f.Int64Var(&b.messages, "messages", 0, "how many messages to measure, instead of --seconds")
	f.StringVar(&b.profile, "profile", "", "write CPU profiles of the load and of the gateways into this folder")
}

// check refuses what can not be measured.
func (b *loadBench) check() error {
	switch {
	case b.devices < 1 || b.devices > mostDevices:
		return usagef("--devices %d: from 1 to %d", b.devices, mostDevices)
	case b.rooms < 1 || b.rooms > mostRooms:
		return usagef("--rooms %d: from 1 to %d", b.rooms, mostRooms)
	case b.rooms > mostStreams*b.devices:
		return usagef("--rooms %d: a device sends into at most %d, so there have to be more --devices", b.rooms, mostStreams)
	case b.size < 1 || b.size > mostSize:
		return usagef("--size %d: from 1 to %d bytes", b.size, mostSize)
	case b.seconds <= 0 || b.messages < 0 || b.rate < 0:
		return usagef("--seconds has to be more than 0, --messages and --rate not less")
	}
	return nil
}

func benchSendCommand(a *app) *cobra.Command {
	b := &loadBench{}
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Measure messages into one gateway: accepted a second, and receipts",
		Long: `Send has devices send into one gateway, each pipelining into a room, with real
encryption in each device; a message counts when its receipt has come and the head that
covers it is verified: then it is synced to the gateway's disk.

  send          as many as go: p50 and p99 are of full queues
  send_latency  at half that rate, or at --rate, evenly: p50 and p99 are from the moment
                at which a message was due to its receipt

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			b.bench = newBench(a)
			return b.send(cmd.Context())
		},
	}
	b.flags(cmd)
	cmd.Flags().IntVar(&b.devices, "devices", 16, "how many devices send")
	cmd.Flags().IntVar(&b.rooms, "rooms", 16, "into how many rooms")
	cmd.Flags().Float64Var(&b.rate, "rate", 0, "measure send_latency alone, at this many messages a second")
	return cmd
}

// send measures both phases.
func (b *loadBench) send(ctx context.Context) (err error) {
	ctx, cancel := withAudience(ctx)
	defer cancel()
	r, err := newRig(ctx, b.bench, b.parleyd, "alpha.example")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	rooms, err := b.makeRooms(ctx, r.sites[0])
	if err != nil {
		return err
	}
	l := newLoad(rooms, b.size)
	if b.rate == 0 {
		full, err := b.measure(ctx, r, l, "send")
		if err != nil {
			return err
		}
		b.rate = full.PerSecond / 2
		if err := b.tell(full); err != nil {
			return err
		}
	}
	l.rate = b.rate
	even, err := b.measure(ctx, r, l, "send_latency")
	if err != nil {
		return err
	}
	even.Note = fmt.Sprintf("at %.0f a second", l.rate)
	if err := b.tell(even); err != nil {
		return err
	}
	return b.end()
}

// tell reports a measurement of a load.
func (b *loadBench) tell(r *result) error {
	r.Devices, r.Rooms, r.Size = b.devices, b.rooms, b.size
	return b.report(r)
}

// makeRooms makes devices and their rooms: the devices make them in turn; if
// there are more devices than rooms, the others are added and join.
func (b *loadBench) makeRooms(ctx context.Context, s *rigSite) ([]*benchRoom, error) {
	devices := make([]*benchDevice, b.devices)
	for i := range devices {
		b.stage("making devices: %d of %d", i, b.devices)
		var err error
		if devices[i], err = s.device(ctx, fmt.Sprintf("user%d", i), "bench"); err != nil {
			return nil, err
		}
	}
	rooms := make([]*benchRoom, b.rooms)
	for i := range rooms {
		b.stage("making rooms: %d of %d", i, b.rooms)
		var err error
		if rooms[i], err = devices[i%b.devices].createRoom(ctx, fmt.Sprintf("bench%d", i)); err != nil {
			return nil, err
		}
	}
	all := rooms
	for i, d := range devices[min(b.rooms, b.devices):] {
		b.stage("adding devices: %d of %d", i, b.devices-b.rooms)
		if err := d.publish(ctx, 1); err != nil {
			return nil, err
		}
		if err := rooms[i%b.rooms].add(ctx, d.Device.User()); err != nil {
			return nil, err
		}
		joined, err := d.joinRooms(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, joined...)
	}
	return all, nil
}

// length is how long a measurement takes.
func (b *loadBench) length() time.Duration { return time.Duration(b.seconds * float64(time.Second)) }

// measure runs a load: a warm-up, then what was asked for.
func (b *loadBench) measure(ctx context.Context, r *rig, l *load, op string) (*result, error) {
	b.stage("%s: warming up", op)
	run := l.begin(ctx, func() bool { return false })
	res, err := b.watch(r, l, op, run.over)
	return res, errors.Join(err, run.end())
}

// watch measures a load that runs.
func (b *loadBench) watch(r *rig, l *load, op string, over chan struct{}) (*result, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	start, w := time.Now(), newStopwatch()
	var began time.Time
	var first int64
	var cpu *cpuMeter
	profiled := func() error { return nil }
	for {
		select {
		case <-tick.C:
		case <-over:
			return nil, errLoadEnded
		}
		now, accepted := time.Now(), l.accepted.Load()
		switch {
		case began.IsZero() && now.Sub(start) >= warmUp:
			began, first = now, accepted
			cpu, profiled = r.meter(), r.profileTo(b.profile, op, b.length())
			l.measure(w)
		case began.IsZero():
		case b.messages > 0 && accepted-first >= b.messages, b.messages == 0 && now.Sub(began).Seconds() >= b.seconds:
			l.measure(nil)
			res := &result{Op: op, N: accepted - first, Seconds: now.Sub(began).Seconds(), Bytes: l.length()}
			res.PerSecond = float64(res.N) / res.Seconds
			cpu.note(res)
			w.spread(res)
			return res, profiled()
		default:
			b.stage("%s: %.0f a second", op, float64(accepted-first)/now.Sub(began).Seconds())
		}
	}
}
