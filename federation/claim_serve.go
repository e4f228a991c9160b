package federation

import (
	"context"
	"sync"

	"golang.org/x/time/rate"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// claimed answers a peer's claim: another site may ask for people of this site,
// at a bounded rate for each; a sibling for what is published here.
func (l *link) claimed(ctx context.Context, c *linkv1.Claim) (*linkv1.Claimed, error) {
	if len(c.Users) > maxUsers || c.Suite > 0xffff {
		return nil, groups.Errorf(groups.TooLarge, "a claim of %d users, the limit is %d", len(c.Users), maxUsers)
	}
	if _, err := groups.ParseRoomID(c.Room); err != nil {
		return nil, err
	}
	got := newHarvest()
	rest := &linkv1.Claim{Room: c.Room, Suite: c.Suite}
	for _, text := range c.Users {
		user, err := groups.ParseUserID(text)
		if err != nil {
			return nil, err
		}
		if err := l.mayClaim(user); err != nil {
			got.fail(user, err)
			continue
		}
		if got.full() {
			got.fail(user, groups.Errorf(groups.Busy, "the answer is full: ask for fewer people at once"))
			continue
		}
		rest.Users = append(rest.Users, text)
		packages, err := l.node.cfg.Keys.TakeKeyPackages(user, groups.CipherSuite(c.Suite))
		if err != nil {
			got.fail(user, err)
		}
		for _, p := range packages {
			got.put(p)
		}
	}
	if !l.sibling() && len(rest.Users) > 0 {
		l.node.claimSiblings(ctx, rest, got)
	}
	return l.claimAnswer(c, got), nil
}

// mayClaim says whether the peer may have a key package of user now.
func (l *link) mayClaim(user groups.UserID) error {
	switch {
	case user.Site() != l.node.site:
		return groups.Errorf(groups.Denied, "%s does not speak for %s", l.node.site, user)
	case !l.sibling() && !l.node.claims.allow(l.peer.Site(), user):
		return groups.Errorf(groups.Busy, "%s has claimed too many key packages of %s: try again later", l.peer.Site(), user)
	}
	return nil
}

func (l *link) claimAnswer(c *linkv1.Claim, got *harvest) *linkv1.Claimed {
	out := &linkv1.Claimed{}
	for _, p := range got.packages {
		out.KeyPackages = append(out.KeyPackages, &linkv1.KeyPackage{Device: string(p.Device), Suite: uint32(p.Suite), KeyPackage: p.Bytes})
	}
	users := make([]groups.UserID, len(c.Users))
	for i, u := range c.Users {
		users[i] = groups.UserID(u)
	}
	failures := got.failures(users)
	for u, err := range failures {
		l.node.metrics.claims.WithLabelValues(result(err)).Inc()
		out.Failures = append(out.Failures, &linkv1.ClaimFailure{User: string(u), Why: refusal(err)})
	}
	l.node.metrics.claims.WithLabelValues("ok").Add(float64(len(users) - len(failures)))
	return out
}

// claimLimits bound how fast a site may take the key packages of one user, so
// that none can be drained.
type claimLimits struct {
	mu    sync.Mutex
	pairs map[claimant]*rate.Limiter // at most maxClaimants: then all begin anew
}

type claimant struct {
	site groups.SiteID
	user groups.UserID
}

func newClaimLimits() *claimLimits { return &claimLimits{pairs: make(map[claimant]*rate.Limiter)} }

func (c *claimLimits) allow(site groups.SiteID, user groups.UserID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := claimant{site, user}
	l := c.pairs[key]
	if l == nil {
		if len(c.pairs) >= maxClaimants {
			clear(c.pairs)
		}
		l = rate.NewLimiter(rate.Every(claimEvery), claimBurst)
		c.pairs[key] = l
	}
	return l.Allow()
}
