package service

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// maxLine bounds a line of a file of JSON lines, in bytes.
const maxLine = 4 << 10

// appendLine adds a value to a file of JSON lines, and is durable when it
// returns. One process does so at a time; a last line that a crash left
// unfinished is cut off first.
func appendLine(path string, v any) error {
	data, err := json.Marshal(v)
	if err == nil && len(data) >= maxLine {
		err = fmt.Errorf("a line of %d bytes: at most %d", len(data), maxLine)
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	defer f.Close()
	unlock, err := lock(f)
	if err != nil {
		return fmt.Errorf("%s is in use by another process: try again: %w", path, err)
	}
	defer unlock()
	whole, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err == nil {
		err = f.Sync() // COMMIT POINT
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// wholeLines returns how many bytes of a file are whole lines.
func wholeLines(r io.Reader) (int64, error) {
	in := bufio.NewReaderSize(r, maxLine)
	var size int64
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		size += int64(len(line))
	}
}

// errShrunk says that an append-only file has lost lines.
var errShrunk = errors.New("the file has become shorter: lines that were read are no longer there")

// A lines follows a file of JSON lines that another process appends to. It is
// safe for many goroutines.
type lines[T any] struct {
	path string
	each func(T) error // called for every line, once, in order, under mu

	mu   sync.Mutex // guards the rest
	size int64      // of the lines that were read
	bad  error      // a line that can not be read: it stays so
}

// refresh reads what was appended since. It is cheap when nothing was: one
// stat. A file that is not there, has become shorter or can not be read is an
// error, also at every later call.
func (l *lines[T]) refresh() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bad != nil {
		return l.bad
	}
	info, err := os.Stat(l.path)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if info.Size() < l.size {
		return fmt.Errorf("read %s: %w", l.path, errShrunk)
	}
	if info.Size() == l.size {
		return nil
	}
	f, err := os.Open(l.path)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(l.size, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", l.path, err)
	}
	return l.read(f)
}

func (l *lines[T]) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF {
			return nil // an unfinished line does not count
		}
		var v T
		if err == nil {
			dec := json.NewDecoder(bytes.NewReader(line))
			dec.DisallowUnknownFields()
			err = dec.Decode(&v)
			if _, more := dec.Token(); err == nil && more != io.EOF {
				err = errors.New("there is more on the line than one object")
			}
		}
		if err == nil {
			err = l.each(v)
		}
		if err != nil {
			l.bad = fmt.Errorf("read %s: byte %d: %w", l.path, l.size, err)
			return l.bad
		}
		l.size += int64(len(line))
	}
}
