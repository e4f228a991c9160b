package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"parley/groups"
)

// maxClaimTargets bounds the users whose claims are counted for one device;
// over it claims are Busy until an hour has passed.
const maxClaimTargets = 1024

// rates is how fast one device may ask. It outlives sessions, so that logging
// in again gives nothing.
type rates struct {
	limits   Limits
	messages *rate.Limiter
	commits  *rate.Limiter
	signals  *rate.Limiter
	calls    *rate.Limiter

	mu      sync.Mutex
	used    time.Time
	streams int                       // that run now
	claims  map[groups.UserID]*window // by target
	bytes   window                    // of blobs put
}

// A window counts what happened since it began; a new one begins when its
// span is over.
type window struct {
	began time.Time
	n     uint64
}

// take adds n unless that goes over limit in this span.
func (w *window) take(n, limit uint64, span time.Duration, now time.Time) bool {
	if now.Sub(w.began) >= span {
		*w = window{began: now}
	}
	if n > limit || w.n > limit-n {
		return false
	}
	w.n += n
	return true
}

func newRates(l Limits) *rates {
	return &rates{
		limits:   l,
		messages: rate.NewLimiter(rate.Limit(l.Messages), l.MessageBurst),
		commits:  rate.NewLimiter(rate.Limit(l.Commits), l.CommitBurst),
		signals:  rate.NewLimiter(rate.Limit(l.Signals), int(l.Signals)+1),
		calls:    rate.NewLimiter(rate.Limit(l.Calls), int(l.Calls)+1),
		claims:   make(map[groups.UserID]*window),
	}
}

func busy(what string) error {
	return groups.Errorf(groups.Busy, "%s: more than this node takes from one device: try later", what)
}

// submission asks whether one more submission of a kind may pass. Key records
// and flags are as rare as commits and cost a hub as much.
func (r *rates) submission(k groups.EntryKind, now time.Time) error {
	if k != groups.KindMessage && k != groups.KindProposal {
		if !r.commits.AllowN(now, 1) {
			return busy("commits")
		}
		return nil
	}
	if !r.messages.AllowN(now, 1) {
		return busy("messages")
	}
	return nil
}

// stream takes a place for a stream; release gives it back.
func (r *rates) stream() (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams >= r.limits.Streams {
		return nil, busy("streams")
	}
	r.streams++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.streams--
	}, nil
}

// claim counts one claim of a user's key packages.
func (r *rates) claim(target groups.UserID, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.claims[target]
	if w == nil {
		if len(r.claims) >= maxClaimTargets {
			for u, old := range r.claims {
				if now.Sub(old.began) >= time.Hour {
					delete(r.claims, u)
				}
			}
		}
		if len(r.claims) >= maxClaimTargets {
			return busy("key package claims")
		}
		w = new(window)
		r.claims[target] = w
	}
	if !w.take(1, uint64(r.limits.Claims), time.Hour, now) {
		return busy("key package claims for " + string(target))
	}
	return nil
}

// put counts blob bytes of today; refund gives back what was not stored.
func (r *rates) put(n int, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.bytes.take(uint64(n), r.limits.BlobBytes, 24*time.Hour, now) {
		return groups.Errorf(groups.Busy, "blobs: this device has put all it may today")
	}
	return nil
}

func (r *rates) refund(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes.n -= min(r.bytes.n, uint64(n))
}

// idle says whether nothing is lost by forgetting r.
func (r *rates) idle(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.streams == 0 && now.Sub(r.used) >= 24*time.Hour
}

// devices holds the rates of devices.
type devices struct {
	limits Limits

	mu sync.Mutex
	m  map[groups.DeviceID]*rates // at most limits.Devices
}

func newDevices(l Limits) *devices {
	return &devices{limits: l, m: make(map[groups.DeviceID]*rates)}
}

// of returns the rates of a device. A full table forgets the devices that have
// been idle for a day, and is Busy if there are none.
func (d *devices) of(device groups.DeviceID, now time.Time) (*rates, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.m[device]
	if r == nil {
		if len(d.m) >= d.limits.Devices {
			d.forget(now)
		}
		if len(d.m) >= d.limits.Devices {
			return nil, groups.Errorf(groups.Busy, "login: this node serves all the devices it can: try another, or later")
		}
		r = newRates(d.limits)
		d.m[device] = r
	}
	r.mu.Lock()
	r.used = now
	r.mu.Unlock()
	return r, nil
}

// sweep forgets devices that have been idle for a day.
func (d *devices) sweep(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(now)
}

// forget is called with mu held.
func (d *devices) forget(now time.Time) {
	for id, r := range d.m {
		if r.idle(now) {
			delete(d.m, id)
		}
	}
}
