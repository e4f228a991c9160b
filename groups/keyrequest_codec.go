package groups

import (
	"fmt"

	"parley/mls/tree"
	"parley/mls/wire"
)

// Encode writes the record, its context and its author's proof.
func (p *Proven) Encode(w *wire.Writer) {
	w.Opaque(p.Record)
	w.Opaque(p.Context)
	encodeProof(w, p.Author)
}

// Decode reads them.
func (p *Proven) Decode(r *wire.Reader) {
	p.Record = r.OpaqueMax(MaxKeyRecord)
	p.Context = r.OpaqueMax(MaxContext)
	p.Author = decodeProof(r)
}

// Encode writes the anchor.
func (a *Anchor) Encode(w *wire.Writer) {
	a.Proven.Encode(w)
	encodeOptionalProof(w, a.Self)
	encodeVouch(w, a.Next)
}

// Decode reads an anchor.
func (a *Anchor) Decode(r *wire.Reader) {
	a.Proven.Decode(r)
	a.Self = decodeOptionalProof(r)
	a.Next = decodeVouch(r)
}

// Encode writes the item.
func (i *KeyItem) Encode(w *wire.Writer) {
	i.Proven.Encode(w)
	w.Uint8(uint8(i.Standing))
	encodeOptionalProof(w, i.Member)
	encodeVouch(w, i.Anchor)
}

// Decode reads an item.
func (i *KeyItem) Decode(r *wire.Reader) {
	i.Proven.Decode(r)
	i.Standing = Standing(r.Uint8())
	if r.Err() == nil && (i.Standing < StandingMember || i.Standing > StandingReader) {
		r.Fail(fmt.Errorf("%w: %v", wire.ErrMalformed, i.Standing))
	}
	i.Member = decodeOptionalProof(r)
	i.Anchor = decodeVouch(r)
}

func encodeProof(w *wire.Writer, p *tree.MembershipProof) {
	if p == nil {
		panic("BUG: encode a request without a proof")
	}
	w.Vector(p.Encode)
}

// decodeProof reads MembershipProof proof<V>, which holds exactly one.
func decodeProof(r *wire.Reader) *tree.MembershipProof {
	var p *tree.MembershipProof
	r.Vector(func(r *wire.Reader) {
		if p != nil {
			r.Fail(wire.ErrTooLong)
			return
		}
		p = new(tree.MembershipProof)
		p.Decode(r)
	})
	if p == nil {
		r.Fail(wire.ErrMalformed)
	}
	return p
}

func encodeOptionalProof(w *wire.Writer, p *tree.MembershipProof) {
	w.Bool(p != nil)
	if p != nil {
		encodeProof(w, p)
	}
}

func decodeOptionalProof(r *wire.Reader) *tree.MembershipProof {
	if !r.Bool() {
		return nil
	}
	return decodeProof(r)
}

func encodeVouch(w *wire.Writer, v *Vouch) {
	w.Bool(v != nil)
	if v != nil {
		w.Uint16(v.Anchor)
		encodeProof(w, v.Author)
	}
}

func decodeVouch(r *wire.Reader) *Vouch {
	if !r.Bool() {
		return nil
	}
	return &Vouch{Anchor: r.Uint16(), Author: decodeProof(r)}
}
