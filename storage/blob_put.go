package storage

import (
	"crypto/sha256"
	"time"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

const (
	// partialLife is how long an upload that nobody continues is kept.
	partialLife = 24 * time.Hour
	// maxPartials bounds the uploads that are not complete; beyond, new ones
	// are refused with Busy.
	maxPartials = 1 << 12
)

// PutBlob stores the chunk of a blob at offset and returns how much of it is
// here and whether it is complete. Chunks are groups.BlobChunk bytes, the last
// one what remains, and come in order: one that is here already is passed
// over, one further on is a Conflict, and have says where to go on. Several may
// upload the same blob at a time.
//
// The blob can be read once its bytes have been compared with its name. If they
// differ the upload is dropped, with Invalid: somebody sent other bytes.
func (s *Store) PutBlob(h groups.Hash, size, offset uint64, chunk []byte) (have uint64, complete bool, err error) {
	unlock := s.blobs.lock(h[:])
	defer unlock()
	b, err := s.blobRecord(h)
	if err != nil {
		return 0, false, err
	}
	fresh := b == nil
	if fresh {
		b = &blobRecord{size: size}
	}
	switch {
	case size == 0 || size > groups.MaxBlob:
		return 0, false, groups.Errorf(groups.TooLarge, "blob of %d bytes: at least one, at most %d", size, groups.MaxBlob)
	case size != b.size:
		return b.have, b.complete(), groups.Errorf(groups.Invalid, "blob %s of %d bytes was begun with %d", h, size, b.size)
	case offset%groups.BlobChunk != 0 || offset >= size || uint64(len(chunk)) != min(groups.BlobChunk, size-offset):
		return b.have, b.complete(), groups.Errorf(groups.Invalid,
			"%d bytes at %d: chunks have %d bytes, the last one what remains", len(chunk), offset, groups.BlobChunk)
	case offset < b.have:
		return b.have, b.complete(), nil
	case offset > b.have:
		return b.have, false, groups.Errorf(groups.Conflict, "blob %s is here up to byte %d, not %d", h, b.have, offset)
	}
	if fresh {
		if err := s.mayBegin(); err != nil {
			return 0, false, err
		}
	}
	return s.putChunk(h, *b, chunk)
}

// putChunk appends a chunk that fits. The caller holds the blob's lock.
func (s *Store) putChunk(h groups.Hash, b blobRecord, chunk []byte) (have uint64, complete bool, err error) {
	offset := b.have
	b.have += uint64(len(chunk))
	b.touched = uint64(s.cfg.Now().UnixMilli())
	rows := []row{
		{key: chunkKey(rowBlobChunk, h, uint32(offset/groups.BlobChunk)), value: chunk},
		{key: hashKey(rowBlob, h), value: b.encode()},
		{key: hashKey(rowPartial, h), value: []byte{}, gone: b.complete()},
	}
	if b.complete() {
		sum, err := s.sumBlob(h, offset, chunk)
		if err != nil {
			return offset, false, err
		}
		if sum != h {
			s.uploads.forget(h)
			if err := s.dropBlob(h, b.size); err != nil {
				return 0, false, err
			}
			return 0, false, groups.Errorf(groups.Invalid, "the bytes sent as blob %s are not it: send it again", h)
		}
	}
	if err := s.write(rows); err != nil {
		return offset, false, err
	}
	if b.complete() {
		s.uploads.forget(h)
	} else {
		s.uploads.note(h, offset, chunk)
	}
	return b.have, b.complete(), nil
}

// mayBegin refuses a new upload when too many are not complete.
func (s *Store) mayBegin() error {
	n := 0
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, []byte{rowPartial}, nil, func(_, _ []byte) (bool, error) {
			n++
			return n < maxPartials, nil
		})
	})
	if err == nil && n >= maxPartials {
		return groups.Errorf(groups.Busy, "%d uploads are not complete: try later", n)
	}
	return readError(err)
}

// sumBlob returns the SHA-256 of what is here up to offset and the last chunk.
func (s *Store) sumBlob(h groups.Hash, offset uint64, chunk []byte) (sum groups.Hash, err error) {
	state := s.uploads.at(h, offset)
	if state == nil {
		state = sha256.New()
		read := uint64(0)
		err = s.db.View(func(txn *badger.Txn) error {
			return scan(txn, hashKey(rowBlobChunk, h), nil, func(_, v []byte) (bool, error) {
				if read == offset {
					return false, nil
				}
				if len(v) != groups.BlobChunk {
					return false, errCorrupt
				}
				state.Write(v)
				read += groups.BlobChunk
				return true, nil
			})
		})
		if err == nil && read < offset {
			err = errCorrupt
		}
		if err != nil {
			return sum, readError(err)
		}
	}
	state.Write(chunk)
	state.Sum(sum[:0])
	return sum, nil
}

// dropBlob removes an upload: its record first, so that it is not there while
// its chunks go.
func (s *Store) dropBlob(h groups.Hash, size uint64) error {
	rows := []row{{key: hashKey(rowBlob, h), gone: true}, {key: hashKey(rowPartial, h), gone: true}}
	for i := uint64(0); i*groups.BlobChunk < size; i++ {
		rows = append(rows, row{key: chunkKey(rowBlobChunk, h, uint32(i)), gone: true})
	}
	return s.writeRows(rows)
}

// expirePartials drops uploads that nobody continued for partialLife.
func (s *Store) expirePartials() error {
	var old []groups.Hash
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, []byte{rowPartial}, nil, func(key, _ []byte) (bool, error) {
			old = append(old, groups.Hash(key[1:]))
			return true, nil
		})
	})
	if err != nil {
		return err
	}
	end := s.cfg.Now().Add(-partialLife).UnixMilli()
	for _, h := range old {
		if err := s.expirePartial(h, end); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) expirePartial(h groups.Hash, end int64) error {
	unlock := s.blobs.lock(h[:])
	defer unlock()
	b, err := s.blobRecord(h)
	if err != nil || b == nil || b.complete() || int64(b.touched) > end {
		return err
	}
	s.uploads.forget(h)
	return s.dropBlob(h, b.size)
}
