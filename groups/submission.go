package groups

import (
	"crypto/sha256"

	"parley/mls/wire"
)

// A SubmissionID is chosen at random by the device; with the device's name it
// names a submission for ever.
type SubmissionID [16]byte

// A Submission is what a device asks the room's owner to put next.
type Submission struct {
	Room        RoomID
	Kind        EntryKind
	ID          SubmissionID
	Device      DeviceID // who is logged in, or named by the relaying site
	Body        []byte
	Attachments [][]byte // what Body names by hash
}

// A Receipt says that a submission is durable in the log, at this place (I2).
// It is covered by the signed head of the batch it became durable with: that
// head's Seq is at or after it.
//
//	struct {
//	  opaque room<V>; opaque id[16]; uint64 seq; opaque hash[32];
//	  uint64 epoch; uint64 accepted_at;
//	} Receipt;
type Receipt struct {
	Room       RoomID
	ID         SubmissionID
	Seq        Seq
	Hash       Hash // of the entry's header
	Epoch      Epoch
	AcceptedAt uint64
}

// Encode writes the receipt.
func (c *Receipt) Encode(w *wire.Writer) {
	w.String(string(c.Room))
	w.Raw(c.ID[:])
	w.Uint64(uint64(c.Seq))
	w.Raw(c.Hash[:])
	w.Uint64(uint64(c.Epoch))
	w.Uint64(c.AcceptedAt)
}

// Decode reads a receipt.
func (c *Receipt) Decode(r *wire.Reader) {
	c.Room = RoomID(r.OpaqueMax(MaxName))
	copy(c.ID[:], r.Fixed(len(c.ID)))
	c.Seq = Seq(r.Uint64())
	c.Hash = r.Hash()
	c.Epoch = Epoch(r.Uint64())
	c.AcceptedAt = r.Uint64()
}

// AuthenticatedData is what every message, proposal and commit of a room
// carries in MLS's authenticated_data: who submits it, under which id, the last
// head its sender had verified, and the blobs it refers to. A replay is found
// by the id, a hub that shows two histories by the first message that crosses.
//
//	struct {
//	  uint8 version; opaque device<V>; opaque id[16];
//	  uint64 seq; opaque hash[32]; Hash blobs<V>;
//	} ParleyAuthenticatedData;
type AuthenticatedData struct {
	Device DeviceID
	ID     SubmissionID
	Seq    Seq
	Hash   Hash
	Blobs  []Hash
}

// Marshal returns the bytes for MLS's authenticated_data.
func (a *AuthenticatedData) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, 128))
	w.Uint8(EntryVersion)
	w.String(string(a.Device))
	w.Raw(a.ID[:])
	w.Uint64(uint64(a.Seq))
	w.Raw(a.Hash[:])
	w.Vector(func(w *wire.Writer) {
		for _, h := range a.Blobs {
			w.Raw(h[:])
		}
	})
	return w.Bytes()
}

// ParseAuthenticatedData reads MLS's authenticated_data.
func ParseAuthenticatedData(b []byte) (AuthenticatedData, error) {
	var a AuthenticatedData
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != EntryVersion {
		return a, Errorf(Invalid, "authenticated data: unknown version %d", v)
	}
	a.Device = DeviceID(r.OpaqueMax(MaxName))
	copy(a.ID[:], r.Fixed(len(a.ID)))
	a.Seq = Seq(r.Uint64())
	a.Hash = r.Hash()
	r.Vector(func(r *wire.Reader) {
		if len(a.Blobs) >= MaxBlobRefs {
			r.Fail(wire.ErrTooLong)
			return
		}
		a.Blobs = append(a.Blobs, r.Hash())
	})
	if err := r.Done(); err != nil {
		return a, Errorf(Invalid, "authenticated data: %w", err)
	}
	return a, nil
}

// HashOf names an attachment or a blob.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }
