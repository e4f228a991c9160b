package service

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds the names that one Buckets tells apart. When there are more,
// those that are full again are forgotten; if none is, the rest share one.
const maxBuckets = 1 << 16

// A Quota is how many keys may be had at once, and how many more each second.
type Quota struct {
	Burst     int     `toml:"burst"`      // zero: DefaultQuotas
	PerSecond float64 `toml:"per_second"` // zero: DefaultQuotas
}

// Quotas bound how fast keys go out, and to whom: so that a stolen device does
// not empty a site's history in a minute.
type Quotas struct {
	Device Quota // to one device
	User   Quota // to all devices of one person
	CoI    Quota // of one CoI
}

// DefaultQuotas let a new device read some thousand epochs at once.
func DefaultQuotas() Quotas {
	return Quotas{Device: Quota{5000, 20}, User: Quota{10_000, 40}, CoI: Quota{200_000, 2000}}
}

// or fills in what is zero.
func (q Quota) or(d Quota) Quota {
	if q.Burst == 0 {
		q.Burst = d.Burst
	}
	if q.PerSecond == 0 {
		q.PerSecond = d.PerSecond
	}
	return q
}

// buckets hold a token bucket for each name.
type buckets struct {
	quota  Quota
	by     map[string]*rate.Limiter
	others *rate.Limiter
}

func newBuckets(q Quota) *buckets {
	b := &buckets{quota: q, by: map[string]*rate.Limiter{}}
	b.others = b.limiter()
	return b
}

func (b *buckets) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(b.quota.PerSecond), b.quota.Burst)
}

func (b *buckets) of(name string, now time.Time) *rate.Limiter {
	if l := b.by[name]; l != nil {
		return l
	}
	if len(b.by) >= maxBuckets {
		for other, l := range b.by {
			if l.TokensAt(now) >= float64(b.quota.Burst) {
				delete(b.by, other)
			}
		}
	}
	if len(b.by) >= maxBuckets {
		return b.others
	}
	l := b.limiter()
	b.by[name] = l
	return l
}

// A meter takes tokens from several buckets, from all or from none. It is safe
// for many goroutines.
type meter struct {
	mu                 sync.Mutex // guards the buckets
	device, user, cois *buckets
}

func newMeter(q Quotas) *meter {
	d := DefaultQuotas()
	return &meter{device: newBuckets(q.Device.or(d.Device)), user: newBuckets(q.User.or(d.User)), cois: newBuckets(q.CoI.or(d.CoI))}
}

// drawers are whose buckets a request draws from; an empty one draws from none.
type drawers struct{ device, user, coi string }

// take draws n tokens for n keys, or none at all: then wait says how long until
// there may be enough.
func (m *meter) take(who drawers, n int, now time.Time) (ok bool, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*rate.Limiter
	for _, from := range []struct {
		b    *buckets
		name string
	}{{m.device, who.device}, {m.user, who.user}, {m.cois, who.coi}} {
		if from.name == "" {
			continue
		}
		l := from.b.of(from.name, now)
		all = append(all, l)
		if have := l.TokensAt(now); have < float64(n) {
			wait = max(wait, time.Duration((float64(n)-have)/float64(l.Limit())*float64(time.Second)))
		}
	}
	if wait > 0 {
		return false, wait
	}
	for _, l := range all {
		l.AllowN(now, n)
	}
	return true, 0
}
