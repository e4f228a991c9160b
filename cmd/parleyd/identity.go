package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"parley/coi"
	"parley/groups"
)

// identity is what a node is and whom it believes. It is safe for many
// goroutines; only the map of foreign ordering certificates changes, under mu.
type identity struct {
	node     groups.NodeID
	tls      tls.Certificate
	ordering ed25519.PrivateKey
	chain    [][]byte // of the ordering certificate
	trust    *coi.Trust
	now      func() time.Time
	known    string // directory of the ordering certificates learned from links

	mu      sync.RWMutex
	signers map[groups.Hash]signer // at most maxSigners; a full map refuses new ones

	proven provenHeads
}

// maxSigners bounds the ordering certificates known at a time, maxSiteSigners those
// of one site, so that none takes the places of the others: a site has a handful of
// nodes, and certificates that ended make room. All of them go to each device that
// logs in.
const (
	maxSigners     = 4096
	maxSiteSigners = 64
)

type signer struct {
	site     groups.SiteID
	key      crypto.PublicKey
	chain    [][]byte
	notAfter time.Time
}

// loadIdentity reads keys and CAs and checks that they belong together.
func loadIdentity(c *config) (*identity, error) {
	id := &identity{
		node: c.nodeID(), now: time.Now, signers: make(map[groups.Hash]signer),
		known: filepath.Join(c.path(c.Data), "ordering"),
	}
	var err error
	if id.trust, err = loadTrust(c); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(c.path(c.Identity.Certificate), c.path(c.Identity.Key))
	if err != nil {
		return nil, fmt.Errorf("identity.certificate, identity.key: %w", err)
	}
	id.tls = pair
	subject, err := id.trust.Verify(pair.Certificate, coi.Node, id.now())
	if err != nil {
		return nil, fmt.Errorf("identity.certificate: %w", err)
	}
	if subject.URI != string(id.node) {
		return nil, fmt.Errorf("identity.certificate is for %s, this node is %s: correct site and node, or make the node with parley-pki", subject.URI, id.node)
	}
	if err := id.loadOrdering(c); err != nil {
		return nil, err
	}
	return id, id.recall()
}

func (id *identity) loadOrdering(c *config) error {
	pair, err := tls.LoadX509KeyPair(c.path(c.Identity.OrderingCertificate), c.path(c.Identity.OrderingKey))
	if err != nil {
		return fmt.Errorf("identity.ordering_certificate, identity.ordering_key: %w", err)
	}
	key, ok := pair.PrivateKey.(ed25519.PrivateKey)
	if !ok {
		return fmt.Errorf("identity.ordering_key: an Ed25519 key is needed, as parley-pki makes it")
	}
	id.ordering, id.chain = key, pair.Certificate
	site, err := id.learn(pair.Certificate)
	if err == nil && site != c.Site {
		err = fmt.Errorf("it is of %s", site)
	}
	if err != nil {
		return fmt.Errorf("identity.ordering_certificate: %w", err)
	}
	return nil
}

func loadTrust(c *config) (*coi.Trust, error) {
	own, err := loadSite(c.Site, c.path(c.Identity.CA))
	if err != nil {
		return nil, fmt.Errorf("identity.ca: %w", err)
	}
	sites := []coi.Site{own}
	for _, p := range c.Peers {
		site, err := loadSite(p.Site, c.path(p.CA))
		if err != nil {
			return nil, fmt.Errorf("peer %s: ca: %w", p.Site, err)
		}
		sites = append(sites, site)
	}
	return coi.NewTrust(sites...)
}

// loadSite reads the CA file of a site and sees whether it is that site's.
func loadSite(name groups.SiteID, path string) (coi.Site, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return coi.Site{}, err
	}
	site, err := coi.ParseSitePEM(b, string(name))
	if err == nil {
		_, err = coi.NewTrust(site)
	}
	if err != nil {
		return site, fmt.Errorf("%s: %w", path, err)
	}
	return site, nil
}

