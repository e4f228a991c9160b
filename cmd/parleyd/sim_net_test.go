package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// oneWay is half of the round trip of the simulated network.
const oneWay = 15 * time.Millisecond

// A weather is the network between nodes: it loses 5 % of all packets, repeats
// 5 %, delays 10 % so that others overtake them, and can be cut. It lives in
// the fake time of a bubble.
type weather struct {
	simnet.PerfectRouter

	mu                      sync.Mutex
	rnd                     *rand.Rand
	cut                     map[string]bool // addresses that nothing reaches and leaves
	sent, lost, twice, cuts int
}

func newWeather(seed uint64) *weather {
	return &weather{rnd: rand.New(rand.NewPCG(seed, 1)), cut: make(map[string]bool)}
}

// SendPacket implements simnet.Router.
func (w *weather) SendPacket(p simnet.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	if w.cut[p.From.String()] || w.cut[p.To.String()] {
		w.cuts++
		return nil
	}
	if w.rnd.Float64() < 0.05 {
		w.lost++
		return nil
	}
	times := 1
	if w.rnd.Float64() < 0.05 {
		w.twice++
		times = 2
	}
	for range times {
		delay := oneWay
		if w.rnd.Float64() < 0.10 {
			delay += time.Duration(w.rnd.IntN(30)) * time.Millisecond
		}
		time.AfterFunc(delay, func() {
			// A node that is down has no address: the packet is lost, as it would be.
			_ = w.PerfectRouter.SendPacket(p)
		})
	}
	return nil
}

// set cuts an address off, or joins it again.
func (w *weather) set(addr net.Addr, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[addr.String()] = cut
}

// A switchboard is the reliable network between devices and their gateways:
// what TCP makes of a real one.
type switchboard struct {
	mu        sync.Mutex
	listeners map[string]*simListener
}

func newSwitchboard() *switchboard {
	return &switchboard{listeners: make(map[string]*simListener)}
}

// listen takes an address until the listener is closed.
func (b *switchboard) listen(addr string) net.Listener {
	l := &simListener{board: b, addr: simAddr(addr), calls: make(chan net.Conn, 64), done: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners[addr] = l
	return l
}

// unplug takes an address away at once: connections break and calls fail.
func (b *switchboard) unplug(addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.listeners[addr].conns {
		c.in.breakOff()
		c.out.breakOff()
	}
	delete(b.listeners, addr)
}

type simListener struct {
	board *switchboard
	addr  simAddr
	calls chan net.Conn
	once  sync.Once
	done  chan struct{}
	conns []*simConn // those it was given, under board.mu
}

func (l *simListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *simListener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.board.mu.Lock()
		defer l.board.mu.Unlock()
		if l.board.listeners[string(l.addr)] == l {
			delete(l.board.listeners, string(l.addr))
		}
	})
	return nil
}

func (l *simListener) Addr() net.Addr { return l.addr }

type simAddr string

func (simAddr) Network() string  { return "tcp" }
func (a simAddr) String() string { return string(a) }

// A line joins one device to the switchboard. It can be down: then its
// connections break and no new ones are made.
type line struct {
	board *switchboard

	mu    sync.Mutex
	down  bool
	conns []*simConn
}

// dial is a client.DialContext.
func (n *line) dial(_ context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.board.mu.Lock()
	l := n.board.listeners[addr]
	n.board.mu.Unlock()
	if n.down || l == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: simAddr(addr), Err: syscall.ECONNREFUSED}
	}
	there, back := newHalf(), newHalf()
	here := &simConn{in: back, out: there, local: "192.0.2.1:40000", remote: simAddr(addr)}
	far := &simConn{in: there, out: back, local: simAddr(addr), remote: "192.0.2.1:40000"}
	select {
	case l.calls <- far:
		n.board.mu.Lock()
		l.conns = append(l.conns, far)
		n.board.mu.Unlock()
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: simAddr(addr), Err: syscall.ECONNREFUSED}
	}
	n.conns = append(n.conns, here)
	return here, nil
}

// set takes the line down, or up again.
func (n *line) set(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
	if down {
		for _, c := range n.conns {
			c.in.breakOff()
			c.out.breakOff()
		}
		n.conns = nil
	}
}

// A simConn is one end of a connection. Writes never block: HTTP/2 bounds what
// is under way.
type simConn struct {
	in, out       *half
	local, remote simAddr
}

func (c *simConn) Read(b []byte) (int, error)        { return c.in.read(b) }
func (c *simConn) Write(b []byte) (int, error)       { return c.out.write(b) }
func (c *simConn) LocalAddr() net.Addr               { return c.local }
func (c *simConn) RemoteAddr() net.Addr              { return c.remote }
func (c *simConn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(t) }
func (c *simConn) SetWriteDeadline(time.Time) error  { return nil }
func (c *simConn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *simConn) Close() error {
	c.in.finish(net.ErrClosed)
	c.out.finish(io.EOF)
	return nil
}

// A half is one direction of a connection: bytes, and when they arrive.
type half struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and made anew by every change
	chunks   []chunk
	end      error // what is read after the last chunk; nil while it is open
	deadline time.Time
}

type chunk struct {
	at   time.Time
	data []byte
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

func (h *half) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) write(b []byte) (n int, err error) {
	h.change(func() {
		if err = h.end; err == nil {
			n, h.chunks = len(b), append(h.chunks, chunk{time.Now().Add(oneWay), append([]byte(nil), b...)})
		} else if err == io.EOF {
			err = syscall.EPIPE
		}
	})
	return n, err
}

// finish ends the half; a reader who has closed it loses what has arrived.
func (h *half) finish(end error) {
	h.change(func() {
		if h.end == nil || end == net.ErrClosed {
			h.end = end
		}
		if end == net.ErrClosed {
			h.chunks = nil
		}
	})
}

// breakOff loses what is on its way.
func (h *half) breakOff() {
	h.change(func() {
		if h.end == nil {
			h.end = syscall.ECONNRESET
		}
		h.chunks = nil
	})
}

func (h *half) setDeadline(t time.Time) error {
	h.change(func() { h.deadline = t })
	return nil
}

func (h *half) read(b []byte) (int, error) {
	for {
		n, err, until, changed := h.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		var due <-chan time.Time
		var timer *time.Timer
		if !until.IsZero() {
			timer = time.NewTimer(time.Until(until))
			due = timer.C
		}
		select {
		case <-changed:
		case <-due:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// take reads what is there, or says until when and for what to wait.
func (h *half) take(b []byte) (n int, err error, until time.Time, changed chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	until = h.deadline
	switch {
	case !h.deadline.IsZero() && !now.Before(h.deadline):
		return 0, os.ErrDeadlineExceeded, until, nil
	case len(h.chunks) == 0:
		return 0, h.end, until, h.changed
	case now.Before(h.chunks[0].at):
		if until.IsZero() || h.chunks[0].at.Before(until) {
			until = h.chunks[0].at
		}
		return 0, nil, until, h.changed
	}
	n = copy(b, h.chunks[0].data)
	if h.chunks[0].data = h.chunks[0].data[n:]; len(h.chunks[0].data) == 0 {
		h.chunks = h.chunks[1:]
	}
	return n, nil, until, nil
}
