package service

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"
)

// A frame of the log's file is a kind, a length of four octets, and as much. A
// batch is entries and then the signed checkpoint that stands for them, written
// together and synced once.
type frameKind byte

const (
	entryFrame      frameKind = 'e'
	checkpointFrame frameKind = 'c'
)

const frameHeader = 5

// errTorn says that a file ends, or stops making sense, inside a batch.
var errTorn = errors.New("unfinished batch")

// appendFrame writes a frame.
func appendFrame(b []byte, kind frameKind, data []byte) []byte {
	b = append(b, byte(kind))
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// readFrame reads a frame; what it returns is valid until the next call with
// the same buffer. io.EOF is the end of the file, errTorn anything that is no
// frame.
func readFrame(r *bufio.Reader, buffer *[]byte) (frameKind, []byte, error) {
	var head [frameHeader]byte
	switch n, err := io.ReadFull(r, head[:]); {
	case n == 0 && err == io.EOF:
		return 0, nil, io.EOF
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return 0, nil, errTorn
	case err != nil:
		return 0, nil, err
	}
	kind, limit := frameKind(head[0]), uint32(MaxAuditEntry)
	if kind == checkpointFrame {
		limit = maxCheckpoint
	}
	size := binary.BigEndian.Uint32(head[1:])
	if kind != entryFrame && kind != checkpointFrame || size > limit {
		return 0, nil, errTorn
	}
	*buffer = append((*buffer)[:0], make([]byte, size)...)
	if _, err := io.ReadFull(r, *buffer); err == io.EOF || err == io.ErrUnexpectedEOF {
		return 0, nil, errTorn
	} else if err != nil {
		return 0, nil, err
	}
	return kind, *buffer, nil
}

// A scan is what reading a log's file from its start has found.
type scan struct {
	size  int64      // octets of the whole batches
	last  Checkpoint // of the last whole batch
	note  []byte     // signed
	torn  bool       // there is more in the file, which is no whole batch
	count int64      // entries that were passed on, also of a torn batch
}

// scanLog reads whole batches: each entry goes to entry as it comes, and each
// checkpoint must be signed and must agree with root, which is asked for the
// tree of all entries so far. An entry of a last, unfinished batch is passed on
// too, before it is known to be one.
func scanLog(f io.Reader, v note.Verifier, entry func(n int64, data []byte) error, root func(n int64) (Checkpoint, error)) (scan, error) {
	in := bufio.NewReaderSize(f, 1<<16)
	var s scan
	var buffer []byte
	var at int64
	for {
		kind, data, err := readFrame(in, &buffer)
		switch {
		case err == io.EOF:
			s.torn = at != s.size
			return s, nil
		case errors.Is(err, errTorn):
			s.torn = true
			return s, nil
		case err != nil:
			return s, err
		}
		at += int64(frameHeader + len(data))
		if kind == entryFrame {
			if err := entry(s.count, data); err != nil {
				return s, fmt.Errorf("entry %d: %w", s.count, err)
			}
			s.count++
			continue
		}
		if err := s.checkpoint(data, v, root); err != nil {
			return s, fmt.Errorf("after entry %d: %w", s.count-1, err)
		}
		s.size = at
	}
}

// checkpoint takes the end of a batch.
func (s *scan) checkpoint(data []byte, v note.Verifier, root func(n int64) (Checkpoint, error)) error {
	said, err := OpenCheckpoint(data, v)
	if err != nil {
		return err
	}
	is, err := root(s.count)
	if err != nil {
		return err
	}
	if said.Size != is.Size || said.Root != is.Root {
		return fmt.Errorf("its checkpoint of %d entries does not agree with the %d that stand before it: an entry was changed, lost or put in", said.Size, is.Size)
	}
	s.last, s.note = said, append([]byte(nil), data...)
	return nil
}
