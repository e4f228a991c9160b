package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// A blobRecord says how much of an uploaded blob is here.
type blobRecord struct {
	size    uint64
	have    uint64
	touched uint64 // ms since 1970: when the last chunk came
}

func (b blobRecord) complete() bool { return b.have == b.size }

func (b blobRecord) encode() []byte {
	v := uint64Value(b.size)
	v = binary.BigEndian.AppendUint64(v, b.have)
	return binary.BigEndian.AppendUint64(v, b.touched)
}

func decodeBlobRecord(v []byte) (blobRecord, error) {
	f := fields{b: v}
	b := blobRecord{size: f.uint64(), have: f.uint64(), touched: f.uint64()}
	if b.have > b.size || b.size > groups.MaxBlob {
		f.bad = true
	}
	return b, f.done()
}

// blobRecord returns the record of an upload, nil if there is none.
func (s *Store) blobRecord(h groups.Hash) (*blobRecord, error) {
	v, err := s.lookup(hashKey(rowBlob, h))
	if v == nil || err != nil {
		return nil, err
	}
	b, err := decodeBlobRecord(v)
	return &b, readError(err)
}

// StatBlob returns how much of a blob is here, of how much, and whether it can
// be read. NotFound says that nothing of it is here.
func (s *Store) StatBlob(h groups.Hash) (have, size uint64, complete bool, err error) {
	b, err := s.blobRecord(h)
	if err != nil {
		return 0, 0, false, err
	}
	if b != nil {
		return b.have, b.size, b.complete(), nil
	}
	if size, err = s.heldSize(h); err != nil {
		return 0, 0, false, err
	}
	return size, size, true, nil
}

// heldSize returns the size of held bytes.
func (s *Store) heldSize(h groups.Hash) (uint64, error) {
	v, err := s.lookup(hashKey(rowHeld, h))
	if err != nil {
		return 0, err
	}
	if v == nil {
		return 0, groups.Errorf(groups.NotFound, "no blob %s here", h)
	}
	f := fields{b: v}
	size := f.uint64()
	return size, readError(f.done())
}

// maxBlobRead bounds what one ReadBlob returns.
const maxBlobRead = 16 * groups.BlobChunk

// ReadBlob returns up to n bytes of a complete blob from offset, at most 1 MiB,
// and its size. It reads what devices uploaded and what the log refers to
// (public trees). An offset at or after the end returns nothing.
func (s *Store) ReadBlob(h groups.Hash, offset uint64, n int) (chunk []byte, size uint64, err error) {
	kind, per := byte(rowBlobChunk), uint64(groups.BlobChunk)
	b, err := s.blobRecord(h)
	switch {
	case err != nil:
		return nil, 0, err
	case b == nil:
		kind, per = rowHeldChunk, heldChunk
		if size, err = s.heldSize(h); err != nil {
			return nil, 0, err
		}
	case !b.complete():
		return nil, 0, groups.Errorf(groups.NotFound, "blob %s is not complete: %d of %d bytes", h, b.have, b.size)
	default:
		size = b.size
	}
	if offset >= size || n <= 0 {
		return nil, size, nil
	}
	n = int(min(uint64(min(n, maxBlobRead)), size-offset))
	chunk = make([]byte, 0, n)
	err = s.db.View(func(txn *badger.Txn) error {
		at := offset / per * per
		return scan(txn, hashKey(kind, h), chunkKey(kind, h, uint32(at/per)), func(_, v []byte) (bool, error) {
			if uint64(len(v)) != min(per, size-at) {
				return false, errCorrupt // unreadable, or one before it is missing
			}
			v = v[max(offset, at)-at:]
			chunk = append(chunk, v[:min(len(v), n-len(chunk))]...)
			at += per
			return len(chunk) < n, nil
		})
	})
	if err == nil && len(chunk) < n {
		err = errCorrupt
	}
	return chunk, size, readError(err)
}

// An uploads remembers the hashes of blobs on their way, so that their bytes
// are not read again at the end. It is a help, not a truth: what it does not
// know is computed from the rows.
type uploads struct {
	mu sync.Mutex
	by map[groups.Hash]*upload
}

type upload struct {
	have uint64
	sum  hash.Hash
}

// maxUploads bounds the uploads that are remembered; one more takes the place
// of any other.
const maxUploads = 1 << 8

// note adds a chunk that became durable at offset to what is remembered.
func (u *uploads) note(h groups.Hash, offset uint64, chunk []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil {
		u.by = make(map[groups.Hash]*upload)
	}
	up := u.by[h]
	if up == nil && offset == 0 {
		if len(u.by) == maxUploads {
			for other := range u.by {
				delete(u.by, other)
				break
			}
		}
		up = &upload{sum: sha256.New()}
		u.by[h] = up
	}
	if up == nil || up.have != offset {
		return
	}
	up.sum.Write(chunk)
	up.have += uint64(len(chunk))
}

// at returns the hash state of the first offset bytes, nil if it is not known.
// The caller may write to it: the blob is complete or dropped afterwards.
func (u *uploads) at(h groups.Hash, offset uint64) hash.Hash {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up := u.by[h]; up != nil && up.have == offset {
		delete(u.by, h)
		return up.sum
	}
	return nil
}

func (u *uploads) forget(h groups.Hash) {
	u.mu.Lock()
	delete(u.by, h)
	u.mu.Unlock()
}
