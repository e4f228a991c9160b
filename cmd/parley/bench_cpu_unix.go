//go:build unix

package main

import (
	"syscall"
	"time"
)

// ownTime is the time, user and system, that this process has had, finer than
// cpuTime tells it.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return cpuTime("self")
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
