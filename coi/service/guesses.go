package service

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// guessBurst wrong codes may come from an address at once,
	guessBurst = 10
	// guessEvery another one after this long.
	guessEvery = 6 * time.Second
	// maxGuessers bounds the addresses that are told apart; when there are
	// more, those that have come to rest are forgotten, and if none has, the
	// rest share one allowance.
	maxGuessers = 4096
)

// guesses counts the wrong codes of each address. Codes of 80 bits can not be
// guessed: this keeps the disk and the log from those who try.
type guesses struct {
	mu     sync.Mutex // guards the rest
	by     map[netip.Prefix]*rate.Limiter
	others *rate.Limiter
}

func newGuesses() *guesses {
	return &guesses{by: map[netip.Prefix]*rate.Limiter{}, others: newGuesser()}
}

func newGuesser() *rate.Limiter { return rate.NewLimiter(rate.Every(guessEvery), guessBurst) }

// allow says whether an address may try a code.
func (g *guesses) allow(addr string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.by[origin(addr)]
	if l == nil {
		l = g.others
		if len(g.by) < maxGuessers {
			return true
		}
	}
	return l.TokensAt(now) >= 1
}

// wrong counts a wrong code.
func (g *guesses) wrong(addr string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	from := origin(addr)
	l := g.by[from]
	if l == nil {
		if len(g.by) >= maxGuessers {
			g.forget(now)
		}
		if l = g.others; len(g.by) < maxGuessers {
			l = newGuesser()
			g.by[from] = l
		}
	}
	l.AllowN(now, 1)
}

// forget drops the addresses whose allowance is whole again.
func (g *guesses) forget(now time.Time) {
	for from, l := range g.by {
		if l.TokensAt(now) >= guessBurst {
			delete(g.by, from)
		}
	}
}

// origin is who is counted as one: an IPv4 address, an IPv6 network of 64 bits.
func origin(addr string) netip.Prefix {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.Prefix{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits) // both fit
	return p
}
