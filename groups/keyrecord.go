package groups

import (
	"crypto/sha256"
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// KeyRecordVersion is the version of KeyRecord this package writes and reads.
const KeyRecordVersion = 1

// A KeyReason says why a key was made.
type KeyReason uint8

// The reasons.
const (
	KeyCreated             KeyReason = iota + 1 // with the room
	KeyJoined                                   // a device was added
	KeyLeft                                     // a device left by itself
	KeyRemoved                                  // a device was removed
	KeyRotatedByUser                            // somebody asked for a new key
	KeyRotatedByPolicy                          // the last one ended, or the policy changed
	KeyCertificateReplaced                      // a CoI has another certificate
	KeyRejoined                                 // a device came back with new keys
)

var keyReasonNames = [...]string{
	"", "created", "joined", "left", "removed", "rotated_by_user",
	"rotated_by_policy", "certificate_replaced", "rejoined",
}

// String returns the reason's name.
func (k KeyReason) String() string {
	if int(k) < len(keyReasonNames) && k != 0 {
		return keyReasonNames[k]
	}
	return fmt.Sprintf("reason(%d)", uint8(k))
}

// A KeyRecord says who made the room key of an epoch, when, why and for whom,
// and carries the key, wrapped to the Communities of Interest that the room's
// policy names. The records of a room are a hash chain: its key history.
//
//	struct {
//	  uint8 version;
//	  opaque room<V>; uint64 epoch;
//	  opaque group_context_hash[32];
//	  opaque key_id[32];
//	  uint32 author_leaf; opaque author_cert_hash[32];
//	  uint64 created_at; uint64 not_after;
//	  KeyReason reason;
//	  CoIRecipient recipients<V>;
//	  opaque envelope<V>;
//	  opaque prev_record[32];
//	  opaque signature<V>;         // over all of the above
//	} KeyRecord;
type KeyRecord struct {
	Room        RoomID
	Epoch       Epoch
	ContextHash Hash // SHA-256 of the epoch's GroupContext
	KeyID       Hash // commitment to the room key: KeyID
	AuthorLeaf  uint32
	AuthorCert  Hash   // SHA-256 of the author's certificate, or basic identity
	CreatedAt   uint64 // author's clock, ms since 1970
	NotAfter    uint64 // when the key ends, ms since 1970; 0: never
	Reason      KeyReason
	Recipients  []CoIRecipient // in the order of the policy
	Envelope    []byte         // the room key for every recipient, at most MaxEnvelope
	Prev        Hash           // of the room's record before this one, zero for the first
	Signature   []byte
}

// A CoIRecipient is a community that a key was wrapped to, under which
// certificate, and what was known of that certificate then.
//
//	struct {
//	  opaque name<V>; opaque certificate[32]; opaque serial<V>;
//	  opaque status[32]; uint64 status_at;
//	} CoIRecipient;
type CoIRecipient struct {
	Name        CoIID
	Certificate Hash // SHA-256 of its DER
	Serial      []byte
	Status      Hash   // SHA-256 of the OCSP response, zero if there was none
	StatusAt    uint64 // when that status was good, ms since 1970
}

// encodeSigned writes all but the signature.
func (r *KeyRecord) encodeSigned(w *wire.Writer) {
	w.Uint8(KeyRecordVersion)
	w.String(string(r.Room))
	w.Uint64(uint64(r.Epoch))
	w.Raw(r.ContextHash[:])
	w.Raw(r.KeyID[:])
	w.Uint32(r.AuthorLeaf)
	w.Raw(r.AuthorCert[:])
	w.Uint64(r.CreatedAt)
	w.Uint64(r.NotAfter)
	w.Uint8(uint8(r.Reason))
	encodeRecipients(w, r.Recipients)
	w.Opaque(r.Envelope)
	w.Raw(r.Prev[:])
}

// Marshal returns the encoded record.
func (r *KeyRecord) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, 512+len(r.Envelope)))
	r.encodeSigned(w)
	w.Opaque(r.Signature)
	return w.Bytes()
}

// Hash names the record in the next one: SHA-256 of all of it.
func (r *KeyRecord) Hash() Hash { return sha256.Sum256(r.Marshal()) }

// ParseKeyRecord reads one record and nothing after it. What it returns aliases
// b. No signature is verified.
func ParseKeyRecord(b []byte) (*KeyRecord, error) {
	if len(b) > MaxKeyRecord {
		return nil, Errorf(TooLarge, "key record of %d bytes: at most %d", len(b), MaxKeyRecord)
	}
	r := wire.NewReader(b)
	k := new(KeyRecord)
	if v := r.Uint8(); r.Err() == nil && v != KeyRecordVersion {
		r.Fail(fmt.Errorf("%w: key record version %d", wire.ErrMalformed, v))
	}
	k.Room = RoomID(r.OpaqueMax(MaxName))
	k.Epoch = Epoch(r.Uint64())
	k.ContextHash = r.Hash()
	k.KeyID = r.Hash()
	k.AuthorLeaf = r.Uint32()
	k.AuthorCert = r.Hash()
	k.CreatedAt = r.Uint64()
	k.NotAfter = r.Uint64()
	k.Reason = KeyReason(r.Uint8())
	if r.Err() == nil && (k.Reason < KeyCreated || k.Reason > KeyRejoined) {
		r.Fail(fmt.Errorf("%w: key %v", wire.ErrMalformed, k.Reason))
	}
	k.Recipients = decodeRecipients(r)
	k.Envelope = r.OpaqueMax(MaxEnvelope)
	k.Prev = r.Hash()
	k.Signature = r.OpaqueMax(maxSignature)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "key record: %w", err)
	}
	return k, nil
}

func encodeRecipients(w *wire.Writer, list []CoIRecipient) {
	w.Vector(func(w *wire.Writer) {
		for i := range list {
			c := &list[i]
			w.String(string(c.Name))
			w.Raw(c.Certificate[:])
			w.Opaque(c.Serial)
			w.Raw(c.Status[:])
			w.Uint64(c.StatusAt)
		}
	})
}

func decodeRecipients(r *wire.Reader) []CoIRecipient {
	var list []CoIRecipient
	r.Vector(func(r *wire.Reader) {
		if len(list) >= MaxCoIs {
			r.Fail(wire.ErrTooLong)
			return
		}
		list = append(list, CoIRecipient{
			Name: CoIID(r.OpaqueMax(MaxName)), Certificate: r.Hash(),
			Serial: r.OpaqueMax(MaxSerial), Status: r.Hash(), StatusAt: r.Uint64(),
		})
	})
	return list
}

// ContextHash is what a record names its epoch's GroupContext by.
func ContextHash(c *wire.GroupContext) Hash { return sha256.Sum256(wire.Marshal(c)) }

// KeyID returns the commitment to a room key that a record names it by. It
// tells nothing of the key, and is the same that mls.RoomKey computes:
//
//	key_id = ExpandWithLabel(sender_data_secret || encryption_secret,
//	                         "parley key id", group_context_hash, 32)
func KeyID(s *suite.Suite, k RoomKey, context Hash) Hash {
	secret := make([]byte, 0, len(k.SenderDataSecret)+len(k.EncryptionSecret))
	secret = append(append(secret, k.SenderDataSecret...), k.EncryptionSecret...)
	id := Hash(s.ExpandWithLabel(secret, "parley key id", context[:], sha256.Size))
	clear(secret)
	return id
}
