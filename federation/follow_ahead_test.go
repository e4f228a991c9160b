package federation

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
)

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes(), []byte(s))
}

// A hub that came back with an older copy of its data said nothing about
// followers that hold what it promised since.
func TestOwnerBehindItsFollowerIsTold(t *testing.T) {
	a, b, room := twoSites(t)
	a.say(room, 10)
	eventually(t, "all are there", func() bool { return b.store.seq(room) == 11 })
	pki, addr := a.cfg.Peers.(*testPKI), b.Addr().String()
	a.Close()
	old := newStore(t, a.cfg.Node)
	old.create(room, alpha, beta)
	log := &lockedBuffer{}
	start := startWith(t, pki, a.cfg.Node, old, func(c *Config) {
		c.Sites = []Peer{{Site: beta, Addresses: []string{addr}}}
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	})
	eventually(t, "the operator is told", func() bool { return log.has("a follower holds more of a room than its owner here") })
	if start.store.seq(room) != 1 || b.store.seq(room) != 11 {
		t.Error("a log has changed")
	}
}
