package groups

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"parley/mls"
	"parley/mls/wire"
)

// known is a Directory that knows which key is whose.
type known map[DeviceID]string

func (k known) Device(cred wire.Credential, key []byte, at time.Time) (DeviceID, error) {
	d := DeviceID(cred.Identity)
	if k[d] != string(key) || at.Before(start.Add(-time.Hour)) {
		return "", Errorf(Denied, "%s has another key", d)
	}
	return d, nil
}

// exported makes a room of three keys by two people, and its export.
func exported(t *testing.T) (records []ExportedRecord, keys known, w *world, a *device) {
	w, a, ph, b := coiRoom(t, coiPolicy())
	sub, p := b.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser)
	w.advance(b, sub, p, a, ph)
	keys = known{}
	for _, d := range []*device{a, ph, b} {
		keys[d.name] = string(d.id.Signer.PublicKey())
	}
	for _, step := range w.steps {
		records = append(records, ExportedRecord{
			Seq: step.Entry.Seq, Record: step.KeyRecord.Marshal(), Author: step.Stamp.Device,
			LeafSignatureKey: []byte(keys[step.Stamp.Device]), Suite: 1,
		})
	}
	return records, keys, w, a
}

// "each entry verifiable offline to its author's certificate; removal,
// reordering or back-dating is detected"
func TestE16A3_AKeyHistoryVerifiesOffline(t *testing.T) {
	records, keys, w, a := exported(t)
	file, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	var read []ExportedRecord
	if err := json.Unmarshal(file, &read); err != nil {
		t.Fatal(err)
	}
	if last, err := VerifyKeyHistory(read, keys); err != nil || last != w.hub.LastRecord() {
		t.Fatalf("%v, %v", last, err)
	}
	if last, err := VerifyKeyHistory(read[:2], keys); err != nil || last == w.hub.LastRecord() {
		t.Fatalf("a history without its end: %v, %v", last, err)
	}
	second, err := ParseKeyRecord(records[1].Record)
	if err != nil {
		t.Fatal(err)
	}
	resign := func(x *ExportedRecord, by *device, change func(*KeyRecord)) {
		r := *second
		change(&r)
		if err := r.Sign(by.id.Signer); err != nil {
			t.Fatal(err)
		}
		x.Record, x.LeafSignatureKey = r.Marshal(), by.id.Signer.PublicKey()
	}
	good := slices.Clone(records[:2])
	resign(&good[1], a, func(*KeyRecord) {})
	if _, err := VerifyKeyHistory(good, keys); err != nil {
		t.Fatalf("signed again by its author: %v", err)
	}
	for name, change := range map[string]func([]ExportedRecord) []ExportedRecord{
		"nothing":         func([]ExportedRecord) []ExportedRecord { return nil },
		"first left out":  func(x []ExportedRecord) []ExportedRecord { return x[1:] },
		"second left out": func(x []ExportedRecord) []ExportedRecord { return slices.Delete(x, 1, 2) },
		"reordered":       func(x []ExportedRecord) []ExportedRecord { x[1], x[2] = x[2], x[1]; return x },
		"twice":           func(x []ExportedRecord) []ExportedRecord { return append(x, x[2]) },
		"other place":     func(x []ExportedRecord) []ExportedRecord { x[2].Seq = x[1].Seq; return x },
		"other author":    func(x []ExportedRecord) []ExportedRecord { x[2].Author = laptop; return x },
		"other key":       func(x []ExportedRecord) []ExportedRecord { x[2].LeafSignatureKey = x[1].LeafSignatureKey; return x },
		"other suite":     func(x []ExportedRecord) []ExportedRecord { x[2].Suite = 2; return x },
		"no suite":        func(x []ExportedRecord) []ExportedRecord { x[2].Suite = 0; return x },
		"a chain":         func(x []ExportedRecord) []ExportedRecord { x[2].AuthorChain = [][]byte{{1}}; return x },
		"truncated":       func(x []ExportedRecord) []ExportedRecord { x[2].Record = x[2].Record[:40]; return x },
		"changed":         func(x []ExportedRecord) []ExportedRecord { x[2].Record = flip(x[2].Record, 90); return x },
		"back-dated": func(x []ExportedRecord) []ExportedRecord {
			resign(&x[1], a, func(r *KeyRecord) { r.CreatedAt -= 5000 })
			return x[:2]
		},
		"before its certificate": func(x []ExportedRecord) []ExportedRecord {
			resign(&x[1], a, func(r *KeyRecord) { r.Prev, r.CreatedAt = Hash{}, r.CreatedAt-uint64(2*time.Hour/time.Millisecond) })
			return x[1:2]
		},
		"a forger's key under the author's name": func(x []ExportedRecord) []ExportedRecord {
			resign(&x[1], newDevice(t, laptop), func(*KeyRecord) {})
			return x[:2]
		},
		"another room": func(x []ExportedRecord) []ExportedRecord {
			resign(&x[1], a, func(r *KeyRecord) { r.Room = "mimi://alpha.example/r/other" })
			return x[:2]
		},
		"the same epoch": func(x []ExportedRecord) []ExportedRecord {
			resign(&x[1], a, func(r *KeyRecord) { r.Epoch = 0 })
			return x[:2]
		},
	} {
		if _, err := VerifyKeyHistory(change(slices.Clone(records)), keys); err == nil || KindOf(err) == Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
}
