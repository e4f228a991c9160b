package groups

import (
	"crypto/hpke"
	"crypto/sha256"
	"fmt"

	"parley/mls/wire"
)

const (
	// keyAnswerVersion is the version of KeyAnswer this package writes and reads.
	keyAnswerVersion = 1
	// keyAnswerInfo keeps answers apart from all else that is sealed.
	keyAnswerInfo = "Parley 1 unwrap answer"
	// maxKeyPart bounds the key of one item, or a share of it.
	maxKeyPart = 2*maxRoomSecret + 16
	// MaxKeyAnswer bounds a sealed answer.
	MaxKeyAnswer = MaxKeyItems*(maxKeyPart+8+MaxName+48) + 4<<10
)

// A KeyAnswer is what an unwrap service gives out for a KeyRequest, sealed to
// the request's response key and bound to the request.
//
//	struct {
//	  uint8 version;
//	  KeyPart parts<V>;            // list of opaque part<V>, one for each item
//	  KeyMark marks<V>;            // struct { opaque room<V>; uint64 epoch; Hash context; }
//	} KeyAnswer;
type KeyAnswer struct {
	// Parts holds for each item the RoomKeyBytes, or this CoI's share of them in
	// a room of mode all; nil for an item that was denied.
	Parts [][]byte
	// Marks say for the rooms of the request which epoch is the newest that the
	// service has seen proven: what shows the asker's leaf has to be that one, or
	// to be vouched for from there.
	Marks []KeyMark
}

// A KeyMark is the newest epoch of a room that an unwrap service knows.
type KeyMark struct {
	Room    RoomID
	Epoch   Epoch
	Context Hash // of its GroupContext
}

// Marshal returns the encoded answer.
func (a *KeyAnswer) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, 128*len(a.Parts)+64))
	w.Uint8(keyAnswerVersion)
	w.Vector(func(w *wire.Writer) {
		for _, p := range a.Parts {
			w.Opaque(p)
		}
	})
	w.Vector(func(w *wire.Writer) {
		for _, m := range a.Marks {
			w.String(string(m.Room))
			w.Uint64(uint64(m.Epoch))
			w.Raw(m.Context[:])
		}
	})
	return w.Bytes()
}

// ParseKeyAnswer reads an answer. What it returns aliases b.
func ParseKeyAnswer(b []byte) (*KeyAnswer, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != keyAnswerVersion {
		r.Fail(fmt.Errorf("%w: key answer version %d", wire.ErrMalformed, v))
	}
	a := new(KeyAnswer)
	r.Vector(func(r *wire.Reader) {
		part := r.OpaqueMax(maxKeyPart)
		if len(a.Parts) >= MaxKeyItems {
			r.Fail(wire.ErrTooLong)
			return
		}
		if len(part) == 0 {
			part = nil
		}
		a.Parts = append(a.Parts, part)
	})
	r.Vector(func(r *wire.Reader) {
		m := KeyMark{Room: RoomID(r.OpaqueMax(MaxName)), Epoch: Epoch(r.Uint64()), Context: r.Hash()}
		if len(a.Marks) >= MaxKeyItems {
			r.Fail(wire.ErrTooLong)
			return
		}
		a.Marks = append(a.Marks, m)
	})
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "key answer: %w", err)
	}
	return a, nil
}

// Seal encrypts the answer to a request's response key (RFC 9180, base mode,
// X-Wing, HKDF-SHA256, AES-256-GCM), for this very request. A response key that
// is none is Invalid.
func (a *KeyAnswer) Seal(request []byte, responseKey []byte) ([]byte, error) {
	public, err := hpke.MLKEM768X25519().NewPublicKey(responseKey)
	if err != nil {
		return nil, Errorf(Invalid, "response key: %w", err)
	}
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(keyAnswerInfo))
	if err != nil {
		return nil, Errorf(Internal, "seal key answer: %w", err)
	}
	plain := a.Marshal()
	hash := sha256.Sum256(request)
	sealed, err := sender.Seal(hash[:], plain)
	clear(plain)
	if err != nil {
		return nil, Errorf(Internal, "seal key answer: %w", err)
	}
	return append(enc, sealed...), nil
}

// OpenKeyAnswer decrypts an answer to a request of ours. What was sealed to
// another key or for another request is Invalid.
func OpenKeyAnswer(sealed, request []byte, key hpke.PrivateKey) (*KeyAnswer, error) {
	kem := hpke.MLKEM768X25519()
	size := xwingEnc
	if len(sealed) < size || len(sealed) > MaxKeyAnswer {
		return nil, Errorf(Invalid, "key answer of %d bytes", len(sealed))
	}
	if key.KEM().ID() != kem.ID() {
		return nil, Errorf(Invalid, "key answer: the response key is not X-Wing")
	}
	recipient, err := hpke.NewRecipient(sealed[:size], key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(keyAnswerInfo))
	if err != nil {
		return nil, Errorf(Invalid, "key answer: %w", err)
	}
	hash := sha256.Sum256(request)
	plain, err := recipient.Open(hash[:], sealed[size:])
	if err != nil {
		return nil, Errorf(Invalid, "key answer is not to this request: %w", err)
	}
	return ParseKeyAnswer(plain)
}

// xwingEnc is the length of an encapsulated X-Wing secret.
const xwingEnc = 1120
