package hsm

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// An outage says that a token, or parley-hsm before it, can not be asked now.
type outage struct{ err error }

func (o outage) Error() string     { return "the token is not available: " + o.err.Error() }
func (o outage) Unwrap() error     { return o.err }
func (o outage) Unavailable() bool { return true }

// A Client uses the keys behind a socket, from many goroutines at once: up to
// MaxConns calls are under way, more wait.
type Client struct {
	path string
	keys []Key
	free chan struct{} // MaxConns leaves to make a call; all are taken: wait

	mu   sync.Mutex
	idle []net.Conn // kept open; the last is used first. Guarded by mu
}

// Dial asks parley-hsm at a socket for its keys. The Client outlives a restart
// of parley-hsm, but knows the keys of the first only. The error says, by a
// method Unavailable() bool, if nobody answers.
func Dial(path string) (*Client, error) {
	c := &Client{path: path, free: make(chan struct{}, MaxConns)}
	body, err := c.call(request{op: opList})
	if err != nil {
		return nil, err
	}
	listed, err := parseList(body)
	if err == nil {
		for _, l := range listed {
			k, bad := c.key(l)
			err = errors.Join(err, bad)
			c.keys = append(c.keys, k)
		}
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("list the keys at %s: %w", path, err)
	}
	return c, nil
}

// Keys lists the token's keys; the last of a name is the active one.
func (c *Client) Keys() []Key { return c.keys }

// Close ends all connections; it waits for calls that are under way. The Client
// must not be used after it.
func (c *Client) Close() {
	for range MaxConns {
		c.free <- struct{}{}
	}
	for _, conn := range c.idle {
		conn.Close()
	}
}

// take returns a connection that was kept, nil if there is none.
func (c *Client) take() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.idle)
	if n == 0 {
		return nil
	}
	conn := c.idle[n-1]
	c.idle = c.idle[:n-1]
	return conn
}

// keep puts a connection back, if there is one.
func (c *Client) keep(conn net.Conn) {
	if conn == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, conn)
}

// call makes one request. Connections that were kept may have ended with the
// program behind them, so it is tried once more with a new one: no request
// changes anything.
func (c *Client) call(q request) ([]byte, error) {
	c.free <- struct{}{}
	defer func() { <-c.free }()
	conn := c.take()
	a, conn, err := c.try(conn, q)
	for err != nil {
		if conn = c.take(); conn == nil {
			a, conn, err = c.try(nil, q)
			break
		}
		conn.Close() // as old as the one that has failed
	}
	c.keep(conn)
	switch {
	case err != nil:
		return nil, outage{err}
	case a.outcome == done:
		return a.output, nil
	case a.outcome == refused:
		return nil, ErrRefused
	}
	return nil, outage{errors.New("parley-hsm can not reach it, its own log says why")}
}

// try makes a request on a connection, a new one if there is none. It returns
// the connection to keep, nil after an error.
func (c *Client) try(conn net.Conn, q request) (*answer, net.Conn, error) {
	if conn == nil {
		var err error
		if conn, err = net.DialTimeout("unix", c.path, patience); err != nil {
			return nil, nil, err
		}
		if err := sameUser(conn); err != nil {
			return nil, nil, errors.Join(err, conn.Close())
		}
	}
	a, err := exchange(conn, q)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return a, conn, nil
}

func exchange(conn net.Conn, q request) (*answer, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := writeFrame(conn, q.marshal()); err != nil {
		return nil, err
	}
	body, err := readFrame(conn)
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(body)
	if err != nil {
		return nil, err
	}
	a.output = bytes.Clone(a.output)
	clear(body)
	return a, nil
}

// use asks for an operation with a key.
func (c *Client) use(op uint8, spki [sha256.Size]byte, input []byte) ([]byte, error) {
	if len(input) > maxInput {
		return nil, ErrRefused
	}
	return c.call(request{op: op, key: spki, input: input})
}
