package main

import (
	"net"
	"sync"
)

// maxConnections bounds the connections served at a time; more wait in the
// kernel's queue until one ends, which timeouts see to.
const maxConnections = 512

// A boundedListener accepts at most as many connections as slots holds.
type boundedListener struct {
	net.Listener
	slots chan struct{} // a token for each open connection
	done  chan struct{} // closed by Close
	once  sync.Once
}

func bounded(l net.Listener, n int) net.Listener {
	return &boundedListener{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a free slot, then for a connection.
func (b *boundedListener) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.done:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &boundedConn{Conn: c, free: func() { <-b.slots }}, nil
}

// Close also ends an Accept that waits for a slot.
func (b *boundedListener) Close() error {
	b.once.Do(func() { close(b.done) })
	return b.Listener.Close()
}

// A boundedConn gives its slot back once, when it is closed.
type boundedConn struct {
	net.Conn
	free func()
	once sync.Once
}

// Close closes the connection and frees its slot.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.free)
	return err
}
