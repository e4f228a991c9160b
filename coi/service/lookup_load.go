package service

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"parley/coi"
)

const (
	// lookEvery is how often the file is looked at.
	lookEvery = 250 * time.Millisecond
	// retryStatus is how soon a status that was not had is asked for again.
	retryStatus = 2 * time.Second
)

// errNotAsked says that a status has not been asked for yet.
var errNotAsked = errors.New("it was not asked for yet")

// A fileStamp tells whether a file is another than before.
type fileStamp struct {
	size int64
	time time.Time
}

// Run keeps the list and the status fresh until the context ends. A responder
// that does not answer holds up no change of the list.
func (l *Lookup) Run(ctx context.Context) {
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() {
		every(ctx, func() {
			if err := l.load(); err != nil {
				l.config.Logger.Error("list of CoIs", "err", err)
			}
		})
	})
	every(ctx, func() { l.staple(ctx) })
}

// every does something at once and then again and again until the context ends.
func every(ctx context.Context, do func()) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// load reads the file if it is another than before. What can not be read, or
// does not verify, leaves what was there.
func (l *Lookup) load() error {
	info, err := os.Stat(l.config.File)
	if err != nil {
		return l.breaks(fmt.Errorf("read list of CoIs (parley-pki coi publish writes it): %w", err))
	}
	now := fileStamp{info.Size(), info.ModTime()}
	l.mu.RLock()
	same := l.stamp == now
	l.mu.RUnlock()
	if same {
		return nil
	}
	shown, err := l.read()
	if err != nil {
		return l.breaks(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, list := range shown {
		for _, s := range list {
			for _, old := range l.shown[name] {
				s.inherit(old)
			}
		}
	}
	l.shown, l.stamp, l.broken = shown, now, nil
	l.config.Logger.Info("list of CoIs read", "cois", len(shown))
	return nil
}

// inherit takes over the status that was had for the same certificate. Where
// the CoI CA has changed its mind about it since, it is asked for anew at once,
// and a revoked one is not shown with what was said before.
func (s *shownCoI) inherit(old *shownCoI) {
	if !bytes.Equal(old.subject.Leaf.Raw, s.subject.Leaf.Raw) {
		return
	}
	if old.state == s.state {
		s.asked = old.asked
	} else if s.state == "revoked" {
		return
	}
	s.status, s.next, s.trouble = old.status, old.next, old.trouble
}

// breaks notes why the file can not be read; it says so once.
func (l *Lookup) breaks(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil && l.broken.Error() == err.Error() {
		return nil
	}
	l.broken = err
	return err
}

// read reads the file and verifies every certificate in it.
func (l *Lookup) read() (map[string][]*shownCoI, error) {
	data, err := readSmall(l.config.File, maxPublication)
	if err != nil {
		return nil, err
	}
	var p Publication
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read %s: %w", l.config.File, err)
	}
	if p.Site != l.config.Site {
		return nil, fmt.Errorf("%s is the list of %s, not of %s", l.config.File, clip(p.Site), l.config.Site)
	}
	trust, err := l.config.Trust()
	if err != nil {
		return nil, err
	}
	shown := map[string][]*shownCoI{}
	for _, c := range p.Certificates {
		s, err := l.verify(trust, c)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %s of %s: %w", l.config.File, clip(c.Serial), clip(c.Name), err)
		}
		shown[c.Name] = append(shown[c.Name], s)
	}
	for name, list := range shown {
		slices.SortStableFunc(list, func(a, b *shownCoI) int {
			if a.active != b.active {
				if a.active {
					return -1
				}
				return 1
			}
			return b.subject.Leaf.NotBefore.Compare(a.subject.Leaf.NotBefore)
		})
		shown[name] = list[:min(len(list), maxRetired+1)]
	}
	return shown, nil
}

// verify checks one certificate at a time when it was valid: those that have
// ended are shown too, for who looks at old keys.
func (l *Lookup) verify(trust *coi.Trust, c CoICertificate) (*shownCoI, error) {
	leaf, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	at := l.config.Now()
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	subject, err := trust.VerifyCoI([][]byte{c.DER}, at)
	if err != nil {
		return nil, err
	}
	if subject.URI != c.Name || subject.Site != l.config.Site {
		return nil, fmt.Errorf("it is of %s", subject.URI)
	}
	return &shownCoI{subject: subject, active: c.State == "active", state: c.State, trouble: errNotAsked}, nil
}

// staple asks for the status of every certificate that is due, one after the
// other.
func (l *Lookup) staple(ctx context.Context) {
	if l.config.OCSP == "" {
		return
	}
	for _, s := range l.due() {
		if ctx.Err() != nil {
			return
		}
		der, status, err := AskStatus(ctx, l.config.Client, StatusQuestion{URL: l.config.OCSP, Cert: s.subject.Leaf, Issuer: s.subject.Issuer, Now: l.config.Now})
		l.mu.Lock()
		changed := (s.trouble == nil) != (err == nil)
		s.asked, s.trouble = l.config.Now(), err
		if err == nil {
			s.status, s.next = der, status.NextUpdate
		}
		l.mu.Unlock()
		if changed && err != nil && ctx.Err() == nil {
			l.config.Logger.Warn("no status", "coi", s.subject.URI, "err", err)
		}
	}
}

// due lists the certificates whose status is to be asked for: those without one
// soon, the others when half of its life, or Refresh, is over. Of certificates
// that have ended nobody asks.
func (l *Lookup) due() []*shownCoI {
	now := l.config.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	var out []*shownCoI
	for _, list := range l.shown {
		for _, s := range list {
			wait := min(l.config.Refresh, s.next.Sub(s.asked)/2)
			if s.trouble != nil {
				wait = retryStatus
			}
			if !now.After(s.subject.NotAfter) && (s.asked.IsZero() || now.Sub(s.asked) >= wait) {
				out = append(out, s)
			}
		}
	}
	return out
}
