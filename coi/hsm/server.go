package hsm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// MaxConns is how many connections a Server serves at a time, each with a
	// session of the token's; another one is closed at once.
	MaxConns = 8
	// patience is how long either end waits for the other to take or give the rest
	// of a frame, and a Client for an answer.
	patience = 20 * time.Second
)

// ErrRefused is a token's answer to what it can not do with an input. Which of
// several reasons it has is not told.
var ErrRefused = errors.New("the token does not do this with that input")

// A Token keeps keys. It may be asked by many goroutines at once.
type Token interface {
	// Keys lists what it offers, at most MaxKeys; the last of a name is the
	// active one.
	Keys() []Listed
	// Open opens a session. It fails if the token is away.
	Open() (Session, error)
}

// A Session uses the keys of a token, for one goroutine. An error that is not
// ErrRefused says that the token can not be asked; the session is closed then.
type Session interface {
	// Agree returns the x-coordinate that an EC key and a point on its curve
	// (SEC 1, uncompressed) give, in the length of the curve's field.
	Agree(key [sha256.Size]byte, point []byte) ([]byte, error)
	// Decrypt opens RSAES-OAEP with SHA-256 throughout and no label.
	Decrypt(key [sha256.Size]byte, ciphertext []byte) ([]byte, error)
	Close()
}

// Listen makes the socket, for its user alone. One that is left over from a
// program that has ended is replaced; it fails if one still answers there.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("listen at %s: another program serves there", path), conn.Close())
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace the old socket: %w", err)
		}
	}
	restore := maskFiles()
	l, err := net.Listen("unix", path)
	restore()
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen at %s: %w", path, err), l.Close())
	}
	return l, nil
}

// A Server answers for a token.
type Server struct {
	Token Token
	Log   func(error) // what went wrong, for people; never nil
}

// Serve answers on a listener until the context ends, then closes it and waits
// for all connections to end. It returns nil then, and an error if the listener
// fails before.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	free := make(chan struct{}, MaxConns)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		select {
		case free <- struct{}{}:
			running.Go(func() {
				s.serve(ctx, conn)
				<-free
			})
		default:
			s.Log(fmt.Errorf("more than %d connections: one is closed", MaxConns))
			conn.Close()
		}
	}
}

// serve answers one connection to its end.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	if err := sameUser(conn); err != nil {
		s.Log(fmt.Errorf("refuse a connection: %w", err))
		return
	}
	c := &serving{token: s.Token, log: s.Log}
	defer c.close()
	for {
		body, err := readFrame(conn) // for as long as the service is idle
		if err != nil {
			return
		}
		q, err := parseRequest(body)
		if err != nil {
			s.Log(fmt.Errorf("read a request: %w", err))
			return
		}
		a := c.do(q)
		err = conn.SetWriteDeadline(time.Now().Add(patience))
		if err == nil {
			err = writeFrame(conn, a.marshal())
		}
		clear(a.output)
		if err != nil {
			return
		}
	}
}

// A serving is one connection's use of the token.
type serving struct {
	token   Token
	session Session // nil until it is needed, and after it has failed
	log     func(error)
}

// do carries out a request.
func (c *serving) do(q *request) answer {
	if q.op == opList {
		return answer{outcome: done, output: marshalList(c.token.Keys())}
	}
	if q.op != opAgree && q.op != opDecrypt {
		return answer{outcome: refused}
	}
	var err error
	if c.session == nil {
		if c.session, err = c.token.Open(); err != nil {
			c.session = nil
			c.log(fmt.Errorf("open a session: %w", err))
			return answer{outcome: unavailable}
		}
	}
	use := c.session.Agree
	if q.op == opDecrypt {
		use = c.session.Decrypt
	}
	output, err := use(q.key, q.input)
	switch {
	case err == nil:
		return answer{outcome: done, output: output}
	case errors.Is(err, ErrRefused):
		return answer{outcome: refused}
	}
	c.log(fmt.Errorf("use the token: %w", err))
	c.close()
	return answer{outcome: unavailable}
}

func (c *serving) close() {
	if c.session != nil {
		c.session.Close()
		c.session = nil
	}
}
