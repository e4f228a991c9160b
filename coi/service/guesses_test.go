package service

import (
	"fmt"
	"testing"
)

// TestGuessersAreBounded: "when there are more, those that have come to rest
// are forgotten, and if none has, the rest share one allowance".
func TestGuessersAreBounded(t *testing.T) {
	g := newGuesses()
	for i := range maxGuessers {
		g.wrong(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), then)
	}
	for i := range guessBurst {
		addr := fmt.Sprintf("192.0.2.%d:1", i)
		if !g.allow(addr, then) {
			t.Errorf("stranger %d is refused", i)
		}
		g.wrong(addr, then)
	}
	if g.allow("192.0.2.99:1", then) {
		t.Error("strangers share no allowance")
	}
	if len(g.by) != maxGuessers {
		t.Errorf("%d addresses are kept", len(g.by))
	}
	later := then.Add(guessEvery * (guessBurst + 1))
	g.wrong("192.0.2.1:1", later)
	if len(g.by) != 1 {
		t.Errorf("%d addresses are kept after a rest, want the new one", len(g.by))
	}
}

func TestOrigin(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:99":           "192.0.2.1/32",
		"[::ffff:192.0.2.1]:99":  "192.0.2.1/32",
		"[2001:db8:1:2:3::4]:99": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:99":      "fe80::/64",
		"somewhere":              "invalid Prefix",
	} {
		if got := origin(addr).String(); got != want {
			t.Errorf("%s is counted as %s, want %s", addr, got, want)
		}
	}
}
