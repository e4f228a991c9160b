package tree

import (
	"bytes"
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// snapshotVersion is the version of the format of Marshal.
const snapshotVersion = 1

// Encode writes the observer:
//
//	struct {
//	    uint8 version = 1;
//	    GroupContext context;
//	    opaque interim_transcript_hash<V>;
//	    optional<Node> ratchet_tree<V>;
//	    AuthenticatedContent pending<V>;
//	} Observer;
func (o *Observer) Encode(w *wire.Writer) {
	w.Uint8(snapshotVersion)
	o.state.Context.Encode(w)
	w.Opaque(o.interim)
	o.state.Tree.Encode(w)
	w.Vector(func(w *wire.Writer) {
		for _, p := range o.pending {
			p.Content.Encode(w)
		}
	})
}

// Marshal returns a snapshot of the observer, all of it public, for
// LoadObserver.
func (o *Observer) Marshal() []byte { return wire.Marshal(o) }

// LoadObserver reads what Marshal wrote. It computes the tree anew and compares
// it with the GroupContext, so that damage is found, but it verifies no
// signature: a snapshot is trusted. The observer keeps b, which must not
// change. It fails with wire.ErrMalformed if b is of another version.
func LoadObserver(b []byte) (*Observer, error) {
	o, err := loadObserver(b)
	if err != nil {
		return nil, fmt.Errorf("load observer: %w", err)
	}
	return o, nil
}

func loadObserver(b []byte) (*Observer, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d", wire.ErrMalformed, v)
	}
	o := new(Observer)
	o.state.Context.Decode(r)
	o.interim = r.Opaque()
	before := r.Rest()
	r.Opaque()
	nodes := before[:len(before)-r.Len()]
	var contents []wire.AuthenticatedContent
	r.Vector(func(r *wire.Reader) {
		var content wire.AuthenticatedContent
		content.Decode(r)
		if len(contents) == MaxPending || r.Err() == nil && content.Content.Proposal == nil {
			r.Fail(fmt.Errorf("%w: pending proposals", wire.ErrMalformed))
		}
		contents = append(contents, content)
	})
	if err := r.Done(); err != nil {
		return nil, err
	}
	s, err := suite.Lookup(suite.ID(o.state.Context.CipherSuite))
	if err != nil {
		return nil, err
	}
	if o.state.Tree, err = Parse(s, nodes); err != nil {
		return nil, err
	}
	if !bytes.Equal(o.state.Tree.Hash(), o.state.Context.TreeHash) {
		return nil, ErrTreeHash
	}
	for _, content := range contents {
		o.pending = append(o.pending, newPending(s, content))
	}
	return o, nil
}
