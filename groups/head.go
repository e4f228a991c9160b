package groups

import (
	"crypto/sha256"
	"encoding/binary"

	"parley/mls/wire"
)

// A Head says where a room's log stands.
//
//	struct {
//	  opaque room<V>; uint64 seq; opaque hash[32];
//	  uint64 epoch; uint64 term; uint64 time;
//	} Head;
type Head struct {
	Room  RoomID
	Seq   Seq
	Hash  Hash // of the header at Seq
	Epoch Epoch
	Term  Term
	Time  uint64 // hub's clock, ms since 1970
}

// Encode writes the head.
func (h *Head) Encode(w *wire.Writer) { w.Raw(h.append(make([]byte, 0, maxHead))) }

// append appends the encoded head; where b has room it does not allocate.
func (h *Head) append(b []byte) []byte {
	b = append(wire.AppendVarint(b, len(h.Room)), h.Room...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Seq))
	b = append(b, h.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Term))
	return binary.BigEndian.AppendUint64(b, h.Time)
}

// maxHead is the room for a head of any room, in bytes.
const maxHead = 384

// Decode reads a head.
func (h *Head) Decode(r *wire.Reader) {
	h.Room = RoomID(r.OpaqueMax(MaxName))
	h.Seq = Seq(r.Uint64())
	h.Hash = r.Hash()
	h.Epoch = Epoch(r.Uint64())
	h.Term = Term(r.Uint64())
	h.Time = r.Uint64()
}

// leaf is the head's hash in a batch's tree; the first octet keeps leaves and
// inner nodes apart, as in RFC 6962, Section 2.1.
func (h *Head) leaf() Hash {
	var buf [1 + maxHead]byte
	return sha256.Sum256(h.append(buf[:1]))
}

func inner(l, r Hash) Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}

// maxHeadPath bounds the path of a signed head: 2^16 rooms in a batch.
const maxHeadPath = 16

// A SignedHead is a head with the site's word for it: one signature covers
// the heads of all rooms of an fsync batch, and path leads from this head to
// what was signed.
//
//	struct {
//	  Head head; uint32 index; Hash path<V>;
//	  opaque signer[32]; opaque signature<V>;
//	} SignedHead;
type SignedHead struct {
	Head      Head
	Index     uint32 // of the head among the batch's leaves
	Path      []Hash
	Signer    Hash // SHA-256 of the ordering certificate
	Signature []byte
}

// A HeadSigner signs the root of a batch with the site's ordering key. It is
// called by one goroutine.
type HeadSigner interface {
	// SignHeads signs HeadsTBS(root).
	SignHeads(root Hash) (signature []byte, err error)
	// Certificate returns the hash that names the signing certificate.
	Certificate() Hash
}

// A HeadVerifier knows the ordering certificates of sites. It is safe for
// many goroutines.
type HeadVerifier interface {
	// VerifyHeads checks signature over HeadsTBS(root) under a certificate of
	// site that is named by signer; an unknown or foreign one is Denied.
	VerifyHeads(site SiteID, signer, root Hash, signature []byte) error
}

// HeadsTBS is what an ordering key signs.
func HeadsTBS(root Hash) []byte {
	return append([]byte("Parley 1 heads\x00"), root[:]...)
}

// SignHeads signs the heads of a batch, one room each, with one signature.
// The order of heads does not matter; the result has the same order.
func SignHeads(heads []Head, s HeadSigner) ([]SignedHead, error) {
	level := make([]Hash, len(heads))
	for i := range heads {
		level[i] = heads[i].leaf()
	}
	paths := make([][]Hash, len(heads))
	for shift := 0; len(level) > 1; shift++ {
		for i := range paths {
			sib := (i >> shift) ^ 1
			if sib < len(level) {
				paths[i] = append(paths[i], level[sib])
			} else {
				paths[i] = append(paths[i], Hash{})
			}
		}
		level = foldLevel(level)
	}
	if len(level) == 0 {
		return nil, nil
	}
	sig, err := s.SignHeads(level[0])
	if err != nil {
		return nil, Errorf(Internal, "sign heads: %w", err)
	}
	signed, certificate := make([]SignedHead, len(heads)), s.Certificate()
	for i := range heads {
		signed[i] = SignedHead{heads[i], uint32(i), paths[i], certificate, sig}
	}
	return signed, nil
}

// foldLevel pairs nodes; an odd last one is paired with the zero hash, so that
// every path has one hash a level.
func foldLevel(level []Hash) []Hash {
	up := level[:0:0]
	for i := 0; i+1 < len(level); i += 2 {
		up = append(up, inner(level[i], level[i+1]))
	}
	if len(level)%2 == 1 {
		up = append(up, inner(level[len(level)-1], Hash{}))
	}
	return up
}
