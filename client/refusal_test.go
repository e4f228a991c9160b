package client

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"connectrpc.com/connect"

	"parley/groups"
)

// Who was told that nobody answers was told how Go had found out, and the address twice.
func TestUnreachableSaysWhyInFewWords(t *testing.T) {
	op := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	none := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "chat.alpha.example"}}
	for want, err := range map[string]error{
		"a1:1 is not reachable: connection refused":                      connect.NewError(connect.CodeUnavailable, op),
		"a1:1 is not reachable: lookup chat.alpha.example: no such host": none,
		"a1:1 is not reachable: gone":                                    connect.NewError(connect.CodeUnavailable, errors.New("gone")),
	} {
		have := remoteError("a1:1", err)
		if textOf(have) != want || kindOf(have) != groups.Unavailable {
			t.Errorf("%q of kind %s, want %q", textOf(have), kindOf(have), want)
		}
		if !errors.Is(have, err) {
			t.Errorf("%v is no longer what was wrong", err)
		}
	}
}
