package federation

import (
	"context"
	"slices"
	"sync"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// Claim asks for one key package of every device of each user, for use in room:
// people of other sites at their sites, people of this site at its other nodes,
// where their devices may have published. What this node holds itself is the
// caller's to take. It returns within callTime or when ctx ends; users of whom
// nothing was had are in failures, Unavailable if their site was not reached.
// Each package is given out once. All sites are asked at the same time.
func (n *Node) Claim(ctx context.Context, users []groups.UserID, room groups.RoomID, suite groups.CipherSuite) ([]groups.KeyPackage, map[groups.UserID]error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	bySite := make(map[groups.SiteID][]groups.UserID)
	for _, u := range users {
		if !slices.Contains(bySite[u.Site()], u) {
			bySite[u.Site()] = append(bySite[u.Site()], u)
		}
	}
	got := newHarvest()
	var wg sync.WaitGroup
	for site, users := range bySite {
		for part := range slices.Chunk(users, maxUsers) {
			c := &linkv1.Claim{Room: string(room), Suite: uint32(suite), Users: texts(part)}
			if site == n.site {
				wg.Go(func() { n.claimSiblings(ctx, c, got) })
			} else {
				wg.Go(func() { n.claimSite(ctx, site, c, got) })
			}
		}
	}
	wg.Wait()
	return got.packages, got.failures(users)
}

func texts(users []groups.UserID) []string {
	out := make([]string, len(users))
	for i, u := range users {
		out[i] = string(u)
	}
	return out
}

// claimSite asks the nodes of a site one after the other, until one answers.
func (n *Node) claimSite(ctx context.Context, site groups.SiteID, c *linkv1.Claim, got *harvest) {
	err := error(groups.Errorf(groups.Unavailable, "%s can not be reached from here now: look at the name, or try again later", site))
	for _, l := range n.linksOf(site) {
		var a *linkv1.Answer
		if a, err = l.ask(ctx, &linkv1.Call{Ask: &linkv1.Call_Claim{Claim: c}}); err == nil {
			got.add(l.peer, c, a.GetClaim())
			return
		}
	}
	for _, u := range c.Users {
		got.fail(groups.UserID(u), err)
	}
}

// claimSiblings asks all other nodes of this site: each has what was published
// there.
func (n *Node) claimSiblings(ctx context.Context, c *linkv1.Claim, got *harvest) {
	local := &linkv1.Claim{Users: c.Users, Room: c.Room, Suite: c.Suite, Local: true}
	var wg sync.WaitGroup
	for _, l := range n.linksOf(n.site) {
		wg.Go(func() {
			a, err := l.ask(ctx, &linkv1.Call{Ask: &linkv1.Call_Claim{Claim: local}})
			if err == nil {
				got.add(l.peer, local, a.GetClaim())
				return
			}
			for _, u := range c.Users {
				got.fail(groups.UserID(u), err)
			}
		})
	}
	wg.Wait()
}

// A harvest gathers the answers to a claim.
type harvest struct {
	mu       sync.Mutex
	packages []groups.KeyPackage
	bytes    int // of packages, at most maxClaimBytes: what is more is not given out
	devices  map[groups.DeviceID]bool
	users    map[groups.UserID]bool
	wrong    map[groups.UserID]error
}

func newHarvest() *harvest {
	return &harvest{devices: make(map[groups.DeviceID]bool), users: make(map[groups.UserID]bool), wrong: make(map[groups.UserID]error)}
}

// fail notes why nothing was had of a user; a refusal says more than silence.
func (h *harvest) fail(u groups.UserID, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.wrong[u]; was == nil || kindOf(was) == groups.NotFound || kindOf(was) == groups.Unavailable {
		h.wrong[u] = err
	}
}

// full says whether no more fits the answer.
func (h *harvest) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes > maxClaimBytes/2
}

// put takes one package of a device of the users asked for; a second of the
// same device is dropped.
func (h *harvest) put(p groups.KeyPackage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := p.Device.User()
	if !h.devices[p.Device] && h.bytes+len(p.Bytes) <= maxClaimBytes {
		h.bytes += len(p.Bytes)
		h.devices[p.Device], h.users[u] = true, true
		h.packages = append(h.packages, p)
	}
}

// add takes a peer's answer: packages of other users than were asked for are
// dropped.
func (h *harvest) add(peer groups.NodeID, c *linkv1.Claim, m *linkv1.Claimed) {
	for _, p := range m.GetKeyPackages() {
		device, err := groups.ParseDeviceID(p.Device)
		if err != nil || !slices.Contains(c.Users, string(device.User())) || p.Suite != c.Suite {
			continue
		}
		h.put(groups.KeyPackage{Device: device, Suite: groups.CipherSuite(p.Suite), Bytes: p.KeyPackage})
	}
	for _, f := range m.GetFailures() {
		if slices.Contains(c.Users, f.User) {
			h.fail(groups.UserID(f.User), remote(peer, f.Why))
		}
	}
}

// failures returns the users of whom nothing was had.
func (h *harvest) failures(users []groups.UserID) map[groups.UserID]error {
	out := make(map[groups.UserID]error)
	for _, u := range users {
		switch {
		case h.users[u]:
		case h.wrong[u] != nil:
			out[u] = h.wrong[u]
		default:
			out[u] = groups.Errorf(groups.NotFound, "no device of %s has key packages left", u)
		}
	}
	return out
}
