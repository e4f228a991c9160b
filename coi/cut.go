package coi

import (
	"bytes"
	"crypto"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

const (
	// MaxCuts bounds the devices that one statement is about.
	MaxCuts = 64
	// MaxSignedCuts bounds a signed statement, in bytes.
	MaxSignedCuts = 48 << 10
	// CutNonce is how long the nonce of a question about cuts is, in bytes.
	CutNonce = 16
	// cutVersion is the version of Cuts this package writes and reads.
	cutVersion = 1
	// unwrapService begins the local names of unwrap services: unwrap, unwrap2.
	unwrapService = "unwrap"
	// cutLabel begins what is signed, so that nothing else is taken for it.
	cutLabel = "Parley 1 cuts\x00"
)

// A Cut says that a device was cut off, and since when.
type Cut struct {
	Device string // URI
	Since  time.Time
}

// Cuts is what an unwrap service answers to the question which of some devices
// are cut off from a CoI: those of them that are. It is signed by the service, so
// that whoever was not there when it was asked can believe it too. In the
// presentation language, times in milliseconds:
//
//	struct { opaque device<0..2^16-1>; uint64 since; } Cut;
//	struct {
//	  uint8 version;                 // 1
//	  opaque service<0..2^16-1>; opaque coi<0..2^16-1>;
//	  uint64 time; opaque nonce[16]; // of the question
//	  Cut list<0..2^16-1>;           // by device, at most 64
//	} Cuts;
type Cuts struct {
	Service string // URI of who says so
	CoI     string // URI
	Time    time.Time
	Nonce   [CutNonce]byte
	List    []Cut
}

func addOpaque(b *cryptobyte.Builder, data []byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(data) })
}

// marshal writes what is signed, without the label.
func (c *Cuts) marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(cutVersion)
	addOpaque(b, []byte(c.Service))
	addOpaque(b, []byte(c.CoI))
	b.AddUint64(uint64(c.Time.UnixMilli()))
	b.AddBytes(c.Nonce[:])
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, cut := range c.List {
			addOpaque(b, []byte(cut.Device))
			b.AddUint64(uint64(cut.Since.UnixMilli()))
		}
	})
	return b.Bytes()
}

// parseCuts reads what marshal wrote, and only in one spelling.
func parseCuts(data []byte) (*Cuts, error) {
	in := cryptobyte.String(data)
	var version uint8
	var service, name, list cryptobyte.String
	var at uint64
	c := &Cuts{}
	ok := in.ReadUint8(&version) && version == cutVersion && in.ReadUint16LengthPrefixed(&service) && in.ReadUint16LengthPrefixed(&name) &&
		readMillis(&in, &at) && in.CopyBytes(c.Nonce[:]) && in.ReadUint16LengthPrefixed(&list) && in.Empty()
	if !ok || len(service) > MaxName || len(name) > MaxName {
		return nil, refuse(Malformed, "statement about cuts: cut short, or of another version")
	}
	c.Service, c.CoI, c.Time = string(service), string(name), time.UnixMilli(int64(at)).UTC()
	for !list.Empty() {
		var device cryptobyte.String
		if len(c.List) == MaxCuts {
			return nil, refuse(TooLarge, "statement about cuts: more than %d devices", MaxCuts)
		}
		if !list.ReadUint16LengthPrefixed(&device) || !readMillis(&list, &at) {
			return nil, refuse(Malformed, "statement about cuts: cut short")
		}
		name, err := ParseName(string(device))
		if err != nil || name.Purpose != Device {
			return nil, refuse(BadName, "statement about cuts: what it names is no device")
		}
		if n := len(c.List); n > 0 && c.List[n-1].Device >= string(device) {
			return nil, refuse(Malformed, "statement about cuts: its devices are not in order")
		}
		c.List = append(c.List, Cut{Device: string(device), Since: time.UnixMilli(int64(at)).UTC()})
	}
	return c, nil
}

// readMillis reads a time that a time.Time can hold.
func readMillis(in *cryptobyte.String, at *uint64) bool { return in.ReadUint64(at) && *at < 1<<62 }

