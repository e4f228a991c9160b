package federation

import (
	"testing"
	"testing/synctest"
	"time"

	"parley/groups"
)

// A stuckLog takes entries and never says that they are stored.
type stuckLog struct{ *memStore }

func (stuckLog) Replicate(groups.Batch, func(groups.Head, error)) {}

// "Window of unacked bounded": a follower that stores nothing holds up its own
// room at the window, and memory at both ends stays there.
func TestUnacknowledgedEntriesAreBounded(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	store := newStore(t, nodeID(beta, "b1"))
	b := startWith(t, pki, nodeID(beta, "b1"), store, func(c *Config) { peering(alpha, a)(c); c.Log = stuckLog{store} })
	room := roomID(alpha, "ops")
	a.store.create(room, alpha, beta)
	body := string(make([]byte, 256<<10))
	for range 4 * windowBytes / len(body) {
		a.store.Submit(submission(room, deviceID(alpha, "alice"), body), func(groups.Outcome) {})
	}
	unacked := func() (n, full int) {
		for _, l := range a.linksOf(beta) {
			l.server.mu.Lock()
			n, full = n+l.server.unacked, full+len(l.server.full)
			l.server.mu.Unlock()
		}
		return n, full
	}
	eventually(t, "the room is at its window", func() bool { n, full := unacked(); return n >= windowBytes && full == 1 })
	if n, _ := unacked(); n > windowBytes+pageBytes+groups.MaxBody {
		t.Fatalf("%d bytes are not acknowledged", n)
	}
	if p := a.Peers(); p[0].Behind[room] == 0 {
		t.Fatalf("the operator is not told: %+v", p)
	}
	eventually(t, "they have arrived", func() bool { return b.linksOf(alpha)[0].waiting.Load() > windowBytes/2 })
	if n := b.linksOf(alpha)[0].waiting.Load(); n > maxWaiting {
		t.Fatalf("%d bytes wait", n)
	}
}

// A submission that is never answered is given up after relayTime, in words
// that say what to do.
func TestSimulatedSilentOwnerIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeather(1, 0, 0, 0)
		pki := newPKI(t, alpha, beta)
		store := newStore(t, nodeID(alpha, "a1"))
		a := startWith(t, pki, nodeID(alpha, "a1"), store, func(c *Config) {
			w.at(t, simAddr(1), Peer{Site: beta})(c)
			c.Log = silentLog{store}
		})
		b := start(t, pki, nodeID(beta, "b1"), w.at(t, simAddr(2), Peer{Site: alpha, Addresses: []string{simAddr(1).String()}}))
		room := roomID(alpha, "ops")
		store.create(room, alpha, beta)
		within(t, time.Minute, "linked", func() bool { return b.store.seq(room) == 1 })
		sent := time.Now()
		out := make(chan groups.Outcome, 1)
		b.Relay(submission(room, deviceID(beta, "bob"), "x"), func(o groups.Outcome) { out <- o })
		o := <-out
		if took := time.Since(sent); kindOf(o.Err) != groups.Unavailable || took < relayTime || took > relayTime+2*tickTime {
			t.Fatalf("after %s: %v", took, o.Err)
		}
		a.Close()
		b.Close()
	})
}
