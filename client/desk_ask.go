package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"time"

	"parley/coi"
	"parley/groups"
)

const (
	// askTimeout bounds a round of a community's services.
	askTimeout = 15 * time.Second
	// againPause is waited, give or take half, before a community whose
	// certificate is revoked is looked up again: its officer replaces it in two
	// services, one after the other.
	againPause = 500 * time.Millisecond
	// maxStatusAge bounds how old a stapled status may be, whatever it says.
	maxStatusAge = 24 * time.Hour
	// nonceLen is what RFC 9654 recommends.
	nonceLen = 32
)

// A verdict is what a status says about a certificate, in terms of what to do.
type verdict struct {
	revoked bool
	status  coi.Status
	strict  bool
}

// ask goes round a community's services once; where its certificate is revoked,
// a second time, for the one that has taken its place.
func (k *desk) ask(ctx context.Context, c *groups.CoI, strict bool) (*standing, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := k.askOnce(ctx, c, strict)
	if groups.KindOf(err) != groups.CoIRevoked {
		return s, err
	}
	if pause(ctx, againPause/2+mrand.N(againPause)) != nil {
		return nil, err
	}
	if s, again := k.askOnce(ctx, c, strict); again == nil {
		return s, nil
	}
	return nil, err
}

// askOnce looks a community up, and checks what it finds: chain, purpose,
// validity, status, and that the unwrap service holds the same key.
func (k *desk) askOnce(ctx context.Context, c *groups.CoI, strict bool) (*standing, error) {
	certificates, err := k.services.Certificates(ctx, c)
	if err != nil {
		return nil, unavailable(c, "lookup service: %w", err)
	}
	if len(certificates) > maxCoICertificates {
		return nil, unavailable(c, "lookup service gives %d certificates: at most %d are looked at", len(certificates), maxCoICertificates)
	}
	why := k.orphaned(ctx, c, certificates)
	newest, err := k.newestOf(c, certificates)
	if err != nil {
		return nil, unavailable(c, "%w", err)
	}
	for i := range certificates {
		if certificates[i].Retired {
			continue
		}
		var s *standing
		if s, err = k.examine(ctx, c, &certificates[i], strict); err != nil {
			why = err
			continue
		}
		if s.leaf.NotBefore.Before(newest) {
			why = unavailable(c, "its lookup service offers a certificate of %s, and has shown one of %s: it offers a retired one, or the newer one was withdrawn and its CA has to issue another",
				s.leaf.NotBefore.UTC().Format(time.RFC3339), newest.UTC().Format(time.RFC3339))
			continue
		}
		if err := k.crossCheck(ctx, c, s); err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, why
}

// orphaned says why a community has no certificate that is in use: its last one
// was revoked, if that can be proven, or it is not known.
func (k *desk) orphaned(ctx context.Context, c *groups.CoI, certificates []CoICertificate) error {
	if len(certificates) > 0 && certificates[0].Retired { // the newest; none is in use
		if _, err := k.examine(ctx, c, &certificates[0], false); groups.KindOf(err) == groups.CoIRevoked {
			return err
		}
	}
	return unavailable(c, "its lookup service gives no certificate that is in use")
}

// unavailable says why it is not known whether a community's certificate is
// good.
func unavailable(c *groups.CoI, format string, args ...any) error {
	return groups.Errorf(groups.CoIUnavailable, "nothing can be wrapped to %s: "+format, append([]any{c.Name}, args...)...)
}

// examine judges one certificate.
func (k *desk) examine(ctx context.Context, c *groups.CoI, got *CoICertificate, strict bool) (*standing, error) {
	now := k.now()
	subject, err := k.trust().VerifyCoI(got.Chain, now)
	if err != nil {
		return nil, unavailable(c, "its certificate: %w", err)
	}
	root := groups.Hash(sha256.Sum256(subject.Issuer.Raw))
	switch {
	case subject.URI != string(c.Name):
		return nil, unavailable(c, "its lookup service gives a certificate of %s", subject.URI)
	case root != c.Root:
		return nil, unavailable(c, "its certificate is under another root than the room's policy names")
	}
	leaf := subject.Leaf
	v, err := k.status(ctx, c, got, subject, strict)
	if err != nil {
		return nil, unavailable(c, "status of its certificate: %w", err)
	}
	if v.revoked {
		return nil, groups.Errorf(groups.CoIRevoked, "the certificate of %s (serial %x) was revoked at %s",
			c.Name, leaf.SerialNumber, v.status.RevokedAt.UTC().Format(time.RFC3339))
	}
	until := subject.NotAfter
	if v.status.NextUpdate.Before(until) {
		until = v.status.NextUpdate
	}
	return &standing{
		root: root, leaf: leaf, strict: v.strict, checked: now, until: until,
		recipient: groups.CoIRecipient{
			Name: c.Name, Certificate: sha256.Sum256(leaf.Raw), Serial: leaf.SerialNumber.Bytes(),
			Status: v.status.Hash, StatusAt: uint64(v.status.ThisUpdate.UnixMilli()),
		},
	}, nil
}

// status finds out whether a certificate is revoked. Only what says so for
// certain counts as good: a stapled response, one asked for with a nonce, which
// a strict policy demands, or its issuer's list of revocations.
func (k *desk) status(ctx context.Context, c *groups.CoI, got *CoICertificate, subject *coi.Subject, strict bool) (*verdict, error) {
	var errs []error
	leaf, issuer := subject.Leaf, subject.Issuer
	if !strict && len(got.Status) > 0 {
		s, err := coi.CheckStatus(got.Status, leaf, issuer, coi.StatusOptions{Now: k.now(), MaxAge: maxStatusAge})
		if err == nil {
			return judge(s, false)
		}
		errs = append(errs, fmt.Errorf("stapled: %w", err))
	}
	if c.Status != "" {
		s, err := k.direct(ctx, c, leaf, issuer)
		if err == nil {
			return judge(s, true)
		}
		errs = append(errs, fmt.Errorf("asked at %s: %w", c.Status, err))
	}
	if !strict {
		s, err := k.list(ctx, c, leaf, issuer)
		if err == nil {
			return judge(s, false)
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// judge turns a status into a verdict; what is not known is an error.
func judge(s coi.Status, strict bool) (*verdict, error) {
	switch s.State {
	case coi.Good:
		return &verdict{status: s, strict: strict}, nil
	case coi.Revoked:
		return &verdict{status: s, strict: strict, revoked: true}, nil
	}
	return nil, fmt.Errorf("%s says that it does not know it", s.Responder)
}

// direct asks the responder, with a nonce, so that no older answer will do.
func (k *desk) direct(ctx context.Context, c *groups.CoI, leaf, issuer *x509.Certificate) (coi.Status, error) {
	status, _, err := k.asked(ctx, c, leaf, issuer)
	return status, err
}

// asked is direct, with the response itself.
func (k *desk) asked(ctx context.Context, c *groups.CoI, leaf, issuer *x509.Certificate) (coi.Status, []byte, error) {
	nonce := make([]byte, nonceLen)
	rand.Read(nonce)
	request, err := coi.NewStatusRequest(leaf, issuer, nonce)
	if err != nil {
		return coi.Status{}, nil, err
	}
	response, err := k.services.Status(ctx, c, request)
	if err != nil {
		return coi.Status{}, nil, err
	}
	status, err := coi.CheckStatus(response, leaf, issuer, coi.StatusOptions{Now: k.now(), Nonce: nonce})
	return status, response, err
}

// list looks a certificate up in its issuer's list of revocations.
func (k *desk) list(ctx context.Context, c *groups.CoI, leaf, issuer *x509.Certificate) (coi.Status, error) {
	if len(leaf.CRLDistributionPoints) == 0 {
		return coi.Status{}, errors.New("its certificate names no list of revocations")
	}
	url := leaf.CRLDistributionPoints[0]
	der, err := k.services.Revocations(ctx, c, url)
	if err != nil {
		return coi.Status{}, fmt.Errorf("list of revocations: %w", err)
	}
	return coi.CheckCRL(der, leaf, issuer, k.now())
}

// crossCheck asks the unwrap services, one after the other, until one answers:
// a key that it does not hold is one that nobody could open, or that somebody
// has slipped in.
func (k *desk) crossCheck(ctx context.Context, c *groups.CoI, s *standing) error {
	var errs []error
	for _, url := range c.Unwrap {
		held, err := k.services.Held(ctx, c, url)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !held.agrees(publicHash(s.leaf)) {
			return unavailable(c, "its lookup service and its unwrap service at %s name different keys", url)
		}
		return nil
	}
	return unavailable(c, "no unwrap service answers: %w", errors.Join(errs...))
}
