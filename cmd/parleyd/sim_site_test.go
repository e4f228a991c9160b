package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
	"google.golang.org/protobuf/proto"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/client/store"
	"parley/coi"
	"parley/coi/service"
	"parley/groups"
	"parley/mls/wire"
	"parley/storage"
)

// A simWorld is sites, what joins them, and the receipts that devices were
// given.
type simWorld struct {
	*testing.T
	weather *weather
	board   *switchboard
	sites   map[groups.SiteID]*simSite

	mu       sync.Mutex
	receipts []groups.Receipt
}

// A simSite is a site with one node: its PKI and config on disk, and the
// process that runs from them.
type simSite struct {
	w      *simWorld
	pki    *service.Directory
	config *config
	udp    *net.UDPAddr
	node   *node
	stop   func() // ends the node in an orderly way
}

// newSimWorld makes sites that peer with each other and starts their nodes.
func newSimWorld(t *testing.T, seed uint64, names ...groups.SiteID) *simWorld {
	w := &simWorld{T: t, weather: newWeather(seed), board: newSwitchboard(), sites: make(map[groups.SiteID]*simSite)}
	for i, name := range names {
		dir := t.TempDir()
		pki, err := service.InitDirectory(filepath.Join(dir, "pki"), service.Plan{Site: string(name), Nodes: []string{"n1"}}, time.Now())
		w.must(err)
		s := &simSite{w: w, pki: pki, udp: &net.UDPAddr{IP: net.IPv4(10, 0, 0, byte(1+i)).To4(), Port: 9443}}
		s.config = &config{
			Site: name, Node: "n1", Data: "data", dir: dir,
			Gateway:    gatewayConfig{Listen: "n1." + string(name) + ":8443"},
			Federation: federationConfig{Listen: s.udp.String()},
			Identity:   pkiIdentity(pki.Path(), "n1"),
			Admin:      adminConfig{Listen: "localhost:8445"},
			Limits:     limitsConfig{ClaimsPerHour: 1000},
		}
		w.sites[name] = s
	}
	for _, s := range w.sites {
		for _, peer := range w.sites {
			if peer == s {
				continue
			}
			cas, err := peer.pki.Own()
			w.must(err)
			w.must(s.pki.Trust(cas))
			s.config.Peers = append(s.config.Peers, peerConfig{
				Site: peer.config.Site, Addresses: []string{peer.udp.String()},
				CA: s.pki.Path("trust", string(peer.config.Site), "ca.pem"),
			})
		}
		w.must(s.config.check())
	}
	for _, s := range w.sites {
		s.start()
		t.Cleanup(func() { s.stop() })
	}
	return w
}

func (w *simWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// start runs the node as run does, on the simulated network.
func (s *simSite) start() {
	n, err := newNode(s.config, slog.New(slog.NewTextHandler(simLog{s.w.T}, nil)).With("at", s.config.nodeID()))
	s.w.must(err)
	cfg, err := n.storageConfig()
	s.w.must(err)
	cfg.Ballast = -1 // nobody fills the disk here
	n.store, err = storage.Open(cfg)
	s.w.must(err)
	links := simnet.NewSimConn(s.udp, s.w.weather)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		err := n.serve(ctx, &sockets{
			tcp: s.w.board.listen(s.config.Gateway.Listen), links: links, admin: s.w.board.listen(s.config.Admin.Listen + s.config.Node + string(s.config.Site)),
		})
		if err != nil {
			s.w.Errorf("%s: %v", s.config.nodeID(), err)
		}
	})
	s.node = n
	s.stop = func() {
		cancel()
		done.Wait()
		if err := n.store.Close(); err != nil {
			s.w.Errorf("%s: %v", s.config.nodeID(), err)
		}
		s.stop = func() {}
	}
}

// restart ends the node and starts it from what is on disk. When it is cut
// off first, its peers are not told.
func (s *simSite) restart(cut bool, down time.Duration) {
	if cut {
		s.w.weather.set(s.udp, true)
	}
	s.stop()
	time.Sleep(down)
	s.w.weather.set(s.udp, false)
	s.start()
}

// crash takes the node from the network and starts it again from what was on
// disk at that moment, as after a SIGKILL: nothing was flushed, closed or told.
// Nobody writes in that moment; storage's own tests kill it in between.
func (s *simSite) crash(down time.Duration) {
	s.w.weather.set(s.udp, true)
	s.w.board.unplug(s.config.Gateway.Listen)
	synctest.Wait()
	left := s.w.TempDir()
	copyTree(s.w.T, left, s.config.path(s.config.Data))
	s.stop() // the dead process: what it still writes, nobody reads
	s.config.Data = left
	time.Sleep(down)
	s.w.weather.set(s.udp, false)
	s.start()
}

