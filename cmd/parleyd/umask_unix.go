//go:build unix

package main

import "syscall"

// privateFiles keeps what the node writes from other users of the machine,
// also the files that Badger makes readable.
func privateFiles() { syscall.Umask(0o077) }
