package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/store"
	"parley/groups"
)

// historyBench is what bench history was asked for.
type historyBench struct {
	*bench
	parleyd                string
	messages, epochs, size int
	profile                string // folder for a CPU profile, empty for none

	site *rigSite
	keys *benchServices
	room groups.RoomID
}

const (
	mostHistory = 10_000_000 // messages
	mostEpochs  = 100_000
	// historyBatch is how many messages the writer queues at a time.
	historyBatch = 500
)

func benchHistoryCommand(a *app) *cobra.Command {
	b := &historyBench{}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Measure a new device that reads what was said before it came",
		Long: `History starts a gateway of its own, and an unwrap service in this process. One device
makes a room of a community, writes into it and makes a new key for each part; then
somebody is added whose device, with a home on disk, fetches all of it: it verifies the log
from its first entry, has the keys unwrapped, and opens and stores each message.

  history          messages that can be read in the end, from nothing
  history_log      of that, reading and verifying the log, and putting messages aside
  history_keys     of that, waiting for the unwrap service; n is keys
  history_decrypt  of that, opening messages and storing them

load_cpu_us is what one message, or key, costs this process in that time, the unwrap
service included.

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case b.messages < 1 || b.messages > mostHistory:
				return usagef("--messages %d: from 1 to %d", b.messages, mostHistory)
			case b.epochs < 1 || b.epochs > min(b.messages, mostEpochs):
				return usagef("--epochs %d: from 1 to %d, and no more than messages", b.epochs, min(b.messages, mostEpochs))
			case b.size < 1 || b.size > mostSize:
				return usagef("--size %d: from 1 to %d bytes", b.size, mostSize)
			}
			b.bench = newBench(a)
			return b.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.parleyd, "parleyd", "", "the parleyd to start (default: the one beside this program)")
	f.IntVar(&b.messages, "messages", 100_000, "messages in the room")
	f.IntVar(&b.epochs, "epochs", 100, "keys they are sealed under")
	f.IntVar(&b.size, "size", 300, "bytes of a message's text")
	f.StringVar(&b.profile, "profile", "", "write a CPU profile of the fetching into this folder")
	return cmd
}

func (b *historyBench) run(ctx context.Context) (err error) {
	ctx, cancel := withAudience(ctx)
	defer cancel()
	r, err := newRig(ctx, b.bench, b.parleyd, unwrapSite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	b.site = r.sites[0]
	if b.keys, err = newBenchServices(b.site, r.dir, b.epochs); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.keys.stop()) }()
	writer, stopWriter, err := b.online(ctx, "writer", store.NewMemory())
	if err != nil {
		return err
	}
	defer stopWriter()
	if err := b.write(ctx, writer); err != nil {
		return err
	}
	home, err := store.Open(store.Config{Dir: filepath.Join(r.dir, "home")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	reader, stopReader, err := b.online(ctx, "reader", home)
	if err != nil {
		return err
	}
	defer stopReader()
	if err := b.join(ctx, writer, reader); err != nil {
		return err
	}
	if err := b.fetch(ctx, reader); err != nil {
		return err
	}
	return b.end()
}

// online makes a device and takes it online, until stop.
func (b *historyBench) online(ctx context.Context, user string, s client.Store) (_ *client.Device, stop func(), err error) {
	id, key, err := b.site.identity(user, "laptop")
	if err != nil {
		return nil, nil, err
	}
	if err := client.SaveIdentity(s, id, key, time.Now()); err != nil {
		return nil, nil, err
	}
	d, err := client.Open(client.Config{Store: s, KeyServices: b.keys.of(id), Pipeline: historyBatch, Upkeep: time.Second})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
		d.Close()
	}
	if err := d.CaughtUp(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return d, stop, nil
}

// write fills a room, part by part, each under a key of its own.
func (b *historyBench) write(ctx context.Context, d *client.Device) error {
	policy := groups.DefaultPolicy(d.User())
	policy.CoIs, policy.History = []groups.CoI{b.keys.community}, groups.HistoryAll
	b.room = unwrapRoom
	if _, err := d.CreateRoom(ctx, client.RoomSpec{Room: b.room, Policy: &policy}); err != nil {
		return err
	}
	configuration, err := d.Inspect(ctx, b.room)
	if err != nil {
		return err
	}
	if err := d.Accept(configuration); err != nil {
		return err
	}
	text := client.Text(strings.Repeat("m", b.size))
	for e := range b.epochs {
		if e > 0 {
			if err := d.Rekey(ctx, b.room); err != nil {
				return err
			}
		}
		for left := b.messages*(e+1)/b.epochs - b.messages*e/b.epochs; left > 0; left -= historyBatch {
			b.stage("writing: key %d of %d", e+1, b.epochs)
			batch := make([]client.Content, min(left, historyBatch))
			for i := range batch {
				batch[i] = text
			}
			if _, err := d.Send(b.room, batch...); err != nil {
				return err
			}
			if err := d.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// join has the reader's device added, and waits until it is a member.
func (b *historyBench) join(ctx context.Context, writer, reader *client.Device) error {
	b.stage("adding the reader")
	news := reader.Subscribe(64)
	defer news.Close()
	if err := reader.PublishKeyPackages(ctx, 1); err != nil {
		return err
	}
	if _, err := writer.Add(ctx, b.room, reader.User()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if info, err := reader.Room(b.room); err == nil && info.State == client.RoomLive {
			return nil
		}
		select {
		case <-news.C:
		case <-ctx.Done():
			return fmt.Errorf("join the room: %w", ctx.Err())
		}
	}
}

// A moment is a point of a measurement.
type moment struct {
	at  time.Time
	cpu time.Duration // of this process
}

func momentNow() moment { return moment{time.Now(), cpuTime("self")} }

// fetch measures the reader.
func (b *historyBench) fetch(ctx context.Context, d *client.Device) error {
	stop, err := b.startProfile()
	if err != nil {
		return err
	}
	b.keys.reset()
	began, read := momentNow(), moment{}
	report, err := d.FetchPast(ctx, b.room, func(p client.PastProgress) {
		if p.Stage == "asking for keys" && read.at.IsZero() {
			read = momentNow()
		}
		b.stage("%s: %d of %d entries, %d keys, %d messages", p.Stage, p.Entries, p.Total, p.Keys, p.Messages)
	})
	ended := momentNow()
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	if report.Messages != b.messages || report.Unreadable != 0 {
		return fmt.Errorf("%d of %d messages can be read: %v", report.Messages, b.messages, report.Reasons())
	}
	wait, cpu := b.keys.spent()
	opened := moment{ended.at.Add(-wait), ended.cpu - cpu}
	for _, part := range []*result{
		b.part("history", began, ended, b.messages),
		b.part("history_log", began, read, b.messages),
		b.part("history_keys", moment{ended.at.Add(-wait), ended.cpu - cpu}, ended, report.Keys),
		b.part("history_decrypt", read, opened, b.messages),
	} {
		if err := b.report(part); err != nil {
			return err
		}
	}
	return nil
}

// part is what lies between two moments.
func (b *historyBench) part(op string, from, to moment, n int) *result {
	took := max(to.at.Sub(from.at), time.Microsecond).Seconds()
	r := &result{Op: op, N: int64(n), Seconds: took, PerSecond: float64(n) / took, Size: b.size, Note: count(b.epochs, "key")}
	r.LoadCPU = float64((to.cpu - from.cpu).Microseconds()) / float64(max(n, 1))
	return r
}

// startProfile writes where the time goes until stop.
func (b *historyBench) startProfile() (stop func() error, err error) {
	if b.profile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(filepath.Join(b.profile, "history.pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
