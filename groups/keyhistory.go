package groups

import (
	"time"

	"parley/mls/suite"
	"parley/mls/wire"
)

// An ExportedRecord is a key record as it leaves a room, with what it takes to
// verify it where nothing else of the room is known.
type ExportedRecord struct {
	Seq              Seq         `json:"seq"`               // of the entry that brought it
	Record           []byte      `json:"record"`            // KeyRecord
	Author           DeviceID    `json:"author"`            // who made it
	AuthorChain      [][]byte    `json:"author_chain"`      // DER, leaf first; empty for a basic credential
	LeafSignatureKey []byte      `json:"author_public_key"` // that signed it
	Suite            CipherSuite `json:"suite"`             // of the room
}

// VerifyKeyHistory checks the records of a room from the first on, offline: each
// follows the one before, none is missing before the last, times and epochs do
// not fall, and each is signed by a key that its author's certificate, good at
// that time by the directory's word, is for. It returns the hash of the last
// record: whether some are missing after it is seen by comparing that with what
// a member has (Ledger.LastRecord). What is wrong is Invalid, or the
// directory's error.
func VerifyKeyHistory(records []ExportedRecord, d Directory) (Hash, error) {
	var last *KeyRecord
	var prev Hash
	var seq Seq
	for i := range records {
		x := &records[i]
		r, err := ParseKeyRecord(x.Record)
		if err == nil {
			err = r.follows(last, prev)
		}
		if err == nil && x.Seq <= seq {
			err = Errorf(Invalid, "entry %d of the log is not after entry %d", x.Seq, seq)
		}
		if err == nil {
			err = r.verifyAuthor(x, d)
		}
		if err != nil {
			return Hash{}, Errorf(KindOf(err), "key record %d of %d: %w", i+1, len(records), err)
		}
		last, prev, seq = r, r.Hash(), x.Seq
	}
	if last == nil {
		return Hash{}, Errorf(Invalid, "a key history without records")
	}
	return prev, nil
}

// follows checks the place of a record after the last one, nil for the first.
func (r *KeyRecord) follows(last *KeyRecord, prev Hash) error {
	switch {
	case r.Prev != prev && last == nil:
		return Errorf(Invalid, "the history does not begin with the room's first record: this one follows %v", r.Prev)
	case r.Prev != prev:
		return Errorf(Invalid, "it follows record %v, the one before is %v: records are missing, changed or in another order", r.Prev, prev)
	case last == nil:
		return nil
	case r.Room != last.Room:
		return Errorf(Invalid, "it is of %s, the one before of %s", r.Room, last.Room)
	case r.Epoch <= last.Epoch:
		return Errorf(Invalid, "epoch %d after epoch %d", r.Epoch, last.Epoch)
	case r.CreatedAt < last.CreatedAt:
		return Errorf(Invalid, "made at %d, the one before at %d", r.CreatedAt, last.CreatedAt)
	}
	return nil
}

// verifyAuthor checks that whom the export names made the record.
func (r *KeyRecord) verifyAuthor(x *ExportedRecord, d Directory) error {
	s, err := suite.Lookup(suite.ID(x.Suite))
	if err != nil {
		return Errorf(Invalid, "%w", err)
	}
	cred := wire.BasicCredential([]byte(x.Author))
	if len(x.AuthorChain) > 0 {
		cred = wire.X509Credential(x.AuthorChain...)
	}
	if err := r.Verify(s, &wire.LeafNode{SignatureKey: x.LeafSignatureKey, Credential: cred}); err != nil {
		return err
	}
	author, err := d.Device(cred, x.LeafSignatureKey, time.UnixMilli(int64(r.CreatedAt)))
	if err != nil {
		return err
	}
	if author != x.Author {
		return Errorf(Invalid, "made by %s, not by %s", author, x.Author)
	}
	return nil
}
