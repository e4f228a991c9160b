package storage

import (
	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// Held bytes are what entries refer to and the log must be able to produce:
// Welcomes, GroupInfos, public trees. They are named by their hash and kept
// apart from what devices upload, so that nobody can touch them by uploading.

// heldChunk is the size of a row of held bytes: less than bulk, because most of
// them are deleted one day.
const heldChunk = 3 << 10

// maxHeldWrite bounds the rows of held bytes in one transaction.
const maxHeldWrite = 2 << 20

// heldRows appends the rows of held bytes: their size, then the chunks.
func heldRows(rows []row, h groups.Hash, b []byte) []row {
	rows = append(rows, row{key: hashKey(rowHeld, h), value: uint64Value(uint64(len(b)))})
	for i := 0; i*heldChunk < len(b); i++ {
		rows = append(rows, row{
			key:   chunkKey(rowHeldChunk, h, uint32(i)),
			value: b[i*heldChunk : min(len(b), (i+1)*heldChunk)],
		})
	}
	return rows
}

// writeHeld makes large held bytes durable, in several transactions, the size
// last: until then they are not there.
func (s *Store) writeHeld(h groups.Hash, b []byte) error {
	if len(b) > groups.MaxBlob {
		return groups.Errorf(groups.TooLarge, "%d bytes are more than a blob may have", len(b))
	}
	rows := heldRows(nil, h, b)
	size, chunks := rows[0], rows[1:]
	for per := maxHeldWrite / heldChunk; len(chunks) > 0; {
		n := min(per, len(chunks))
		if err := s.writeRows(chunks[:n]); err != nil {
			return err
		}
		chunks = chunks[n:]
	}
	return s.writeRows([]row{size})
}

// dropHeld removes held bytes, their size first: from then on they are not
// there, and a crash leaves chunks that nothing refers to.
func (s *Store) dropHeld(h groups.Hash, size int) error {
	return s.writeRows(goneRows(nil, h, size))
}

// goneRows appends the deletion of held bytes.
func goneRows(rows []row, h groups.Hash, size int) []row {
	rows = append(rows, row{key: hashKey(rowHeld, h), gone: true})
	for i := 0; i*heldChunk < size; i++ {
		rows = append(rows, row{key: chunkKey(rowHeldChunk, h, uint32(i)), gone: true})
	}
	return rows
}

// held returns held bytes, NotFound if there are none of that name. They are
// compared with their name: what rots on the disk does not leave the node (I5).
func (s *Store) held(h groups.Hash) (b []byte, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		b, err = readHeld(txn, h)
		return err
	})
	if err != nil {
		return nil, readError(err)
	}
	if b == nil {
		return nil, groups.Errorf(groups.NotFound, "nothing is held as %s", h)
	}
	if groups.HashOf(b) != h {
		return nil, groups.Errorf(groups.Internal, "what is held as %s is damaged", h)
	}
	return b, nil
}

func readHeld(txn *badger.Txn, h groups.Hash) ([]byte, error) {
	v, err := get(txn, hashKey(rowHeld, h))
	if v == nil || err != nil {
		return nil, err
	}
	f := fields{b: v}
	size := f.uint64()
	if f.done() != nil || size > groups.MaxBlob {
		return nil, errCorrupt
	}
	b := make([]byte, 0, size)
	err = scan(txn, hashKey(rowHeldChunk, h), nil, func(_, v []byte) (bool, error) {
		b = append(b, v...)
		return uint64(len(b)) < size, nil
	})
	return b, err
}
