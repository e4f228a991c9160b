package wrap

import (
	"errors"
	"fmt"
)

var (
	errMode  = errors.New("the mode of an envelope is any or all")
	errShape = errors.New("not an envelope of this profile")
)

// A Part is one CMS message of an envelope and what can be told of it without a
// key.
type Part struct {
	Message     []byte   // DER, as `openssl cms -decrypt -inform DER` opens it
	KeyIDs      [][]byte // subjectKeyIdentifiers of the certificates it is for
	Mode        Mode
	PostQuantum bool // what it holds is an HPKE seal to an X-Wing key
}

// Parts takes an envelope apart without opening it: the messages inside, as
// stock tools open them, and for whom each is. The parts point into the
// envelope.
func Parts(envelope []byte) ([]Part, error) {
	e, ok := readEnvelope(envelope)
	if !ok {
		return nil, errShape
	}
	parts := make([]Part, len(e.messages))
	for i, m := range e.messages {
		parts[i] = Part{Message: e.der[i], Mode: e.mode, PostQuantum: e.postQuantum}
		for _, r := range m.recipients {
			parts[i].KeyIDs = append(parts[i].KeyIDs, r.keyID)
		}
	}
	return parts, nil
}

// Check says whether an envelope has the outside that Seal would have given it
// for that many certificates: the mode, and as many recipients, each another. So
// a member, who knows certificates by their hashes only, finds one that leaves
// out a community, or that one alone can open where it takes all. Who holds no
// key for it can tell no more: it may still hold another secret, or none.
func Check(envelope []byte, certificates int, o SealOptions) error {
	parts, err := Parts(envelope)
	if err != nil {
		return err
	}
	ids := make(map[string]bool)
	n := 0
	for _, p := range parts {
		for _, id := range p.KeyIDs {
			ids[string(id)] = true
			n++
		}
	}
	switch {
	case parts[0].Mode != o.Mode || parts[0].PostQuantum != o.PostQuantum:
		return errors.New("the envelope is not sealed in the way of the room")
	case n != certificates || len(ids) != n:
		return fmt.Errorf("the envelope is for %d certificates, %d of them different, not for %d", n, len(ids), certificates)
	}
	return nil
}
