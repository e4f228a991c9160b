package service

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/coi"
	"parley/mls/wire"
)

const (
	// MaxCase bounds an encoded case, in bytes.
	MaxCase = 256 << 10
	// MaxCaseLife bounds how long a case may be used.
	MaxCaseLife = 90 * 24 * time.Hour
	// maxCaseNames bounds the rooms of a case, and the people.
	maxCaseNames = 1024
	// maxCaseText bounds its texts, in bytes.
	maxCaseText = 4 << 10
	maxCaseCert = 8 << 10
)

// A Case is a right to open room keys without being a member: forensics, a
// subpoena, loss prevention. It says which rooms, which time and on what ground,
// who has to approve it and to whom the keys are sealed; approvers sign its
// hash, so that nothing of it can be changed afterwards.
//
//	struct {
//	  uint8 version; opaque id[16];
//	  opaque basis<V>; opaque coi<V>;
//	  opaque rooms<V>; opaque people<V>;   // lists of opaque name<V>
//	  uint64 from; uint64 to; uint64 opened; uint64 expires;   // ms since 1970
//	  uint8 threshold; opaque approvers<V>;  // list of opaque key_hash[32]
//	  opaque export<V>;                    // certificate, DER
//	} Case;
type Case struct {
	ID        [16]byte
	Basis     string     // legal basis, reference of the order
	CoI       string     // URI: whose key opens
	Rooms     []string   // URIs; at least one
	People    []string   // URIs of users; empty means everybody. For who reads the export: keys open whole epochs
	From, To  time.Time  // of the messages
	Opened    time.Time  // when it was opened
	Expires   time.Time  // nothing is opened from then on
	Threshold uint8      // how many approvers have to sign, at least 1
	Approvers [][32]byte // SHA-256 of the SubjectPublicKeyInfo of each
	Export    []byte     // certificate that the keys are sealed to: EC or RSA, DER
}

// Name returns the case's ID as text.
func (c *Case) Name() string { return hex.EncodeToString(c.ID[:]) }

// Marshal returns the encoded case.
func (c *Case) Marshal() []byte {
	w := wire.NewWriter(nil)
	w.Uint8(1)
	w.Raw(c.ID[:])
	w.String(c.Basis)
	w.String(c.CoI)
	for _, list := range [][]string{c.Rooms, c.People} {
		w.Vector(func(w *wire.Writer) {
			for _, name := range list {
				w.String(name)
			}
		})
	}
	for _, t := range []time.Time{c.From, c.To, c.Opened, c.Expires} {
		w.Uint64(uint64(t.UnixMilli()))
	}
	w.Uint8(c.Threshold)
	w.Vector(func(w *wire.Writer) {
		for _, h := range c.Approvers {
			w.Raw(h[:])
		}
	})
	w.Opaque(c.Export)
	return w.Bytes()
}

// ParseCase reads a case. Whether it may be used is Check's to say.
func ParseCase(data []byte) (*Case, error) {
	if len(data) > MaxCase {
		return nil, fmt.Errorf("a case of %d bytes: at most %d", len(data), MaxCase)
	}
	r := wire.NewReader(data)
	if v := r.Uint8(); r.Err() == nil && v != 1 {
		return nil, fmt.Errorf("a case of unknown version %d", v)
	}
	c := &Case{}
	copy(c.ID[:], r.Fixed(len(c.ID)))
	c.Basis, c.CoI = string(r.OpaqueMax(maxCaseText)), string(r.OpaqueMax(coi.MaxName))
	c.Rooms, c.People = caseNames(r), caseNames(r)
	for _, t := range []*time.Time{&c.From, &c.To, &c.Opened, &c.Expires} {
		*t = time.UnixMilli(int64(r.Uint64())).UTC()
	}
	c.Threshold = r.Uint8()
	r.Vector(func(r *wire.Reader) {
		if c.Approvers = append(c.Approvers, r.Hash()); len(c.Approvers) > maxCaseNames {
			r.Fail(wire.ErrTooLong)
		}
	})
	c.Export = r.OpaqueMax(maxCaseCert)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	return c, nil
}

func caseNames(r *wire.Reader) []string {
	var out []string
	r.Vector(func(r *wire.Reader) {
		if out = append(out, string(r.OpaqueMax(coi.MaxName))); len(out) > maxCaseNames {
			r.Fail(wire.ErrTooLong)
		}
	})
	return out
}

