package federation

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"parley/groups"
)

// Two nodes keep one link, whoever dialled it:
//
//   - a node that has a link, or is opening one, to who answered its dial drops
//     the dial before it says hello;
//   - when both dialled at once, both keep what the lower NodeID dialled;
//   - otherwise the newer link takes the place of the older: a peer does not
//     dial while it has a link, so the older one is dead on its side. It is
//     "otherwise" too when the peer has restarted since, which its incarnation
//     tells.

// admit makes l the link to its peer, unless another one stays or its site has
// enough of them.
func (n *Node) admit(l *link) error {
	n.mu.Lock()
	old := n.links[l.peer]
	if n.ctx.Err() != nil || old != nil && n.keeps(old, l) {
		n.mu.Unlock()
		return errReplaced
	}
	if old == nil && !l.sibling() && n.linked(l.peer.Site()) >= maxSiteLinks {
		n.mu.Unlock()
		n.metrics.dropped.WithLabelValues("incoming").Inc()
		return errBusyNode
	}
	n.links[l.peer] = l
	n.mu.Unlock()
	if old != nil {
		old.close(errReplaced)
	}
	n.metrics.links.WithLabelValues(string(l.peer.Site())).Inc()
	n.offerer.up(l)
	n.fetcher.up(l)
	n.pokeDialers(l.peer.Site())
	return nil
}

// linked counts the links to nodes of a site. Called under mu.
func (n *Node) linked(site groups.SiteID) (count int) {
	for peer := range n.links {
		if peer.Site() == site {
			count++
		}
	}
	return count
}

// keeps says whether old stays when l arrives.
func (n *Node) keeps(old, l *link) bool {
	together := n.cfg.Now().Sub(old.since) < youngLink && bytes.Equal(old.incarnation, l.incarnation)
	return together && old.dialler < l.dialler && old.ctx.Err() == nil
}

// drop forgets a link that has ended.
func (n *Node) drop(l *link) {
	n.mu.Lock()
	if n.links[l.peer] == l {
		delete(n.links, l.peer)
	}
	n.mu.Unlock()
	n.metrics.links.WithLabelValues(string(l.peer.Site())).Dec()
	n.follower.down(l)
	n.offerer.down(l)
	n.tellDialers(l.peer.Site(), func(d *dialer) { poke(d.lost) })
}

// claimDial reserves the right to open a link to peer; false if there is a link
// or another dial of ours is ahead.
func (n *Node) claimDial(peer groups.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links[peer] != nil || n.opening[peer] {
		return false
	}
	n.opening[peer] = true
	return true
}

func (n *Node) releaseDial(peer groups.NodeID) {
	n.mu.Lock()
	delete(n.opening, peer)
	n.mu.Unlock()
}

// linkTo returns the link to a node, nil if there is none.
func (n *Node) linkTo(peer groups.NodeID) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.links[peer]
}

// linksOf returns the links to the nodes of a site, oldest first.
func (n *Node) linksOf(site groups.SiteID) []*link {
	return n.allLinks(func(l *link) bool { return l.peer.Site() == site })
}

// allLinks returns the links that match, oldest first.
func (n *Node) allLinks(match func(*link) bool) []*link {
	n.mu.Lock()
	var out []*link
	for _, l := range n.links {
		if match(l) {
			out = append(out, l)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(out, func(a, b *link) int {
		if c := a.since.Compare(b.since); c != 0 {
			return c
		}
		return strings.Compare(string(a.peer), string(b.peer))
	})
	return out
}

// pokeDialers tells the dialers of a site of a sign of life: a link came, or
// gossip heard of it. Their backoff begins anew.
func (n *Node) pokeDialers(site groups.SiteID) {
	n.tellDialers(site, func(d *dialer) { poke(d.wake) })
}

func (n *Node) tellDialers(site groups.SiteID, tell func(*dialer)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.dialers {
		if d.site == site {
			tell(d)
		}
	}
}

// lifeOf returns how long a link may live whose peer's certificate ends then.
func (n *Node) lifeOf(ends time.Time) time.Duration {
	return min(ends.Sub(n.cfg.Now()), maxLife)
}
