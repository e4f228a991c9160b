package groups

import (
	"bytes"
	"crypto/sha256"

	"parley/mls/suite"
	"parley/mls/wire"
)

// keyRecordLabel is what a leaf key signs a record under.
const keyRecordLabel = "ParleyKeyRecord"

// signed returns all but the signature.
func (r *KeyRecord) signed() []byte {
	w := wire.NewWriter(make([]byte, 0, 512+len(r.Envelope)))
	r.encodeSigned(w)
	return w.Bytes()
}

// Sign signs the record with its author's leaf key: SignWithLabel with the
// label "ParleyKeyRecord" (RFC 9420, Section 5.1.2).
func (r *KeyRecord) Sign(key *suite.SignaturePrivateKey) error {
	signature, err := key.Sign(keyRecordLabel, r.signed())
	if err != nil {
		return Errorf(Internal, "sign key record: %w", err)
	}
	r.Signature = signature
	return nil
}

// Verify checks that the author's leaf signed the record and that the record
// names its certificate. Where the leaf stands in the tree, and that its
// certificate was good, is the caller's to check. What is wrong is Invalid.
func (r *KeyRecord) Verify(s *suite.Suite, leaf *wire.LeafNode) error {
	if r.AuthorCert != CredentialHash(&leaf.Credential) {
		return Errorf(Invalid, "key record of epoch %d of %s names another certificate than its author's leaf", r.Epoch, r.Room)
	}
	return r.verifyKey(s, leaf.SignatureKey)
}

func (r *KeyRecord) verifyKey(s *suite.Suite, public []byte) error {
	if err := s.Verify(public, keyRecordLabel, r.signed(), r.Signature); err != nil {
		return Errorf(Invalid, "key record of epoch %d of %s: %w", r.Epoch, r.Room, err)
	}
	return nil
}

// CredentialHash names a leaf's credential in a record: SHA-256 of the first
// certificate of an X.509 credential, or of a basic one's identity.
func CredentialHash(c *wire.Credential) Hash {
	if c.CredentialType == wire.CredentialTypeX509 && len(c.Certificates) > 0 {
		return sha256.Sum256(c.Certificates[0].CertData)
	}
	return sha256.Sum256(c.Identity)
}

// A RecordEntry is the body of an entry that gives an epoch its key record
// later than its commit.
//
//	struct { opaque key_record<V>; AuthenticatedData stamp<V>; } RecordEntry;
type RecordEntry struct {
	KeyRecord []byte
	Stamp     AuthenticatedData
}

// Marshal returns the body.
func (e *RecordEntry) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, len(e.KeyRecord)+256))
	w.Opaque(e.KeyRecord)
	w.Opaque(e.Stamp.Marshal())
	return w.Bytes()
}

// ParseRecordEntry reads the body; the record in it is not parsed.
func ParseRecordEntry(b []byte) (*RecordEntry, error) {
	r := wire.NewReader(b)
	e := &RecordEntry{KeyRecord: r.OpaqueMax(MaxKeyRecord)}
	stamp := r.OpaqueMax(MaxBody)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "key record entry: %w", err)
	}
	var err error
	e.Stamp, err = ParseAuthenticatedData(stamp)
	return e, err
}

// A RoomKey is the pair of secrets that opens one epoch, as it is wrapped; what
// can be done with it is package mls's to know.
type RoomKey struct {
	Suite            CipherSuite
	SenderDataSecret []byte
	EncryptionSecret []byte
}

// roomKeyVersion is the version of the bytes that are wrapped.
const roomKeyVersion = 1

// maxRoomSecret bounds a secret of a room key: the largest hash.
const maxRoomSecret = 64

// RoomKeyBytes returns what goes into an envelope.
//
//	struct {
//	  uint8 version;
//	  CipherSuite cipher_suite;
//	  opaque sender_data_secret<V>; opaque encryption_secret<V>;
//	} RoomKeyBytes;
func RoomKeyBytes(k RoomKey) []byte {
	w := wire.NewWriter(make([]byte, 0, 2*maxRoomSecret+8))
	w.Uint8(roomKeyVersion)
	w.Uint16(uint16(k.Suite))
	w.Opaque(k.SenderDataSecret)
	w.Opaque(k.EncryptionSecret)
	return w.Bytes()
}

// ParseRoomKeyBytes reads what came out of an envelope. The secrets are copies
// and of the suite's length.
func ParseRoomKeyBytes(b []byte) (RoomKey, error) {
	r := wire.NewReader(b)
	version := r.Uint8()
	k := RoomKey{Suite: CipherSuite(r.Uint16())}
	sender, encryption := r.OpaqueMax(maxRoomSecret), r.OpaqueMax(maxRoomSecret)
	if err := r.Done(); err != nil || version != roomKeyVersion {
		return RoomKey{}, Errorf(Invalid, "room key: %w", orMalformed(err))
	}
	s, err := suite.Lookup(suite.ID(k.Suite))
	if err != nil || len(sender) != s.HashSize() || len(encryption) != s.HashSize() {
		return RoomKey{}, Errorf(Invalid, "room key: not of its suite")
	}
	k.SenderDataSecret, k.EncryptionSecret = bytes.Clone(sender), bytes.Clone(encryption)
	return k, nil
}

// Erase overwrites the secrets.
func (k *RoomKey) Erase() {
	clear(k.SenderDataSecret)
	clear(k.EncryptionSecret)
}

// String does not tell the secrets.
func (k RoomKey) String() string { return "room key" }

// GoString does not tell the secrets.
func (k RoomKey) GoString() string { return k.String() }
