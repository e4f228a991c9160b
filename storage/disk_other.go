//go:build !linux

package storage

import (
	"math"
	"os"
)

// datasync makes a file durable.
func datasync(f *os.File) error { return f.Sync() }

// reserve makes a file as long as asked; not every system gives it its blocks.
func reserve(f *os.File, size int64) error { return f.Truncate(size) }

// freeSpace is not known here: the low-water mark works on Linux only.
func freeSpace(string) (free, total uint64, err error) {
	return math.MaxUint64, math.MaxUint64, nil
}
