package groups

import "parley/mls/wire"

// maxSignature bounds the signature of a head: ECDSA P-521 needs 139 bytes.
const maxSignature = 512

// Verify checks that the hub site of the head's room signed it.
func (s *SignedHead) Verify(v HeadVerifier) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	return v.VerifyHeads(s.Head.Room.Site(), s.Signer, root, s.Signature)
}

// root walks from the head to what was signed: bit i of Index says on which
// side of its sibling the node at level i stands.
func (s *SignedHead) root() (Hash, error) {
	h := s.Head.leaf()
	for i, sib := range s.Path {
		if i >= maxHeadPath {
			return Hash{}, Errorf(Invalid, "head of %s: path too long", s.Head.Room)
		}
		h = step(h, sib, s.Index>>i&1 == 1)
	}
	return h, nil
}

func step(h, sib Hash, right bool) Hash {
	if right {
		return inner(sib, h)
	}
	return inner(h, sib)
}

// Encode writes the signed head.
func (s *SignedHead) Encode(w *wire.Writer) {
	s.Head.Encode(w)
	w.Uint32(s.Index)
	w.Vector(func(w *wire.Writer) {
		for _, h := range s.Path {
			w.Raw(h[:])
		}
	})
	w.Raw(s.Signer[:])
	w.Opaque(s.Signature)
}

// Decode reads a signed head.
func (s *SignedHead) Decode(r *wire.Reader) {
	s.Head.Decode(r)
	s.Index = r.Uint32()
	s.Path = nil
	r.Vector(func(r *wire.Reader) {
		if len(s.Path) >= maxHeadPath {
			r.Fail(wire.ErrTooLong)
			return
		}
		s.Path = append(s.Path, r.Hash())
	})
	s.Signer = r.Hash()
	s.Signature = r.OpaqueMax(maxSignature)
}

// Marshal returns the encoded signed head.
func (s *SignedHead) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, 384))
	s.Encode(w)
	return w.Bytes()
}

// ParseSignedHead reads one signed head and nothing after it. It does not
// verify the signature.
func ParseSignedHead(b []byte) (*SignedHead, error) {
	r := wire.NewReader(b)
	s := new(SignedHead)
	s.Decode(r)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "signed head: %w", err)
	}
	return s, nil
}
