package wrap

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	errMode  = errors.New("the mode of an envelope is any or all")
	errShape = errors.New("not an envelope of this profile")
)

// A Part is one CMS message of an envelope and what can be told of it without a
// key. All of it is authenticated, but only to who can open it.
type Part struct {
	Message     []byte   // DER, as openssl opens it
	KeyIDs      [][]byte // subjectKeyIdentifiers of the certificates it is for
	Binding     Binding
	Mode        Mode
	PostQuantum bool // what it holds is an HPKE seal to an X-Wing key
	Number, Of  int  // which message of how many this is; the first is 0
}

// Parts takes an envelope apart without opening it: the messages inside, as
// stock tools open them, and for whom each is. The parts point into the
// envelope.
func Parts(envelope []byte) ([]Part, error) {
	messages, ok := readEnvelope(envelope)
	if !ok {
		return nil, errShape
	}
	parts := make([]Part, len(messages))
	for i, m := range messages {
		parts[i] = Part{
			Message: m.der, Binding: m.binding, Mode: m.place.mode, PostQuantum: m.place.postQuantum,
			Number: m.place.number, Of: m.place.of,
		}
		for _, r := range m.recipients {
			parts[i].KeyIDs = append(parts[i].KeyIDs, r.keyID)
		}
	}
	return parts, nil
}

// Check says whether an envelope has the outside that Seal would have given it:
// the binding, the mode, and exactly these recipients. Whoever holds no key for
// it can tell no more: what is inside may still be another secret.
func Check(envelope []byte, to []Recipient, b Binding, o SealOptions) error {
	parts, err := Parts(envelope)
	if err != nil {
		return err
	}
	var ids [][]byte
	for _, p := range parts {
		ids = append(ids, p.KeyIDs...)
	}
	first := parts[0]
	switch {
	case first.Binding != b:
		return errors.New("the envelope is bound to another room key")
	case first.Mode != o.Mode || first.PostQuantum != o.PostQuantum:
		return errors.New("the envelope is not sealed in the way of the room")
	case len(ids) != len(to):
		return fmt.Errorf("the envelope is for %d certificates, not %d", len(ids), len(to))
	}
	for _, r := range to {
		if r.Certificate == nil || !contains(ids, r.Certificate.SubjectKeyId) {
			return fmt.Errorf("the envelope is not for %s", r.Name)
		}
	}
	return nil
}

func contains(list [][]byte, want []byte) bool {
	for _, b := range list {
		if bytes.Equal(b, want) {
			return true
		}
	}
	return false
}

// A sealed message is a message with what its attributes say.
type sealed struct {
	*message
	der     []byte
	binding Binding
	place   place
}

// join puts messages into one envelope: SEQUENCE OF ContentInfo.
func join(messages [][]byte) []byte {
	return sequence(func(b *cryptobyte.Builder) {
		for _, m := range messages {
			b.AddBytes(m)
		}
	})
}

// readEnvelope decodes a message or a list of them, which must agree in what
// they are bound to and be in their places; there is at least one.
func readEnvelope(envelope []byte) ([]sealed, bool) {
	if len(envelope) > MaxEnvelope {
		return nil, false
	}
	in := cryptobyte.String(envelope)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	if list.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) {
		m, ok := readSealed(envelope)
		return []sealed{m}, ok && m.place == (place{mode: Any, of: 1})
	}
	var out []sealed
	for !list.Empty() {
		var der cryptobyte.String
		if len(out) == MaxRecipients || !list.ReadASN1Element(&der, cbasn1.SEQUENCE) {
			return nil, false
		}
		m, ok := readSealed(der)
		if !ok || len(m.recipients) != 1 {
			return nil, false
		}
		out = append(out, m)
	}
	return out, inPlace(out)
}

// readSealed decodes one message and its attributes.
func readSealed(der []byte) (sealed, bool) {
	m, ok := readMessage(der)
	if !ok {
		return sealed{}, false
	}
	b, p, ok := readAttributes(m.attributes)
	return sealed{message: m, der: der, binding: b, place: p}, ok
}

// inPlace says whether messages are those of one envelope, in order. What can
// be one message is no list of one.
func inPlace(messages []sealed) bool {
	for i, m := range messages {
		want := place{messages[0].place.mode, messages[0].place.postQuantum, i, len(messages)}
		if m.place != want || m.binding != messages[0].binding || m.place.mode == Any && !m.place.postQuantum {
			return false
		}
	}
	return len(messages) > 0
}
