package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"parley/groups"
)

// A session is one login: a device, until it expires. Its context ends with
// it, and with that its streams do.
type session struct {
	device  groups.DeviceID
	expires time.Time
	rates   *rates
	ctx     context.Context // done when the session has ended
	end     context.CancelFunc
	id      tokenHash
}

// A tokenHash names a session: SHA-256 of its token, so that the table holds
// nothing that opens a session.
type tokenHash [sha256.Size]byte

// sessions is the table of sessions, in memory only: after a restart devices
// log in again.
type sessions struct {
	limits  Limits
	devices *devices

	mu       sync.Mutex
	byToken  map[tokenHash]*session         // at most limits.Sessions
	byDevice map[groups.DeviceID][]*session // oldest first, at most limits.DeviceSessions each
}

func newSessions(l Limits, d *devices) *sessions {
	return &sessions{limits: l, devices: d, byToken: make(map[tokenHash]*session), byDevice: make(map[groups.DeviceID][]*session)}
}

// open makes a session that lives no longer than the certificate. A device
// with too many loses its oldest; a full table is Busy.
func (t *sessions) open(device groups.DeviceID, notAfter, now time.Time) (token string, s *session, err error) {
	r, err := t.devices.of(device, now)
	if err != nil {
		return "", nil, err
	}
	var secret [32]byte
	rand.Read(secret[:])
	token = base64.RawURLEncoding.EncodeToString(secret[:])
	expires := now.Add(t.limits.SessionLife)
	if notAfter.Before(expires) {
		expires = notAfter
	}
	s = &session{device: device, expires: expires, rates: r, id: sha256.Sum256([]byte(token))}

	t.mu.Lock()
	defer t.mu.Unlock()
	if own := t.byDevice[device]; len(own) >= t.limits.DeviceSessions {
		t.drop(own[0])
	}
	if len(t.byToken) >= t.limits.Sessions {
		t.expire(now)
	}
	if len(t.byToken) >= t.limits.Sessions {
		return "", nil, groups.Errorf(groups.Busy, "login: this node has all the sessions it can hold: try another, or later")
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	t.byToken[s.id] = s
	t.byDevice[device] = append(t.byDevice[device], s)
	return token, s, nil
}

// find returns the session of a token, unless it has expired.
func (t *sessions) find(token string, now time.Time) (*session, bool) {
	id := tokenHash(sha256.Sum256([]byte(token)))
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.byToken[id]
	if !ok || !now.Before(s.expires) {
		return nil, false
	}
	return s, true
}

// sweep ends the sessions that have expired.
func (t *sessions) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now)
}

// close ends all sessions.
func (t *sessions) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.byToken {
		t.drop(s)
	}
}

// expire is called with mu held.
func (t *sessions) expire(now time.Time) {
	for _, s := range t.byToken {
		if !now.Before(s.expires) {
			t.drop(s)
		}
	}
}

// drop is called with mu held.
func (t *sessions) drop(s *session) {
	s.end()
	delete(t.byToken, s.id)
	own := t.byDevice[s.device]
	for i, o := range own {
		if o == s {
			own = append(own[:i:i], own[i+1:]...)
			break
		}
	}
	if len(own) == 0 {
		delete(t.byDevice, s.device)
		return
	}
	t.byDevice[s.device] = own
}
