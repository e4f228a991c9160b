package federation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"parley/groups"
)

// A weather is a simulated network: it loses, repeats, delays and cuts. It runs
// in the fake time of a synctest bubble.
type weather struct {
	simnet.PerfectRouter
	loss, repeat, reorder float64

	mu  sync.Mutex
	rnd *rand.Rand
	cut map[string]bool // addresses that nothing reaches and leaves
}

func newWeather(seed uint64, loss, repeat, reorder float64) *weather {
	return &weather{loss: loss, repeat: repeat, reorder: reorder, rnd: rand.New(rand.NewPCG(seed, seed)), cut: make(map[string]bool)}
}

// SendPacket delivers a packet after 20 ms, or later, or twice, or not.
func (w *weather) SendPacket(p simnet.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[p.From.String()] || w.cut[p.To.String()] || w.rnd.Float64() < w.loss {
		return nil
	}
	times := 1
	if w.rnd.Float64() < w.repeat {
		times = 2
	}
	for range times {
		delay := 20 * time.Millisecond
		if w.rnd.Float64() < w.reorder {
			delay += time.Duration(w.rnd.IntN(30)) * time.Millisecond
		}
		time.AfterFunc(delay, func() { w.PerfectRouter.SendPacket(p) })
	}
	return nil
}

// set cuts an address off, or joins it again.
func (w *weather) set(addr net.Addr, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[addr.String()] = cut
}

// at makes a node listen on a simulated address.
func (w *weather) at(t testing.TB, addr *net.UDPAddr, peers ...Peer) func(*Config) {
	conn := simnet.NewSimConn(addr, w)
	t.Cleanup(func() { conn.Close() })
	return func(c *Config) { c.PacketConn, c.Sites = conn, peers }
}

func simAddr(n byte) *net.UDPAddr { return &net.UDPAddr{IP: net.IPv4(1, 0, 0, n).To4(), Port: 7443} }

// within waits in fake time.
func within(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(d)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", d, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A sender relays messages one after the other until each has a receipt: what
// is unreachable or busy is sent again under the same id.
func (n *testNode) insist(ctx context.Context, room groups.RoomID, count int) []groups.Receipt {
	var out []groups.Receipt
	for i := range count {
		sub := submission(room, deviceID(n.site, "bob"), fmt.Sprintf("relayed %d", i))
		for ctx.Err() == nil {
			answer := make(chan groups.Outcome, 1)
			n.Relay(sub, func(o groups.Outcome) { answer <- o })
			o := <-answer
			if o.Err == nil {
				out = append(out, o.Receipt)
				break
			}
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return out
}

// "Everything is delivered in order, exactly once": two whole sites on a
// network with loss, repetition, reordering and repeated partitions.
func TestSimulatedSitesDeliverEverythingInOrder(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWeather(seed, 0.05, 0.05, 0.10)
				pki := newPKI(t, alpha, beta)
				a := start(t, pki, nodeID(alpha, "a1"), w.at(t, simAddr(1), Peer{Site: beta}))
				b := start(t, pki, nodeID(beta, "b1"), w.at(t, simAddr(2), Peer{Site: alpha, Addresses: []string{simAddr(1).String()}}))
				room := roomID(alpha, "ops")
				a.store.create(room, alpha, beta)

				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var all sync.WaitGroup
				var receipts []groups.Receipt
				all.Go(func() { receipts = b.insist(ctx, room, 100) })
				all.Go(func() {
					for i := range 100 {
						a.say(room, 10)
						if i%20 == 0 {
							a.store.setSites(room, alpha, beta)
						}
						time.Sleep(200 * time.Millisecond)
					}
				})
				all.Go(func() {
					for range 4 {
						time.Sleep(5 * time.Second)
						w.set(simAddr(2), true)
						time.Sleep(3 * time.Second)
						w.set(simAddr(2), false)
					}
				})
				all.Wait()
				const want = 1 + 100 + 1000 + 5
				within(t, 3*time.Minute, "all is replicated", func() bool { return b.store.seq(room) == want })
				sameLog(t, room, a.store, b.store)
				if len(receipts) != 100 {
					t.Fatalf("%d receipts", len(receipts))
				}
				for i, r := range receipts {
					if i > 0 && r.Seq <= receipts[i-1].Seq {
						t.Fatalf("receipt %d is for entry %d, after %d", i, r.Seq, receipts[i-1].Seq)
					}
				}
				a.Close()
				b.Close()
			})
		})
	}
}

