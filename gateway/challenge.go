package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"parley/groups"
)

const (
	// challengeLife is how long a nonce may be signed.
	challengeLife = 60 * time.Second
	// maxSpent bounds the nonces remembered as used; at it logins are Busy
	// until some have expired. Only good signatures get there.
	maxSpent = 1 << 16

	nonceRandom = 16
	nonceSize   = nonceRandom + 8 + 16 // random, expiry in ns, tag
)

// challenges makes nonces and takes each back once. A nonce carries its own
// expiry and a tag under a key of this process, so that asking for one costs
// no memory: a flood of strangers can not crowd out who wants to log in.
type challenges struct {
	key [32]byte

	mu    sync.Mutex
	spent map[[nonceRandom]byte]time.Time // until when it must be remembered
}

func newChallenges() *challenges {
	c := &challenges{spent: make(map[[nonceRandom]byte]time.Time)}
	rand.Read(c.key[:])
	return c
}

// issue returns a nonce for one device.
func (c *challenges) issue(device groups.DeviceID, now time.Time) []byte {
	nonce := make([]byte, nonceRandom, nonceSize)
	rand.Read(nonce)
	nonce = binary.BigEndian.AppendUint64(nonce, uint64(now.Add(challengeLife).UnixNano()))
	return append(nonce, c.tag(nonce, device)...)
}

// check says whether a nonce is ours, for this device, and in time. It does
// not use it up.
func (c *challenges) check(nonce []byte, device groups.DeviceID, now time.Time) error {
	if len(nonce) != nonceSize {
		return groups.Errorf(groups.Invalid, "login: the nonce has %d bytes, not %d", len(nonce), nonceSize)
	}
	body := nonce[:nonceRandom+8]
	if !hmac.Equal(nonce[len(body):], c.tag(body, device)) {
		return groups.Errorf(groups.Denied, "login: not a nonce of this node for this device: ask for a challenge")
	}
	if now.After(expiry(nonce)) {
		return groups.Errorf(groups.Denied, "login: the nonce has expired: ask for another challenge")
	}
	return nil
}

// spend uses up a nonce that was checked.
func (c *challenges) spend(nonce []byte, now time.Time) error {
	id := [nonceRandom]byte(nonce[:nonceRandom])
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, used := c.spent[id]; used {
		return groups.Errorf(groups.Denied, "login: the nonce was used before: ask for another challenge")
	}
	if len(c.spent) >= maxSpent {
		c.forget(now)
	}
	if len(c.spent) >= maxSpent {
		return groups.Errorf(groups.Busy, "login: too many logins this minute: try later")
	}
	c.spent[id] = expiry(nonce)
	return nil
}

// sweep forgets used nonces that have expired.
func (c *challenges) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now)
}

// forget is called with mu held.
func (c *challenges) forget(now time.Time) {
	for id, until := range c.spent {
		if now.After(until) {
			delete(c.spent, id)
		}
	}
}

func (c *challenges) tag(body []byte, device groups.DeviceID) []byte {
	m := hmac.New(sha256.New, c.key[:])
	m.Write(body)
	m.Write([]byte(device))
	return m.Sum(nil)[:nonceSize-nonceRandom-8]
}

func expiry(nonce []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(nonce[nonceRandom:])))
}