// Check refuses a case that makes no sense, or whose time is not now.
func (c *Case) Check(now time.Time) error {
	switch n, err := coi.ParseName(c.CoI); {
	case err != nil || n.Purpose != coi.CoI:
		return fmt.Errorf("case %s: %q is no CoI", c.Name(), clip(c.CoI))
	case c.Basis == "":
		return fmt.Errorf("case %s: it names no legal basis", c.Name())
	case len(c.Rooms) == 0:
		return fmt.Errorf("case %s: it names no room", c.Name())
	case !c.From.Before(c.To):
		return fmt.Errorf("case %s: its period ends before it begins", c.Name())
	case c.Threshold < 1 || int(c.Threshold) > len(c.Approvers):
		return fmt.Errorf("case %s: %d of %d approvers", c.Name(), c.Threshold, len(c.Approvers))
	case c.Expires.Sub(c.Opened) > MaxCaseLife || !c.Opened.Before(c.Expires):
		return fmt.Errorf("case %s: it lasts %s, at most %s are allowed", c.Name(), c.Expires.Sub(c.Opened), MaxCaseLife)
	case c.Opened.Sub(now) > coi.Skew:
		return fmt.Errorf("case %s: it begins in the future", c.Name())
	case !now.Before(c.Expires):
		return fmt.Errorf("case %s ended at %s", c.Name(), c.Expires.Format(time.RFC3339))
	}
	_, err := x509.ParseCertificate(c.Export)
	if err != nil {
		return fmt.Errorf("case %s: export certificate: %w", c.Name(), err)
	}
	return nil
}

// hash is what approvers sign.
func (c *Case) hash() [32]byte { return sha256.Sum256(c.Marshal()) }

// An Approval is one approver's signature over a case.
//
//	struct { uint8 version; opaque case[32]; opaque key<V>; uint64 time; opaque signature<V>; } Approval;
type Approval struct {
	Case      [32]byte // hash of the case
	Key       []byte   // SubjectPublicKeyInfo of the approver
	Time      time.Time
	Signature []byte
}

// Approve signs a case with an approver's own key: Ed25519 or ECDSA, in memory
// or in a token.
func Approve(c *Case, key crypto.Signer, now time.Time) (*Approval, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("approver's key: %w", err)
	}
	if !slices.Contains(c.Approvers, sha256.Sum256(spki)) {
		return nil, fmt.Errorf("case %s does not name this key (SHA-256 %x) among its approvers", c.Name(), sha256.Sum256(spki))
	}
	a := &Approval{Case: c.hash(), Key: spki, Time: now}
	a.Signature, err = coi.Sign(key, a.message())
	return a, err
}

// message is what is signed.
func (a *Approval) message() []byte {
	w := wire.NewWriter([]byte("Parley 1 case approval\x00"))
	w.Raw(a.Case[:])
	w.Uint64(uint64(a.Time.UnixMilli()))
	return w.Bytes()
}

// Marshal returns the encoded approval.
func (a *Approval) Marshal() []byte {
	w := wire.NewWriter(nil)
	w.Uint8(1)
	w.Raw(a.Case[:])
	w.Opaque(a.Key)
	w.Uint64(uint64(a.Time.UnixMilli()))
	w.Opaque(a.Signature)
	return w.Bytes()
}

// ParseApproval reads an approval; its signature is verified by ApprovedBy.
func ParseApproval(data []byte) (*Approval, error) {
	r := wire.NewReader(data)
	if v := r.Uint8(); r.Err() == nil && v != 1 {
		return nil, fmt.Errorf("an approval of unknown version %d", v)
	}
	a := &Approval{Case: r.Hash(), Key: r.OpaqueMax(maxCaseText)}
	a.Time = time.UnixMilli(int64(r.Uint64())).UTC()
	a.Signature = r.OpaqueMax(maxCaseText)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("approval: %w", err)
	}
	return a, nil
}

// errApproval is an approval that does not count.
var errApproval = errors.New("an approval does not count")

// verify returns the approver's key hash, if the approval is of this case.
func (a *Approval) verify(c *Case) ([32]byte, error) {
	id := sha256.Sum256(a.Key)
	if a.Case != c.hash() {
		return id, fmt.Errorf("%w: it is of another case, or the case was changed since", errApproval)
	}
	if !slices.Contains(c.Approvers, id) {
		return id, fmt.Errorf("%w: the case does not name its key", errApproval)
	}
	if a.Time.Before(c.Opened.Add(-coi.Skew)) || !a.Time.Before(c.Expires) {
		return id, fmt.Errorf("%w: it was not given while the case was open", errApproval)
	}
	key, err := x509.ParsePKIXPublicKey(a.Key)
	if err != nil {
		return id, fmt.Errorf("%w: %w", errApproval, err)
	}
	return id, coi.VerifySignature(key, a.message(), a.Signature)
}

// ApprovedBy returns whose approvals of a case count: distinct keys that the case
// names. One that does not count is an error, so that nobody is deceived about
// what was approved.
func (c *Case) ApprovedBy(approvals []*Approval) ([][32]byte, error) {
	var by [][32]byte
	for _, a := range approvals {
		id, err := a.verify(c)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(by, id) {
			by = append(by, id)
		}
	}
	return by, nil
}
