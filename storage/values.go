package storage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"parley/groups"
)

// Badger's value log is files of one row after the other, each with a checksum.
// Badger writes a row there, syncs, and then lets the tree point to it.

const (
	valueSuffix = ".vlog"
	// valueHeader is what a file of the value log begins with: the number of an
	// encryption key, zero for none, and a nonce.
	valueHeader = 8 + 12
)

// sealValues makes an empty file the value log's last one, before Badger opens
// it. Badger goes through the last file, and cuts off what follows the first row
// with a wrong checksum: after one flipped bit, everything that was written
// since. It leaves all others as they are, so a flipped bit costs the row that it
// is in, which the log's chain of hashes finds. What a crash has left half written
// stays as well: nothing points to it.
func sealValues(dir string) error {
	unlock, err := lockDir(dir)
	if err != nil || unlock == nil {
		return err
	}
	last, size, err := lastValueFile(dir)
	if err == nil && size > valueHeader {
		header := make([]byte, valueHeader)
		rand.Read(header[8:])
		err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d%s", last+1, valueSuffix)), header, 0o600)
	}
	return errors.Join(err, unlock())
}

// lastValueFile returns the number and the size of the last file of the value
// log, zero for none.
func lastValueFile(dir string) (last uint64, size int64, err error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range list {
		name, is := strings.CutSuffix(e.Name(), valueSuffix)
		number, err := strconv.ParseUint(name, 10, 32)
		if !is || err != nil || number <= last {
			continue
		}
		in, err := e.Info()
		if err != nil {
			return 0, 0, err
		}
		last, size = number, in.Size()
	}
	return last, size, nil
}

// lockDir makes sure that no process has Badger's directory open; nothing is
// locked if it is not there yet. Badger takes the same lock.
func lockDir(dir string) (unlock func() error, err error) {
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errInUse()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

func errInUse() *groups.Error {
	return groups.Errorf(groups.Conflict, "another process uses this directory: stop it, or give this node a directory of its own")
}
