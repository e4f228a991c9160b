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

// A CommitBundle is the body of a commit entry. The Welcome and the GroupInfo
// of the new epoch (without tree) travel beside it, bound by hash, so that a
// member that needs neither does not download them.
//
//	struct {
//	  opaque commit<V>;                    // MLSMessage, PublicMessage
//	  optional<Hash> welcome;              // SHA-256 of the MLSMessage
//	  Hash group_info;                     // SHA-256 of the MLSMessage
//	} CommitBundle;
type CommitBundle struct {
	Commit    []byte
	Welcome   *Hash
	GroupInfo Hash
}

// Marshal returns the body.
func (c *CommitBundle) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, len(c.Commit)+80))
	w.Opaque(c.Commit)
	w.Bool(c.Welcome != nil)
	if c.Welcome != nil {
		w.Raw(c.Welcome[:])
	}
	w.Raw(c.GroupInfo[:])
	return w.Bytes()
}

// ParseCommitBundle reads the body of a commit entry.
func ParseCommitBundle(b []byte) (*CommitBundle, error) {
	r := wire.NewReader(b)
	c := &CommitBundle{Commit: r.OpaqueMax(MaxBody)}
	if r.Bool() {
		h := Hash(r.Hash())
		c.Welcome = &h
	}
	c.GroupInfo = r.Hash()
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "commit bundle: %w", err)
	}
	return c, nil
}

// HashOf names an attachment or a blob.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// A Genesis is the body of a create entry: the creator's signed GroupInfo of
// epoch 0, with the ratchet_tree extension of its single leaf and the room's
// policy in the GroupContext. The room's URI is the group id.
//
//	struct { opaque group_info<V>; AuthenticatedData stamp<V>; } Genesis;
type Genesis struct {
	GroupInfo []byte // MLSMessage
	Stamp     AuthenticatedData
}

// Marshal returns the body.
func (g *Genesis) Marshal() []byte {
	w := wire.NewWriter(nil)
	w.Opaque(g.GroupInfo)
	w.Opaque(g.Stamp.Marshal())
	return w.Bytes()
}

// ParseGenesis reads the body of a create entry.
func ParseGenesis(b []byte) (*Genesis, error) {
	r := wire.NewReader(b)
	g := &Genesis{GroupInfo: r.OpaqueMax(MaxBody)}
	stamp := r.OpaqueMax(MaxBody)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "genesis: %w", err)
	}
	var err error
	g.Stamp, err = ParseAuthenticatedData(stamp)
	return g, err
}
