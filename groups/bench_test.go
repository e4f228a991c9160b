package groups

import (
	"testing"

	"parley/mls"
)

// BenchmarkAcceptMessage is the hub's judgement of a 300-byte message.
func BenchmarkAcceptMessage(b *testing.B) {
	w, a, _, _ := room(new(testing.T), openPolicy())
	sub := a.message(w.hub, string(make([]byte, 300)))
	b.ReportAllocs()
	for b.Loop() {
		step, err := w.hub.Accept(sub, 1, w.now)
		if err != nil {
			b.Fatal(err)
		}
		w.hub = step.Next
	}
}

// BenchmarkAcceptCommit is the hub's judgement of an update in a room of three.
func BenchmarkAcceptCommit(b *testing.B) {
	w, a, _, _ := room(new(testing.T), openPolicy())
	sub, _ := a.commit(w.hub, mls.CommitOptions{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.hub.Accept(sub, 1, w.now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseRoomID is the check of a name that every submission brings.
func BenchmarkParseRoomID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRoomID("mimi://alpha.example/r/bench12"); err != nil {
			b.Fatal(err)
		}
	}
}
