package wrap

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An envelope is the messages of one Seal: a single one for all, as it is, or
//
//	Envelope ::= SEQUENCE {
//	  mode        INTEGER,                  -- 1 any, 2 all
//	  postQuantum BOOLEAN,
//	  messages    SEQUENCE OF ContentInfo } -- one recipient each
//
// Mode and postQuantum are written again in each content, where they can not be
// changed.
type envelope struct {
	mode        Mode
	postQuantum bool
	messages    []*message
	der         [][]byte // of each message
}

// single says whether one message serves all certificates.
func (p place) single() bool { return p.mode == Any && !p.postQuantum }

// writeList encodes several messages.
func writeList(p place, messages [][]byte) []byte {
	return sequence(func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(p.mode))
		b.AddASN1Boolean(p.postQuantum)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, m := range messages {
				b.AddBytes(m)
			}
		})
	})
}

// readEnvelope decodes what Seal makes.
func readEnvelope(der []byte) (*envelope, bool) {
	in := cryptobyte.String(der)
	var body cryptobyte.String
	if len(der) > MaxEnvelope || !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	e := &envelope{mode: Any}
	if body.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) {
		return e, e.read(der)
	}
	var list cryptobyte.String
	var mode int
	if !body.ReadASN1Integer(&mode) || !body.ReadASN1Boolean(&e.postQuantum) ||
		!body.ReadASN1(&list, cbasn1.SEQUENCE) || !body.Empty() || list.Empty() {
		return nil, false
	}
	if mode != int(All) && !(mode == int(Any) && e.postQuantum) {
		return nil, false // what can be one message is no list
	}
	e.mode = Mode(mode)
	for !list.Empty() {
		var one cryptobyte.String
		if len(e.messages) == MaxRecipients || !list.ReadASN1Element(&one, cbasn1.SEQUENCE) || !e.read(one) {
			return nil, false
		}
	}
	return e, e.distinct()
}

// read takes in one message.
func (e *envelope) read(der []byte) bool {
	m, ok := readMessage(der)
	if !ok {
		return false
	}
	e.messages, e.der = append(e.messages, m), append(e.der, der)
	return true
}

// distinct says whether each message of a list is for one certificate, and no
// two for the same.
func (e *envelope) distinct() bool {
	for i, m := range e.messages {
		if len(m.recipients) != 1 {
			return false
		}
		for _, other := range e.messages[:i] {
			if bytes.Equal(other.recipients[0].keyID, m.recipients[0].keyID) {
				return false
			}
		}
	}
	return true
}

// find returns the recipient of a key identifier and its message's number, nil
// if there is not exactly one.
func (e *envelope) find(keyID []byte) (number int, r *recipient) {
	for i, m := range e.messages {
		if r := m.find(keyID); r != nil {
			return i, r
		}
	}
	return 0, nil
}

// placeOf is what the content of a message must say of its place.
func (e *envelope) placeOf(number int) place {
	p := place{mode: e.mode, postQuantum: e.postQuantum, number: number, of: len(e.messages)}
	if p.single() {
		p.of = len(e.messages[0].recipients)
	}
	return p
}
