package groups

import (
	"crypto/sha256"
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// flagVersion is the version of Flag this package writes and reads.
const flagVersion = 1

// flagLabel is what a leaf key signs a flag under.
const flagLabel = "ParleyFlag"

// A Flag is the body of an entry by which a member reports the room's
// encryption configuration to a security officer. It stands in the log, where
// leaving it out is seen, and its words are sealed.
//
//	struct {
//	  uint8 version;
//	  opaque room<V>; uint64 epoch;
//	  opaque config_hash[32];      // ConfigHash of what is reported
//	  uint32 author_leaf;
//	  uint64 created_at;
//	  opaque officer<V>;
//	  opaque text<V>;              // CMS, sealed to the room's CoIs
//	  AuthenticatedData stamp<V>;
//	  opaque signature<V>;         // over all of the above
//	} Flag;
type Flag struct {
	Room       RoomID
	Epoch      Epoch // in which the configuration was seen
	ConfigHash Hash
	AuthorLeaf uint32
	CreatedAt  uint64 // author's clock, ms since 1970
	Officer    string // address of the officer, as the policy has it
	Text       []byte // at most MaxFlagText
	Stamp      AuthenticatedData
	Signature  []byte
}

// ConfigHash names an encryption configuration: SHA-256 of the policy extension
// and of the hash of the key record that is in force, zero if none is.
func ConfigHash(p *Policy, record Hash) Hash {
	return sha256.Sum256(append(p.Extension().ExtensionData, record[:]...))
}

func (f *Flag) encodeSigned(w *wire.Writer) {
	w.Uint8(flagVersion)
	w.String(string(f.Room))
	w.Uint64(uint64(f.Epoch))
	w.Raw(f.ConfigHash[:])
	w.Uint32(f.AuthorLeaf)
	w.Uint64(f.CreatedAt)
	w.String(f.Officer)
	w.Opaque(f.Text)
	w.Opaque(f.Stamp.Marshal())
}

func (f *Flag) signed() []byte {
	w := wire.NewWriter(nil)
	f.encodeSigned(w)
	return w.Bytes()
}

// Marshal returns the body.
func (f *Flag) Marshal() []byte {
	w := wire.NewWriter(nil)
	f.encodeSigned(w)
	w.Opaque(f.Signature)
	return w.Bytes()
}

// ParseFlag reads the body of a flag. No signature is verified.
func ParseFlag(b []byte) (*Flag, error) {
	r := wire.NewReader(b)
	f := new(Flag)
	if v := r.Uint8(); r.Err() == nil && v != flagVersion {
		r.Fail(fmt.Errorf("%w: flag version %d", wire.ErrMalformed, v))
	}
	f.Room = RoomID(r.OpaqueMax(MaxName))
	f.Epoch = Epoch(r.Uint64())
	f.ConfigHash = r.Hash()
	f.AuthorLeaf = r.Uint32()
	f.CreatedAt = r.Uint64()
	f.Officer = string(r.OpaqueMax(MaxName))
	f.Text = r.OpaqueMax(MaxFlagText)
	stamp := r.OpaqueMax(MaxBody)
	f.Signature = r.OpaqueMax(maxSignature)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "flag: %w", err)
	}
	var err error
	f.Stamp, err = ParseAuthenticatedData(stamp)
	return f, err
}

// Sign signs the flag with its author's leaf key: SignWithLabel with the label
// "ParleyFlag" (RFC 9420, Section 5.1.2).
func (f *Flag) Sign(key *suite.SignaturePrivateKey) error {
	signature, err := key.Sign(flagLabel, f.signed())
	if err != nil {
		return Errorf(Internal, "sign flag: %w", err)
	}
	f.Signature = signature
	return nil
}

// Verify checks that a leaf key signed the flag.
func (f *Flag) Verify(s *suite.Suite, signatureKey []byte) error {
	if err := s.Verify(signatureKey, flagLabel, f.signed(), f.Signature); err != nil {
		return Errorf(Invalid, "flag of %s: %w", f.Room, err)
	}
	return nil
}
