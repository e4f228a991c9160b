package groups

import (
	"fmt"
	"maps"
	"slices"

	"parley/mls/tree"
	"parley/mls/wire"
)

// snapshotVersion is the version of the format of Snapshot.
const snapshotVersion = 2

// Snapshot returns the ledger as bytes, all of it public. It takes time in
// proportion to the members: it is for restarts, not for every entry.
//
//	struct {
//	  uint8 version; Head head; uint64 messages;
//	  uint64 began; Left left<V>; Seat seats<V>; Keys keys;
//	  opaque observer<V>;
//	} Ledger;
func (l *Ledger) Snapshot() []byte {
	w := wire.NewWriter(nil)
	w.Uint8(snapshotVersion)
	l.head.Encode(w)
	w.Uint64(l.messages)
	w.Bool(l.room != nil)
	if l.room != nil {
		l.room.encode(w)
	}
	return w.Bytes()
}

func (r *epochState) encode(w *wire.Writer) {
	w.Uint64(r.began)
	w.Vector(func(w *wire.Writer) {
		for _, site := range slices.Sorted(maps.Keys(r.left)) {
			w.String(string(site))
			w.Uint64(uint64(r.left[site]))
		}
	})
	w.Vector(func(w *wire.Writer) {
		for _, m := range r.roster.all() {
			w.Uint32(uint32(m.leaf))
			w.String(string(m.device))
		}
	})
	r.keys.encode(w)
	w.Opaque(r.observer.Marshal())
}

//	struct {
//	  optional<opaque> record<V>; Hash last; uint64 made; KeyEnd past<V>;
//	} Keys;
func (k *keyState) encode(w *wire.Writer) {
	var record []byte
	if k.record != nil {
		record = k.record.Marshal()
	}
	encodeOptionalRecord(w, record)
	w.Raw(k.last[:])
	w.Uint64(k.made)
	w.Vector(func(w *wire.Writer) {
		for _, e := range k.past {
			w.Bool(e.ended)
			w.Uint64(e.after)
		}
	})
}

func decodeKeyState(r *wire.Reader) (k keyState) {
	if b := decodeOptionalRecord(r); b != nil {
		var err error
		if k.record, err = ParseKeyRecord(b); err != nil {
			r.Fail(err)
		}
	}
	k.last = r.Hash()
	k.made = r.Uint64()
	r.Vector(func(r *wire.Reader) {
		if len(k.past) >= PastEpochs {
			r.Fail(wire.ErrTooLong)
			return
		}
		k.past = append(k.past, keyEnd{ended: r.Bool(), after: r.Uint64()})
	})
	return k
}

// LoadLedger reads what Snapshot wrote. Damage is found, but a snapshot is
// trusted: no signature in it is verified. The ledger keeps b, which must not
// change.
func LoadLedger(b []byte, d Directory) (*Ledger, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != snapshotVersion {
		return nil, Errorf(Invalid, "snapshot of a ledger: unknown version %d", v)
	}
	l := &Ledger{directory: d}
	l.head.Decode(r)
	l.messages = r.Uint64()
	var err error
	if r.Bool() {
		l.room, err = decodeEpochState(r)
	}
	if err == nil {
		err = r.Done()
	}
	if err == nil && l.room != nil && (l.head.Epoch != Epoch(l.room.observer.Epoch()) || string(l.room.observer.Context().GroupID) != string(l.head.Room)) {
		err = fmt.Errorf("%w: head and group differ", wire.ErrMalformed)
	}
	if err != nil {
		return nil, Errorf(Invalid, "snapshot of a ledger: %w", err)
	}
	return l, nil
}

func decodeEpochState(r *wire.Reader) (*epochState, error) {
	room := &epochState{began: r.Uint64()}
	r.Vector(func(r *wire.Reader) {
		site := SiteID(r.OpaqueMax(MaxName))
		if room.left == nil {
			room.left = make(map[SiteID]Seq)
		}
		room.left[site] = Seq(r.Uint64())
	})
	var seats []member
	r.Vector(func(r *wire.Reader) {
		seats = append(seats, member{leaf: wire.LeafIndex(r.Uint32()), device: DeviceID(r.OpaqueMax(MaxName))})
	})
	room.keys = decodeKeyState(r)
	observed := r.Opaque()
	if err := r.Err(); err != nil {
		return nil, err
	}
	var err error
	if room.observer, err = tree.LoadObserver(observed); err != nil {
		return nil, err
	}
	if room.policy, err = policyOf(room.observer.Context().Extensions); err != nil {
		return nil, err
	}
	if record := room.keys.record; record != nil && (record.Epoch != Epoch(room.observer.Epoch()) || record.Hash() != room.keys.last) {
		return nil, fmt.Errorf("%w: key record of another epoch", wire.ErrMalformed)
	}
	return room, room.reseat(seats)
}

// reseat checks the seats against the tree, so that a damaged snapshot can
// neither panic nor seat somebody without a leaf.
func (r *epochState) reseat(seats []member) error {
	if len(seats) != r.observer.Tree().Size() {
		return fmt.Errorf("%w: %d seats, %d leaves", wire.ErrMalformed, len(seats), r.observer.Tree().Size())
	}
	for _, m := range seats {
		_, leaf := r.observer.Tree().LeafBytes(m.leaf)
		if _, twice := r.roster.lookup(m.device); twice || !leaf || r.roster.at(m.leaf) != "" {
			return fmt.Errorf("%w: seat of %q", wire.ErrMalformed, m.device)
		}
		r.roster = r.roster.with(m.device, m.leaf)
	}
	return nil
}
