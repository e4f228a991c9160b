package hsm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// sameUser refuses a peer that another user runs. The mode of the socket and of
// its directory say so too; this holds where they were changed by mistake.
func sameUser(conn net.Conn) error {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("not a unix socket")
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("ask who the peer is: %w", err)
	}
	if int(peer.Uid) != os.Getuid() {
		return fmt.Errorf("the peer is user %d, we are %d", peer.Uid, os.Getuid())
	}
	return nil
}
