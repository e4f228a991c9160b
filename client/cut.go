package client

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"

	"parley/coi"
	"parley/groups"
)

// CutServices are KeyServices that also know which bots were cut off. It is safe
// for many goroutines. Where Config.KeyServices is none, no bot is known to be.
type CutServices interface {
	// Cuts asks an unwrap service of a community which of some devices it has cut
	// off. What comes back (coi.Cuts, signed) is judged by the caller.
	Cuts(ctx context.Context, c *groups.CoI, url string, q CutQuestion) ([]byte, error)
}

// A CutQuestion is what an unwrap service is asked about cuts.
type CutQuestion struct {
	Devices []groups.DeviceID // at most coi.MaxCuts
	Nonce   [coi.CutNonce]byte
}

// cutOff asks the communities of a room, at all their unwrap services at once,
// which of its bots are cut off. Each service has rules of its own: what one of
// them says for certain is enough, and what another does not say, or none,
// changes nothing. A device at which a person may sit is not asked about.
func (d *Device) cutOff(ctx context.Context, q *suspicion) map[groups.DeviceID]groups.Warrant {
	out := make(map[groups.DeviceID]groups.Warrant)
	services, ok := d.desk.services.(CutServices)
	if !ok {
		return out
	}
	var mu sync.Mutex // guards out
	var all sync.WaitGroup
	for some := range slices.Chunk(q.bots, coi.MaxCuts) {
		for i := range q.policy.CoIs {
			c := &q.policy.CoIs[i]
			for _, url := range c.Unwrap {
				all.Go(func() {
					signed, cuts, err := d.askCuts(ctx, services, cutAsk{c, url, some})
					if err != nil {
						d.cfg.Log.Info("which bots are cut off", "community", c.Name, "service", url, "error", err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					for _, cut := range cuts.List {
						device := groups.DeviceID(cut.Device)
						out[device] = groups.Warrant{Kind: groups.WarrantCut, Device: device, Proof: signed}
					}
				})
			}
		}
		all.Wait() // so that no more than the services of one room are asked at a time
	}
	return out
}

// A cutAsk is one question to one service.
type cutAsk struct {
	community *groups.CoI
	url       string
	bots      []seat
}

// askCuts asks one service, and believes it only if the statement is by an unwrap
// service of the community's own site, about this community, and new: it carries
// the question's nonce.
func (d *Device) askCuts(ctx context.Context, services CutServices, a cutAsk) ([]byte, *coi.Cuts, error) {
	var q CutQuestion
	rand.Read(q.Nonce[:])
	for i := range a.bots {
		q.Devices = append(q.Devices, a.bots[i].device)
	}
	signed, err := services.Cuts(ctx, a.community, a.url, q)
	if err != nil {
		return nil, nil, err
	}
	now := d.cfg.Now()
	cuts, err := d.self.Load().trust.VerifyCuts(signed, coi.CutOptions{
		Now: now, MaxAge: coi.OustAge, CoI: string(a.community.Name), Nonce: q.Nonce[:],
	})
	if err != nil {
		return nil, nil, groups.Errorf(groups.Denied, "%s: %w", a.url, err)
	}
	for _, cut := range cuts.List {
		if !slices.Contains(q.Devices, groups.DeviceID(cut.Device)) {
			return nil, nil, groups.Errorf(groups.Invalid, "%s speaks of %s, about which it was not asked", a.url, cut.Device)
		}
	}
	return signed, cuts, nil
}
