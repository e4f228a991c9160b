//go:build !unix

package main

import "time"

// ownTime is the time, user and system, that this process has had.
func ownTime() time.Duration { return cpuTime("self") }
