package main

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
	pki "parley/coi/service"
	"parley/groups"
)

// unwrapBench is what bench unwrap was asked for.
type unwrapBench struct {
	*bench
	epochs, members, batch, clients int

	site   *unwrapSiteRig
	proven []groups.Proven
	client unwrapv1connect.UnwrapServiceClient
	mu     sync.Mutex // guards watch
	watch  *stopwatch
}

func benchUnwrapCommand(a *app) *cobra.Command {
	b := &unwrapBench{}
	cmd := &cobra.Command{
		Use:   "unwrap",
		Short: "Measure the unwrap service: room keys opened in bulk, over TLS",
		Long: `Unwrap starts an unwrap service in this process, with a key in a file's form, its log
on disk and synced, and asks it over TLS 1.3 for the keys of a whole room, as a new
device does: every record's signature, tree and context are real, every proof is verified.

  unwrap  keys opened; p50 and p99: of one request; bytes: of one key's
          request; load_cpu_us: what one key costs, the asking device included

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.epochs < 1 || b.members < 1 || b.clients < 1 || b.batch < 1 || b.batch > groups.MaxKeyItems {
				return usagef("--epochs, --members and --clients are at least 1, --batch is 1 to %d", groups.MaxKeyItems)
			}
			b.bench = newBench(a)
			return b.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.IntVar(&b.epochs, "epochs", 10_000, "epochs of the room")
	f.IntVar(&b.members, "members", 50, "devices in the room")
	f.IntVar(&b.batch, "batch", 500, "keys a request asks for")
	f.IntVar(&b.clients, "clients", 2, "requests under way at a time")
	return cmd
}

func (b *unwrapBench) run(ctx context.Context) (err error) {
	b.stage("making a room of %s with %s", count(b.members, "member"), count(b.epochs, "epoch"))
	if b.site, err = newUnwrapSite(b.members); err != nil {
		return err
	}
	var prev groups.Hash
	for i := range b.epochs {
		r, p, err := b.site.epoch(i, prev)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		prev = r.Hash()
		b.proven = append(b.proven, p)
	}
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer os.RemoveAll(dir)
	stop, err := b.serve(dir)
	if err != nil {
		return err
	}
	began, cpu := time.Now(), cpuTime("self")
	err = b.ask(ctx)
	took := time.Since(began)
	cpu = cpuTime("self") - cpu
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	r := b.watch.result("unwrap")
	r.N, r.Seconds, r.PerSecond = int64(b.epochs), took.Seconds(), float64(b.epochs)/took.Seconds()
	r.Bytes = b.watch.bytes / int64(b.epochs)
	r.LoadCPU = float64(cpu.Microseconds()) / float64(b.epochs)
	r.Members, r.Note = b.members, fmt.Sprintf("%d keys a request, %s at a time", b.batch, count(b.clients, "request"))
	if err := b.report(r); err != nil {
		return err
	}
	return b.end()
}

// ask asks for all keys, several requests at a time, newest first.
func (b *unwrapBench) ask(ctx context.Context) error {
	b.stage("opening %s", count(b.epochs, "key"))
	b.watch = newStopwatch()
	starts := make(chan int, b.epochs/b.batch+1) // all of them fit
	for at := 0; at < b.epochs; at += b.batch {
		starts <- at
	}
	close(starts)
	errs := make([]error, b.clients)
	var wg sync.WaitGroup
	for c := range errs {
		wg.Go(func() {
			for at := range starts {
				if errs[c] = b.request(ctx, b.proven[at:min(at+b.batch, b.epochs)]); errs[c] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// request asks for the keys of some epochs, and opens the answer.
func (b *unwrapBench) request(ctx context.Context, items []groups.Proven) error {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return err
	}
	last := b.proven[len(b.proven)-1]
	q := groups.KeyRequest{
		CoI: unwrapCoI, Device: "mimi://" + unwrapSite + "/d/u0/laptop", Service: "mimi://" + unwrapSite + "/s/unwrap",
		Time: uint64(time.Now().UnixMilli()), ResponseKey: key.PublicKey().Bytes(), Reason: "benchmark",
		Anchors: []groups.Anchor{{Proven: last, Self: last.Author}},
	}
	rand.Read(q.Nonce[:])
	for _, p := range items {
		q.Items = append(q.Items, groups.KeyItem{
			Proven: p, Standing: groups.StandingMember, Member: p.Author, Anchor: &groups.Vouch{Author: p.Author},
		})
	}
	sig, err := coi.Sign(b.site.key, q.SigningBytes())
	if err != nil {
		return err
	}
	m := &unwrapv1.UnwrapRequest{Request: q.Marshal(), Signature: sig, Chain: b.site.chain}
	began := time.Now()
	resp, err := b.client.Unwrap(ctx, connect.NewRequest(m))
	if err != nil {
		return fmt.Errorf("unwrap: %w", err)
	}
	answer, err := groups.OpenKeyAnswer(resp.Msg.Sealed, m.Request, key)
	if err != nil {
		return err
	}
	for i, part := range answer.Parts {
		if part == nil {
			return fmt.Errorf("unwrap: key %d was denied", i)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch.lap(time.Since(began), len(m.Request))
	return nil
}

// serve starts the service, and returns how to stop it.
func (b *unwrapBench) serve(dir string) (stop func() error, err error) {
	g, now := b.site, time.Now()
	trust, err := coi.NewTrust(coi.Site{
		Name: unwrapSite, Roots: []*x509.Certificate{g.root.Cert}, Intermediates: []*x509.Certificate{g.devices.Cert}, CoIRoots: []*x509.Certificate{g.cois.Cert},
	})
	if err != nil {
		return nil, err
	}
	own, err := g.root.IssueService("unwrap", []string{"127.0.0.1"}, now)
	if err != nil {
		return nil, err
	}
	rules, err := pki.OpenEntitlements(filepath.Join(dir, "entitlements.json"))
	if err != nil {
		return nil, err
	}
	if _, err := rules.Add(pki.Rule{CoI: unwrapCoI, Subject: "mimi://" + unwrapSite, Effect: pki.Grants, By: "bench"}); err != nil {
		return nil, err
	}
	if _, err := pki.InitAudit(filepath.Join(dir, "log"), unwrapSite+"/unwrap/bench"); err != nil {
		return nil, err
	}
	state := pki.NewUnwrapState(now)
	log, err := pki.OpenAudit(filepath.Join(dir, "log"), state.Recall)
	if err != nil {
		return nil, err
	}
	free := pki.Quota{Burst: b.epochs + 1, PerSecond: 1}
	u, err := pki.NewUnwrap(pki.UnwrapConfig{
		Service: "mimi://" + unwrapSite + "/s/unwrap", Trust: func() (*coi.Trust, error) { return trust, nil },
		Keys:         func() (*pki.KeyRing, error) { return pki.NewKeyRing(g.held), nil },
		Entitlements: rules, Status: &pki.StatusClient{URL: map[string]string{unwrapSite: pki.StatusNone}},
		Log: log, State: state, Quotas: pki.Quotas{Device: free, User: free, CoI: free},
	})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	server := &http.Server{Handler: u.Handler(), ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: coi.Chain(own.Cert), PrivateKey: own.Key}},
	}}
	ended := make(chan error, 1) // one value, always received
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	calls := pki.PeerClient(trust, unwrapSite, time.Now)
	b.client = unwrapv1connect.NewUnwrapServiceClient(calls, "https://"+listener.Addr().String())
	return func() error {
		calls.CloseIdleConnections()
		err := server.Close()
		<-ended
		return errors.Join(err, log.Close())
	}, nil
}

func decimal(n int) string { return strconv.Itoa(n) }