// copyTree copies the files of a directory that nobody writes to, holes as
// holes.
func copyTree(t *testing.T, to, from string) {
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return copyFile(filepath.Join(to, rel), path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	block, zero := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; at += int64(len(block)) {
		n, err := in.ReadAt(block, at)
		if n > 0 && !bytes.Equal(block[:n], zero[:n]) {
			if _, err := out.WriteAt(block[:n], at); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return out.Truncate(at + int64(n))
		}
		if err != nil {
			return err
		}
	}
}

// entries reads a room's whole log.
func (s *simSite) entries(room groups.RoomID) (list []*groups.Entry, head *groups.SignedHead) {
	s.w.Helper()
	for {
		page, err := s.node.store.Read(room, groups.Seq(len(list)), 1<<20)
		s.w.must(err)
		if len(page.Entries) == 0 {
			return list, page.Head
		}
		for _, stored := range page.Entries {
			e, err := groups.ParseEntry(stored.Bytes)
			s.w.must(err)
			list = append(list, e)
		}
	}
}

// head returns where a room's log ends.
func (s *simSite) head(room groups.RoomID) groups.Head {
	info, err := s.node.store.Room(room)
	if err != nil {
		return groups.Head{}
	}
	return info.Head
}

// simLog hides what is logged unless the test fails or is verbose.
type simLog struct{ t *testing.T }

func (l simLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// A simDevice is a person's device, with its line and its store.
type simDevice struct {
	*client.Device
	w    *simWorld
	home *store.Memory
	line *line
	stop func()
}

// device enrols alice/laptop of a site and takes it online.
func (s *simSite) device(name string) *simDevice {
	w := s.w
	user, local, _ := strings.Cut(name, "/")
	public, key, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	ca, err := s.pki.DeviceCA()
	w.must(err)
	id := coi.Name{Purpose: coi.Device, Site: string(s.config.Site), Local: user, Device: local}
	cert, err := ca.IssueDevice(id, public, time.Now())
	w.must(err)
	sites, err := s.pki.Sites()
	w.must(err)
	identity := client.Identity{Device: groups.DeviceID(id.URI()), Chain: coi.Chain(cert), Gateways: []string{s.config.Gateway.Listen}}
	for _, site := range sites {
		identity.Trust = append(identity.Trust, client.SiteTrust{
			Site: groups.SiteID(site.Name), Roots: coi.Chain(site.Roots...), Intermediates: coi.Chain(site.Intermediates...),
		})
	}
	d := &simDevice{w: w, home: store.NewMemory(), line: &line{board: w.board}}
	w.must(client.SaveIdentity(d.home, identity, key, time.Now()))
	d.start()
	w.Cleanup(func() { d.stop() })
	return d
}

// start opens the device from its store and runs it.
func (d *simDevice) start() {
	var err error
	d.Device, err = client.Open(client.Config{
		Store: d.home, Connect: d.connect, Log: slog.New(slog.NewTextHandler(simLog{d.w.T}, nil)),
	})
	d.w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	device := d.Device
	done.Go(func() {
		if err := device.Run(ctx); err != nil {
			d.w.Errorf("%s: %v", device.ID(), err)
		}
	})
	d.stop = func() {
		cancel()
		done.Wait()
		d.w.must(device.Close())
		d.stop = func() {}
	}
}

// connect dials the gateway over the device's line and notes the receipts that
// come back.
func (d *simDevice) connect(ctx context.Context, id client.Identity) (client.Link, error) {
	l, err := client.DialOver(ctx, id, d.line.dial)
	if err != nil {
		return nil, err
	}
	return &noting{l, d.w}, nil
}

// noting is a Link that notes receipts.
type noting struct {
	client.Link
	w *simWorld
}

func (l *noting) Call(ctx context.Context, req, resp proto.Message) error {
	err := l.Link.Call(ctx, req, resp)
	if r, ok := resp.(*devicev1.SubmitResponse); ok && err == nil {
		l.w.note(r.Receipt)
	}
	return err
}

func (l *noting) Submit(ctx context.Context) (client.SubmitStream, error) {
	s, err := l.Link.Submit(ctx)
	return &notingStream{s, l.w}, err
}

type notingStream struct {
	client.SubmitStream
	w *simWorld
}

func (s *notingStream) Receive() (*devicev1.SubmitStreamResponse, error) {
	resp, err := s.SubmitStream.Receive()
	if err == nil {
		for _, b := range resp.Receipts {
			s.w.note(b)
		}
	}
	return resp, err
}

func (w *simWorld) note(receipt []byte) {
	var c groups.Receipt
	r := wire.NewReader(receipt)
	c.Decode(r)
	if err := r.Done(); err != nil {
		w.Errorf("receipt: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.receipts = append(w.receipts, c)
}

// within waits, in fake time, until something is so.
func (w *simWorld) within(d time.Duration, what string, so func() error) {
	w.Helper()
	deadline := time.Now().Add(d)
	for {
		err := so()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("not within %s: %s: %v", d, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (d *simDevice) String() string { return fmt.Sprint(d.ID().Name()) }