// "Unreachable is not refused": after a partition that outlasts the link both
// sites go on by themselves.
func TestSimulatedPartitionOfAnHourHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeather(1, 0, 0, 0)
		pki := newPKI(t, alpha, beta)
		a := start(t, pki, nodeID(alpha, "a1"), w.at(t, simAddr(1), Peer{Site: beta}))
		b := start(t, pki, nodeID(beta, "b1"), w.at(t, simAddr(2), Peer{Site: alpha, Addresses: []string{simAddr(1).String()}}))
		room := roomID(alpha, "ops")
		a.store.create(room, alpha, beta)
		within(t, time.Minute, "linked", func() bool { return b.store.seq(room) == 1 })
		w.set(simAddr(2), true)
		waiting := make(chan groups.Outcome, 1)
		b.Relay(submission(room, deviceID(beta, "bob"), "lost"), func(o groups.Outcome) { waiting <- o })
		if o := <-waiting; kindOf(o.Err) != groups.Unavailable {
			t.Fatalf("outcome %v", o.Err)
		}
		a.say(room, 100)
		time.Sleep(time.Hour)
		if len(a.linksOf(beta))+len(b.linksOf(alpha)) != 0 {
			t.Fatal("a dead link is thought to be up")
		}
		if p := b.Peers(); p[0].State == "up" || p[0].LastError == "" {
			t.Fatalf("peers %+v", p)
		}
		w.set(simAddr(2), false)
		healed := time.Now()
		within(t, 2*time.Minute, "caught up", func() bool { return b.store.seq(room) == 101 })
		t.Logf("caught up %s after the partition", time.Since(healed))
		sameLog(t, room, a.store, b.store)
		a.Close()
		b.Close()
	})
}

// A node that was killed, without a goodbye, and starts again is let in at once
// though its peer still thinks that its old link is up.
func TestSimulatedNodeReturnsAfterKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeather(1, 0, 0, 0)
		pki := newPKI(t, alpha, beta)
		a := start(t, pki, nodeID(alpha, "a1"), w.at(t, simAddr(1), Peer{Site: beta, Addresses: []string{simAddr(2).String()}}))
		b := start(t, pki, nodeID(beta, "b1"), w.at(t, simAddr(2), Peer{Site: alpha, Addresses: []string{simAddr(1).String()}}))
		room := roomID(alpha, "ops")
		a.store.create(room, alpha, beta)
		within(t, time.Minute, "linked", func() bool { return b.store.seq(room) == 1 })
		w.set(simAddr(2), true)
		b.Close()
		a.say(room, 100)
		if len(a.linksOf(beta)) != 1 {
			t.Fatal("the kill was noticed: this test proves nothing")
		}
		back := startWith(t, pki, nodeID(beta, "b1"), b.store, w.at(t, simAddr(3), Peer{Site: alpha, Addresses: []string{simAddr(1).String()}}))
		within(t, 5*time.Second, "caught up", func() bool { return back.store.seq(room) == 101 })
		sameLog(t, room, a.store, back.store)
		a.Close()
		back.Close()
	})
}

// A link is renewed when it is a day old, and nothing is lost by it.
func TestSimulatedLinkIsRenewedDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeather(1, 0, 0, 0)
		pki := newPKI(t, alpha, beta)
		a := start(t, pki, nodeID(alpha, "a1"), w.at(t, simAddr(1), Peer{Site: beta}))
		b := start(t, pki, nodeID(beta, "b1"), w.at(t, simAddr(2), Peer{Site: alpha, Addresses: []string{simAddr(1).String()}}))
		room := roomID(alpha, "ops")
		a.store.create(room, alpha, beta)
		within(t, time.Minute, "linked", func() bool { return b.store.seq(room) == 1 })
		first := a.linksOf(beta)[0]
		time.Sleep(24*time.Hour + time.Minute)
		a.say(room, 10)
		within(t, time.Minute, "replicated", func() bool { return b.store.seq(room) == 11 })
		if links := a.linksOf(beta); len(links) != 1 || links[0] == first {
			t.Fatal("a link is more than a day old")
		}
		a.Close()
		b.Close()
	})
}