// SignHeads signs with the node's ordering key.
func (id *identity) SignHeads(root groups.Hash) ([]byte, error) {
	return ed25519.Sign(id.ordering, groups.HeadsTBS(root)), nil
}

// Certificate names the ordering certificate.
func (id *identity) Certificate() groups.Hash { return sha256.Sum256(id.chain[0]) }

// resetKey is the same after a restart, and nobody else's: a node that was killed
// ends what its peers take for links (RFC 9000, Section 10.3).
func (id *identity) resetKey() *[32]byte {
	m := hmac.New(sha256.New, id.ordering.Seed())
	m.Write([]byte("Parley 1 stateless reset"))
	return (*[32]byte)(m.Sum(nil))
}

// VerifyHeads checks a signature under a certificate that was learned.
func (id *identity) VerifyHeads(site groups.SiteID, by, root groups.Hash, sig []byte) error {
	id.mu.RLock()
	s, ok := id.signers[by]
	id.mu.RUnlock()
	if !ok || s.site != site {
		return groups.Errorf(groups.Denied, "heads of %s: no ordering certificate %s of that site is known", site, by)
	}
	if id.proven.known(by, root, sig) {
		return nil
	}
	if err := coi.VerifySignature(s.key, groups.HeadsTBS(root), sig); err != nil {
		return groups.Errorf(groups.Denied, "heads of %s: %w", site, err)
	}
	id.proven.note(by, root, sig)
	return nil
}

// learn verifies an ordering certificate and keeps it.
func (id *identity) learn(chain [][]byte) (groups.SiteID, error) {
	now := id.now()
	subject, err := id.trust.Verify(chain, coi.Ordering, now)
	if err != nil {
		return "", groups.Errorf(groups.Denied, "ordering certificate: %w", err)
	}
	site := groups.SiteID(subject.Site)
	id.mu.Lock()
	defer id.mu.Unlock()
	if err := id.room(site, now); err != nil {
		return "", err
	}
	id.signers[sha256.Sum256(chain[0])] = signer{site, subject.Key, chain, subject.NotAfter}
	return site, nil
}

// room sees that there is a place for one more certificate of a site; what has ended
// is forgotten first where there is none. Called under mu.
func (id *identity) room(site groups.SiteID, now time.Time) error {
	for range 2 {
		own := 0
		for _, s := range id.signers {
			if s.site == site {
				own++
			}
		}
		if own < maxSiteSigners && len(id.signers) < maxSigners {
			return nil
		}
		for h, s := range id.signers {
			if now.After(s.notAfter) {
				delete(id.signers, h)
				id.unremember(h)
			}
		}
	}
	return groups.Errorf(groups.TooLarge, "ordering certificates of %s: %d are known, no more are taken until some have ended", site, maxSiteSigners)
}

// OrderingChain implements federation.Orderings.
func (id *identity) OrderingChain(by groups.Hash) [][]byte {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.signers[by].chain
}

// LearnOrdering implements federation.Orderings. What is new is written beside
// the data, so that after a restart heads are believed before a link is up.
func (id *identity) LearnOrdering(chain [][]byte) error {
	if len(chain) > 0 && id.OrderingChain(sha256.Sum256(chain[0])) != nil {
		return nil
	}
	if _, err := id.learn(chain); err != nil {
		return err
	}
	if err := id.remember(chain); err != nil {
		id.mu.Lock()
		delete(id.signers, sha256.Sum256(chain[0]))
		id.mu.Unlock()
		return err
	}
	return nil
}

// orderingLeaves returns every ordering certificate known, leaf first, for
// devices, which verify them under CAs of their own.
func (id *identity) orderingLeaves() [][]byte {
	id.mu.RLock()
	defer id.mu.RUnlock()
	leaves := make([][]byte, 0, len(id.signers))
	for _, s := range id.signers {
		leaves = append(leaves, s.chain[0])
	}
	return leaves
}
