//go:build unix

package hsm

import "syscall"

// maskFiles lets what is made be for its user alone, until restore: a socket is
// there before its mode can be changed.
func maskFiles() (restore func()) {
	old := syscall.Umask(0o177)
	return func() { syscall.Umask(old) }
}
