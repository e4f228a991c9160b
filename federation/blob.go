package federation

import (
	"sync"
	"time"

	"parley/groups"
)

// A fetcher brings blobs that stored entries refer to: from the site that is
// said to have them, else from siblings. A blob that cannot be had now is tried
// again later; peers that are not reached do not count as tries. A site that sends
// slowly delays its own blobs alone (I13).
type fetcher struct {
	node *Node
	wake chan struct{}

	mu     sync.Mutex
	wanted map[groups.Hash]*want     // at most maxBlobQueue: more are dropped, and counted
	due    map[groups.SiteID][]*want // each once
	busy   map[groups.SiteID]int     // fetches that run: at most blobWorkers a site
}

// A want is a blob on its way here.
type want struct {
	hash  groups.Hash
	site  groups.SiteID
	tries int // answers without the blob
	delay time.Duration
	at    time.Time // when it is due again; zero while it is due or fetched
}

func newFetcher(n *Node) *fetcher {
	return &fetcher{node: n, wake: make(chan struct{}, 1),
		wanted: make(map[groups.Hash]*want), due: make(map[groups.SiteID][]*want), busy: make(map[groups.SiteID]int)}
}

// WantBlobs fetches blobs in the background from any node of site, or from
// siblings, into the Blobs of the configuration, which check the hash. What is
// complete or on its way already is left alone. It does not block and does not
// outlive the process: call it again after a start for what is still missing.
func (n *Node) WantBlobs(site groups.SiteID, hashes []groups.Hash) {
	f := n.fetcher
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hashes {
		if f.wanted[h] != nil {
			continue
		}
		if len(f.wanted) >= maxBlobQueue {
			n.metrics.blobs.WithLabelValues("dropped").Inc()
			continue
		}
		f.wanted[h] = &want{hash: h, site: site}
		f.due[site] = append(f.due[site], f.wanted[h])
	}
	poke(f.wake)
}

// hurry makes a waiting want due. Called under mu.
func (f *fetcher) hurry(w *want) {
	if !w.at.IsZero() {
		w.at, w.delay = time.Time{}, 0
		f.due[w.site] = append(f.due[w.site], w)
	}
}

// up is the sign of life that ends the waits for a site.
func (f *fetcher) up(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.wanted {
		if w.site == l.peer.Site() || l.sibling() {
			f.hurry(w)
		}
	}
	poke(f.wake)
}

// run hands wants to workers until the node ends.
func (f *fetcher) run() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		w := f.next()
		if w == nil {
			select {
			case <-f.wake:
			case <-tick.C:
				f.ripen()
			case <-f.node.ctx.Done():
				return
			}
			continue
		}
		f.node.wg.Go(func() {
			defer f.ended(w.site)
			f.fetch(w)
		})
	}
}

// next takes a due want of any site that has a worker free, for ended to give
// back; nil if there is none.
func (f *fetcher) next() *want {
	f.mu.Lock()
	defer f.mu.Unlock()
	for site, due := range f.due {
		if f.busy[site] >= blobWorkers {
			continue
		}
		f.busy[site]++
		if f.due[site] = due[1:]; len(due) == 1 {
			delete(f.due, site)
		}
		return due[0]
	}
	return nil
}

// ended gives back the worker that next took.
func (f *fetcher) ended(site groups.SiteID) {
	f.mu.Lock()
	if f.busy[site]--; f.busy[site] == 0 {
		delete(f.busy, site)
	}
	f.mu.Unlock()
	poke(f.wake)
}

// ripen makes due what has waited long enough.
func (f *fetcher) ripen() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.node.cfg.Now()
	for _, w := range f.wanted {
		if !w.at.IsZero() && !now.Before(w.at) {
			w.at = time.Time{}
			f.due[w.site] = append(f.due[w.site], w)
		}
	}
}

// fetch tries every peer that may have the blob once, and files the want.
func (f *fetcher) fetch(w *want) {
	n := f.node
	peers := n.linksOf(n.site)
	if w.site != n.site {
		peers = append(n.linksOf(w.site), peers...)
	}
	result, asked := "unreachable", false
	for _, l := range peers {
		err := l.fetchBlob(w.hash)
		if err == nil {
			result = "ok"
			break
		}
		if kindOf(err) != groups.Unavailable && kindOf(err) != groups.Busy {
			asked = true
		}
		result = kindOf(err).String()
		n.log.Debug("a blob was not fetched", "blob", w.hash.String(), "peer", string(l.peer), "error", err)
	}
	f.file(w, result, asked)
}

// file notes what became of a fetch: asked says that a peer answered.
func (f *fetcher) file(w *want, result string, asked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if asked && result != "ok" {
		w.tries++
	}
	if w.tries >= maxBlobTries {
		f.node.log.Warn("a blob is given up: nobody has it", "blob", w.hash.String(), "site", string(w.site))
		result = "given up"
	}
	f.node.metrics.blobs.WithLabelValues(result).Inc()
	if result == "ok" || result == "given up" {
		delete(f.wanted, w.hash)
		return
	}
	w.delay = min(max(2*w.delay, firstRetry), lastRetry)
	w.at = f.node.cfg.Now().Add(w.delay)
}
