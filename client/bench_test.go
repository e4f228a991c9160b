package client

import (
	"fmt"
	"testing"

	"parley/groups"
	"parley/mls/wire"
)

// A device writes and reads a row for each message: it has to be cheap beside
// the 20 to 40 microseconds of sealing and opening one.
func BenchmarkMessageRow(b *testing.B) {
	m := Message{
		Seq: 12345, ID: newID(), Device: "mimi://alpha.example/d/alice/laptop", Epoch: 3,
		Content: Text(fmt.Sprintf("%0300d", 1)), State: Received,
	}
	b.ReportAllocs()
	for b.Loop() {
		row := packRow(&m)
		var back Message
		if err := unpackRow(TableMessages, row, &back); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoomRow measures what every transaction about a room writes.
func BenchmarkRoomRow(b *testing.B) {
	p := groups.DefaultPolicy("mimi://alpha.example/u/alice")
	r := &room{roomRow: roomRow{Room: "mimi://alpha.example/r/ops", State: RoomLive}}
	if err := r.setPolicy(wire.Extensions{p.Extension()}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.save(nothing{}); err != nil {
			b.Fatal(err)
		}
		r.moved = true
	}
}

// nothing is a transaction that keeps nothing.
type nothing struct{}

func (nothing) Get(Table, []byte) ([]byte, error)                     { return nil, nil }
func (nothing) Put(Table, []byte, []byte) error                       { return nil }
func (nothing) Delete(Table, []byte) error                            { return nil }
func (nothing) Scan(Table, Range, func(key, value []byte) bool) error { return nil }
