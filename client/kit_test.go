package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/client"
	"parley/client/store"
	"parley/coi"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

type x509Cert = x509.Certificate

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ops groups.RoomID = "mimi://alpha.example/r/ops"

// A person's device in a test, with the process around it.
type phone struct {
	*client.Device
	t     *testing.T
	h     *hub
	store client.Store
	fetch func(context.Context, client.Identity) (client.Identity, error) // client.Config.FetchTrust
	stop  func()

	pipeline int           // client.Config.Pipeline
	skew     time.Duration // how far its clock is ahead
}

// sim runs a test inside a bubble of fake time.
func sim(t *testing.T, test func(t *testing.T, h *hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newHub(t, "alpha.example")) })
}

// enrol gives a store a device of name user/device.
func (h *hub) enrol(name string, s client.Store) {
	h.t.Helper()
	user, device, _ := strings.Cut(name, "/")
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now()
	issue := h.devices.IssueDevice
	if user == "archiver" { // it is a bot's name in these tests
		issue = h.devices.IssueBot
	}
	cert := must(issue(coi.Name{Purpose: coi.Device, Site: string(h.site), Local: user, Device: device}, public, now))
	id := client.Identity{
		Device: groups.DeviceID(fmt.Sprintf("mimi://%s/d/%s/%s", h.site, user, device)),
		Chain:  [][]byte{cert.Raw}, Trust: h.trust,
	}
	if err := client.SaveIdentity(s, id, key, now); err != nil {
		h.t.Fatal(err)
	}
	h.set(func() { h.keys[id.Device] = key })
}

// device makes a device and takes it online.
func (h *hub) device(name string) *phone {
	h.t.Helper()
	s := store.NewMemory()
	h.enrol(name, s)
	p := &phone{t: h.t, h: h, store: s}
	p.start()
	return p
}

// open opens the device offline.
func (p *phone) open() {
	p.t.Helper()
	c := client.Config{Store: p.store, Connect: p.h.connect, FetchTrust: p.fetch, Pipeline: p.pipeline, Log: logTo(p.t)}
	if p.h.cois != nil {
		c.KeyServices = &keyServices{p.h.cois, must(client.LoadIdentity(p.store)).Chain}
	}
	if p.skew != 0 {
		c.Now = func() time.Time { return time.Now().Add(p.skew) }
	}
	d, err := client.Open(c)
	if err != nil {
		p.t.Fatal(err)
	}
	p.Device = d
	p.stop = func() { d.Close() }
	p.t.Cleanup(func() { p.stop() })
}

// start opens the device and runs it.
func (p *phone) start() {
	p.t.Helper()
	p.open()
	p.run()
}

// run takes the device online and waits until it has caught up.
func (p *phone) run() {
	p.t.Helper()
	p.runQuietly(nil)
	if err := p.CaughtUp(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	settle()
}

// runQuietly takes the device online.
func (p *phone) runQuietly(dead func() bool) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var done sync.WaitGroup
	d := p.Device
	done.Go(func() {
		if err := d.Run(ctx); err != nil && (dead == nil || !dead()) {
			p.t.Errorf("run of %s: %v", d.ID(), err)
		}
	})
	p.stop = func() {
		cancel()
		done.Wait()
		d.Close()
		p.stop = func() {}
	}
}

// settle lets everything that can happen without waiting happen, and what
// waits for less than a moment.
func settle() {
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

func (p *phone) createRoom() {
	p.t.Helper()
	if _, err := p.CreateRoom(p.t.Context(), client.RoomSpec{Room: ops}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) add(users ...string) {
	p.t.Helper()
	list := make([]groups.UserID, len(users))
	for i, u := range users {
		list[i] = must(p.FindUser(u))
	}
	waiting, err := p.Add(p.t.Context(), ops, list...)
	if err != nil || len(waiting) > 0 {
		p.t.Fatalf("add %v: %v, waiting %+v", users, err, waiting)
	}
	settle()
}

func (p *phone) say(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if _, err := p.Send(ops, client.Text(text)); err != nil {
			p.t.Fatal(err)
		}
	}
}

// texts are what the device shows of the room, without changes of it.
func (p *phone) texts() (list []string) {
	p.t.Helper()
	history, err := p.History(ops, client.HistoryQuery{Limit: 100_000})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, m := range history {
		switch {
		case m.Change != nil:
		case m.Problem != "":
			list = append(list, "!"+m.Problem)
		default:
			list = append(list, m.Content.Text)
		}
	}
	return list
}

// shows fails unless the device shows exactly these texts.
func (p *phone) shows(want ...string) {
	p.t.Helper()
	if got := p.texts(); !slices.Equal(got, want) {
		p.t.Fatalf("%s shows %q, want %q", p.ID().Name(), got, want)
	}
}

// agree fails unless all devices are in one epoch with one key.
func agree(phones ...*phone) {
	p := phones[0]
	p.t.Helper()
	first := must(p.Room(ops))
	for _, other := range phones[1:] {
		info := must(other.Room(ops))
		if info.Epoch != first.Epoch || string(info.Authenticator) != string(first.Authenticator) || info.Hash != first.Hash {
			p.t.Fatalf("%s is at epoch %d seq %d, %s at %d seq %d", p.ID(), first.Epoch, first.Seq, other.ID(), info.Epoch, info.Seq)
		}
		if len(info.Alarms) > 0 {
			p.t.Fatalf("%s: %v", other.ID(), info.Alarms)
		}
	}
}

func cmpString[T ~string](a, b T) int { return strings.Compare(string(a), string(b)) }

// keyPackages makes n key packages of a device that nobody runs.
func (h *hub) keyPackages(name string, n int) (list []groups.KeyPackage) {
	user, device, _ := strings.Cut(name, "/")
	public, key := must2(ed25519.GenerateKey(rand.Reader))
	cert := must(h.devices.IssueDevice(coi.Name{Purpose: coi.Device, Site: string(h.site), Local: user, Device: device}, public, time.Now()))
	cs := must(suite.Lookup(suite.X25519AES128SHA256Ed25519))
	id := mls.Identity{Credential: wire.X509Credential(cert.Raw), Signer: must(cs.SignatureKeyOf(key))}
	for range n {
		kp := must(mls.NewKeyPackage(cs, id, mls.KeyPackageOptions{Now: time.Now(), Capabilities: mls.DefaultCapabilities(groups.PolicyExtension)}))
		list = append(list, groups.KeyPackage{Bytes: kp.Message()})
	}
	return list
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}
