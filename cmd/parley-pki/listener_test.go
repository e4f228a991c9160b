package main

import (
	"errors"
	"net"
	"testing"
)

// TestBoundedListener: "more wait until one ends".
func TestBoundedListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := bounded(inner, 1)
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	var dialled []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		dialled = append(dialled, c)
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("a second connection is served beside the first")
	default:
	}
	first.Close()
	first.Close() // gives its slot back once
	second := <-accepted
	if got := len(l.(*boundedListener).slots); got > 1 {
		t.Errorf("%d slots in use, want 1", got)
	}
	l.Close() // while Accept waits for a slot
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept ends with %v", err)
	}
	second.Close()
	for _, c := range dialled {
		c.Close()
	}
}
