package client

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"parley/groups"
)

// A given is a part of an epoch's key as one service gives it when it is asked
// by itself.
type given struct {
	epoch *pastEpoch
	name  groups.CoIID
	url   string
	part  []byte
}

// blame finds out who has given a part that is not of an epoch's key: each
// service of each community is asked again by itself, until what one of them
// gives makes the key with what the others gave. So one service that lies, or
// holds another key under the same name, costs a few requests and no message.
// What stays wrong is told in the report, with who has given it.
func (p *past) blame(ctx context.Context, c *chain, wrong []*pastEpoch, parts map[*pastEpoch]map[groups.CoIID][]byte, keys map[*pastEpoch]*groups.RoomKey) error {
	var all []given
	right := make(map[*pastEpoch]given)
	for _, community := range p.communities(wrong) {
		for _, url := range community.Unwrap {
			one := community
			one.Unwrap = []string{url}
			ask := slices.DeleteFunc(slices.Clone(wrong), func(e *pastEpoch) bool { return !names(e, one.Name) })
			got, err := p.ask(ctx, c, one, ask)
			if errors.Is(err, errUnasked) && ctx.Err() == nil {
				continue
			}
			if err != nil {
				return err
			}
			for e, part := range got {
				g := given{e, one.Name, url, part}
				all = append(all, g)
				if key := e.keyOf(g.instead(parts[e])); key != nil && keys[e] == nil {
					keys[e], right[e] = key, g
					p.report.Keys++
				}
			}
		}
	}
	p.accuse(wrong, all, right)
	return nil
}

// instead returns the parts of an epoch with this one in the place of its
// community's.
func (g *given) instead(parts map[groups.CoIID][]byte) map[groups.CoIID][]byte {
	if policy := g.epoch.policy(); policy.Mode != groups.CoIAll {
		parts = nil
	}
	out := map[groups.CoIID][]byte{g.name: g.part}
	for name, part := range parts {
		if name != g.name {
			out[name] = part
		}
	}
	return out
}

// accuse tells which services give what is not of the key, as far as that can be
// known: of the shares of a key that nobody could make, all may be wrong.
func (p *past) accuse(wrong []*pastEpoch, all []given, right map[*pastEpoch]given) {
	if len(wrong) == 0 {
		return
	}
	liars := make(map[string]bool)
	for i := range all {
		g := &all[i]
		good, known := right[g.epoch]
		if known && good.name == g.name && !bytes.Equal(good.part, g.part) || !known && g.epoch.keyOf(g.instead(nil)) == nil {
			liars[g.url] = true
		}
	}
	who := strings.Join(slices.Sorted(maps.Keys(liars)), ", ")
	p.d.cfg.Log.Warn("an unwrap service gives what is not the key of a room", "room", p.room, "service", who, "epochs", len(wrong))
	p.report.Lied = slices.Compact(slices.Sorted(slices.Values(append(p.report.Lied, slices.Collect(maps.Keys(liars))...))))
	for _, e := range wrong {
		if _, known := right[e]; !known {
			p.unreadable(e, "what the communities' services gave is not its key")
		}
	}
}
