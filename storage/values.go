package storage

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
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
	last, err := lastValueFile(dir)
	if err == nil && last > 0 {
		err = sealBehind(dir, last)
	}
	return errors.Join(err, unlock())
}

// sealBehind puts an empty file behind the last one, unless that is empty itself.
func sealBehind(dir string, last uint64) error {
	size, err := trimZeros(filepath.Join(dir, fmt.Sprintf("%06d%s", last, valueSuffix)))
	if err != nil || size <= valueHeader {
		return err
	}
	header := make([]byte, valueHeader)
	rand.Read(header[8:])
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%06d%s", last+1, valueSuffix)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(header)
	return errors.Join(err, f.Sync(), f.Close(), syncDir(dir))
}

// lastValueFile returns the number of the last file of the value log, zero for
// none. Files without a byte, which a loss of power leaves of one that was just
// made, are removed: Badger does not open with them.
func lastValueFile(dir string) (last uint64, err error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		name, is := strings.CutSuffix(e.Name(), valueSuffix)
		number, err := strconv.ParseUint(name, 10, 32)
		if !is || err != nil {
			continue
		}
		in, err := e.Info()
		if err != nil {
			return 0, err
		}
		if in.Size() > 0 {
			last = max(last, number)
		} else if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// trimZeros takes off the zeros behind the last row of a file, and returns its
// size. Badger makes a file as long as two full ones, and shortens it when it
// closes: after a crash it would stay so for ever.
func trimZeros(path string) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end, buf := in.Size(), make([]byte, 1<<20)
	for end > valueHeader {
		piece := buf[:min(end-valueHeader, int64(len(buf)))]
		if _, err := f.ReadAt(piece, end-int64(len(piece))); err != nil {
			return 0, err
		}
		rest := len(bytes.TrimRight(piece, "\x00"))
		end -= int64(len(piece) - rest)
		if rest > 0 {
			end += crc32.Size // of a checksum the last bytes may be zero
			break
		}
	}
	if end >= in.Size() {
		return in.Size(), nil
	}
	return end, f.Truncate(end)
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
