package service

import (
	"bytes"
	"testing"
	"time"

	"parley/coi"
)

// "A key that was made and has no certificate yet replaces none", and a service
// without any certificate claims nothing.
func TestE23_TheKeyWithTheNewestCertificateReplacesTheOthers(t *testing.T) {
	const name = "mimi://alpha.example/c/finance"
	now := time.Now()
	key := func(since time.Time) HeldKey {
		private, err := coi.NewCoIKey("p256")
		if err != nil {
			t.Fatal(err)
		}
		k, err := NewHeldKey(name, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		k.Since = since
		return k
	}
	oldest, newest, pending := key(now.Add(-time.Hour)), key(now), key(time.Time{})
	for _, order := range [][]HeldKey{{oldest, newest, pending}, {newest, oldest, pending}} {
		if got := NewKeyRing(order...).certified(name); !bytes.Equal(got, newest.SPKI[:]) {
			t.Errorf("certified is %x, want %x", got, newest.SPKI)
		}
	}
	if got := NewKeyRing(pending).certified(name); got != nil {
		t.Errorf("a key without certificate counts as certified: %x", got)
	}
}