// Sign returns the statement with a signature by the key of the service's
// certificate, whose chain goes along:
//
//	struct {
//	  opaque cuts<0..2^16-1>;      // Cuts
//	  opaque signature<0..2^16-1>; // over "Parley 1 cuts" 0 cuts
//	  Certificate chain<0..2^16-1>;
//	} SignedCuts;
func (c *Cuts) Sign(signer crypto.Signer, chain [][]byte) ([]byte, error) {
	slices.SortFunc(c.List, func(a, b Cut) int { return strings.Compare(a.Device, b.Device) })
	statement, err := c.marshal()
	if err != nil {
		return nil, refuse(TooLarge, "statement about cuts: %w", err)
	}
	signature, err := Sign(signer, append([]byte(cutLabel), statement...))
	if err != nil {
		return nil, err
	}
	signed := signedCuts{statement, signature, chain}
	return signed.marshal()
}

type signedCuts struct {
	statement, signature []byte
	chain                [][]byte
}

func (s *signedCuts) marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	addOpaque(b, s.statement)
	addOpaque(b, s.signature)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, cert := range s.chain {
			addOpaque(b, cert)
		}
	})
	return b.Bytes()
}

func parseSignedCuts(signed []byte) (*signedCuts, error) {
	if len(signed) > MaxSignedCuts {
		return nil, refuse(TooLarge, "a statement about cuts of %d bytes: at most %d", len(signed), MaxSignedCuts)
	}
	in := cryptobyte.String(signed)
	var statement, signature, list cryptobyte.String
	if !in.ReadUint16LengthPrefixed(&statement) || !in.ReadUint16LengthPrefixed(&signature) || !in.ReadUint16LengthPrefixed(&list) || !in.Empty() {
		return nil, refuse(Malformed, "statement about cuts: cut short")
	}
	s := &signedCuts{statement: statement, signature: signature}
	for !list.Empty() {
		var cert cryptobyte.String
		if len(s.chain) == MaxChain || !list.ReadUint16LengthPrefixed(&cert) {
			return nil, refuse(Malformed, "statement about cuts: no chain of certificates")
		}
		s.chain = append(s.chain, cert)
	}
	return s, nil
}

// CutOptions say what is expected of a statement.
type CutOptions struct {
	Now    time.Time
	MaxAge time.Duration // since its Time; required
	CoI    string        // that it has to be about; empty: any
	Nonce  []byte        // that it has to carry; empty: any
}

// VerifyCuts reads a signed statement and believes nothing of it unless it is by
// an unwrap service of the very site whose CoI it is about, whose certificate is
// in force, made not later than Now (Skew allowed) and not more than MaxAge
// before, and carries the nonce, if there is one.
//
// It says nothing about whether the devices are such as may be cut off: a service
// may cut off bots (IsBot) and nobody else. A refusal is an *Error.
func (t *Trust) VerifyCuts(signed []byte, o CutOptions) (*Cuts, error) {
	s, err := parseSignedCuts(signed)
	if err != nil {
		return nil, err
	}
	c, err := parseCuts(s.statement)
	if err != nil {
		return nil, err
	}
	by, err := t.Verify(s.chain, Service, o.Now)
	if err != nil {
		return nil, err
	}
	name, err := ParseName(c.CoI)
	switch age := o.Now.Sub(c.Time); {
	case err != nil || name.Purpose != CoI:
		return nil, refuse(BadName, "a statement about cuts names no CoI")
	case by.URI != c.Service || by.Site != name.Site || !strings.HasPrefix(by.Name.Local, unwrapService):
		return nil, refuse(WrongPurpose, "%s says who is cut off from %s: only an unwrap service of %s may", by.URI, c.CoI, name.Site)
	case o.CoI != "" && c.CoI != o.CoI:
		return nil, refuse(Mismatch, "the statement is about %s", c.CoI)
	case len(o.Nonce) > 0 && !bytes.Equal(o.Nonce, c.Nonce[:]):
		return nil, refuse(Mismatch, "the statement answers another question: it may be an old one")
	case age < -Skew || age > o.MaxAge:
		return nil, refuse(Stale, "the statement is of %s: at most %s old is accepted", stamp(c.Time), o.MaxAge)
	}
	return c, VerifySignature(by.Key, append([]byte(cutLabel), s.statement...), s.signature)
}
