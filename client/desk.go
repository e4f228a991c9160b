package client

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
)

// A desk is where a device has its wrapping done: it knows the certificate that
// stands for each community now, and that it is good. It goes round the
// services when it is told to, and never while a room is held. What it has
// found counts for as long as the status says, never longer.
type desk struct {
	services KeyServices
	store    Store
	trust    func() *coi.Trust
	now      func() time.Time

	writing  sync.Mutex // held while what is newest is written; taken before mu
	mu       sync.Mutex
	standing map[groups.CoIID]*standing // at most maxDesk
	newest   map[groups.CoIID]time.Time // NotBefore of the newest certificate that was shown, as in the store; at most maxDesk
	busy     map[groups.CoIID]chan struct{}
}

// maxDesk bounds the communities a desk remembers. Over it, what stands is looked
// up anew, and of what was newest the oldest is forgotten.
const maxDesk = 1024

// A standing is a certificate that keys may be wrapped to.
type standing struct {
	root      groups.Hash // that it was verified under
	leaf      *x509.Certificate
	recipient groups.CoIRecipient
	strict    bool      // status was asked for directly, with a nonce
	checked   time.Time // when it was
	until     time.Time // the end of what the status says
}

// strictAge is how long a status counts that was asked for with a nonce: until
// the one wrap that it was asked for, which spends it.
const strictAge = time.Minute

// good says whether a standing may be used for a community under a policy.
func (s *standing) good(c *groups.CoI, strict bool, now time.Time) bool {
	if s == nil || s.root != c.Root || !now.Before(s.until) || now.Before(s.checked.Add(-groups.ClockSkew)) {
		return false
	}
	return !strict || s.strict && now.Before(s.checked.Add(strictAge))
}

// newDesk returns a desk that knows what earlier runs of the device were shown.
func newDesk(cfg *Config, trust func() *coi.Trust) (*desk, error) {
	newest, err := loadNewest(cfg.Store)
	if err != nil {
		return nil, err
	}
	return &desk{
		services: cfg.KeyServices, store: cfg.Store, trust: trust, now: cfg.Now,
		standing: make(map[groups.CoIID]*standing), newest: newest, busy: make(map[groups.CoIID]chan struct{}),
	}, nil
}

// recipients returns whom a policy wraps keys to; false if one of them has to
// be fetched or checked first. A status that a strict policy asked for is spent
// by that.
func (k *desk) recipients(p *groups.Policy, now time.Time) ([]wrap.Recipient, []groups.CoIRecipient, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	to := make([]wrap.Recipient, 0, len(p.CoIs))
	list := make([]groups.CoIRecipient, 0, len(p.CoIs))
	for i := range p.CoIs {
		c := &p.CoIs[i]
		s := k.standing[c.Name]
		if !s.good(c, p.StrictStatus, now) {
			return nil, nil, false
		}
		to = append(to, wrap.Recipient{Name: string(c.Name), Certificate: s.leaf})
		list = append(list, s.recipient)
	}
	if p.StrictStatus {
		for i := range p.CoIs {
			spent := *k.standing[p.CoIs[i].Name]
			spent.strict = false
			k.standing[spent.recipient.Name] = &spent
		}
	}
	return to, list, true
}

// known returns the certificate that stands for a community, nil if it has to be
// fetched or checked first.
func (k *desk) known(c *groups.CoI, strict bool) *standing {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.standing[c.Name]; s.good(c, strict, k.now()) {
		return s
	}
	return nil
}

// forget makes the desk look at a community again before it wraps to it.
func (k *desk) forget(name groups.CoIID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.standing, name)
}

// fetch gets and checks what a policy wraps keys to. The error is of the first
// community that has no good certificate: of kind CoIRevoked if that is known
// for certain, of kind CoIUnavailable if it can not be found out.
func (k *desk) fetch(ctx context.Context, p *groups.Policy) error {
	errs := make([]error, len(p.CoIs))
	var all sync.WaitGroup
	for i := range p.CoIs {
		all.Go(func() { _, errs[i] = k.certify(ctx, &p.CoIs[i], p.StrictStatus) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// certify returns a good certificate of a community, after one round of its
// services if need be. Callers of the same one wait for each other.
func (k *desk) certify(ctx context.Context, c *groups.CoI, strict bool) (*standing, error) {
	for {
		if s := k.known(c, strict); s != nil {
			return s, nil
		}
		k.mu.Lock()
		wait := k.busy[c.Name]
		if wait == nil {
			wait = make(chan struct{})
			k.busy[c.Name] = wait
			k.mu.Unlock()
			s, err := k.ask(ctx, c, strict)
			if err == nil {
				k.put(c.Name, s)
			} else {
				k.forget(c.Name)
			}
			k.mu.Lock()
			delete(k.busy, c.Name)
			close(wait)
			k.mu.Unlock()
			return s, err
		}
		k.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// recheck is how old the news of a community may get while its key is in use:
// whoever sends hears of a revocation by then. It bounds what a device asks of a
// lookup service to a request in so long.
const recheck = time.Minute

// refresh looks at the communities of a policy again where the last look is too
// long ago. What was found before counts on, as long as its status says, where a
// service can not be reached now; only what is known for certain changes it.
func (k *desk) refresh(ctx context.Context, p *groups.Policy) error {
	var unknown error
	for i := range p.CoIs {
		err := k.look(ctx, &p.CoIs[i], p.StrictStatus)
		if groups.KindOf(err) == groups.CoIRevoked {
			return err // whatever is not known of the others
		}
		if err != nil && unknown == nil {
			unknown = err
		}
	}
	return unknown
}

// look looks at one community again. A strict policy's wraps do not go by it:
// each asks for itself.
func (k *desk) look(ctx context.Context, c *groups.CoI, strict bool) error {
	if s := k.known(c, false); s != nil && k.now().Before(s.checked.Add(recheck)) {
		return nil
	}
	s, err := k.ask(ctx, c, strict)
	switch {
	case err == nil:
		k.saw(c, s)
	case groups.KindOf(err) == groups.CoIRevoked:
		k.forget(c.Name)
		return err
	case k.known(c, false) == nil:
		return err
	}
	return nil
}

// saw remembers what a look has found, unless a commit has just fetched a status
// for itself: it would miss that, and fetch again, as often as somebody looks.
func (k *desk) saw(c *groups.CoI, s *standing) {
	if own := k.known(c, true); own != nil && own.leaf.Equal(s.leaf) {
		return
	}
	s.strict = false
	k.put(c.Name, s)
}

// put remembers a certificate.
func (k *desk) put(name groups.CoIID, s *standing) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.standing) >= maxDesk {
		clear(k.standing)
	}
	k.standing[name] = s
}

// publicHash names a certificate's key: SHA-256 of its SubjectPublicKeyInfo.
func publicHash(c *x509.Certificate) groups.Hash { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }
