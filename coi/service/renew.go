package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/coi"
)

const (
	// renewEvery is how often the files of certificates are looked at.
	renewEvery = time.Second
	// endsEvery is how often a running service tells of a certificate that ends.
	endsEvery = 12 * time.Hour
)

// EndsSoon says whether less than a third of a certificate's life is left: time to
// make the next one.
func EndsSoon(from, until, now time.Time) bool { return until.Sub(now) < until.Sub(from)/3 }

// A Renewal is a certificate of a service, with its key, that is replaced in its
// files while the service runs.
type Renewal struct {
	// What names it in the log.
	What string
	// Files hold it, and its key: when one has changed, Load is called.
	Files []string
	// Load reads the files, makes every check that is made at start, and puts what
	// they hold to use. On an error what was in use stays in use.
	Load func(now time.Time) (*x509.Certificate, error)
	// Used is what is in use.
	Used *x509.Certificate

	stamp  string
	warned time.Time
}

// Renewals are all certificates of a running service.
type Renewals struct {
	Logger *slog.Logger     // nil logs nothing
	Now    func() time.Time // nil is time.Now

	mu   sync.Mutex // guards list
	list []*Renewal
}

// Add has a certificate watched, whose files were just read.
func (r *Renewals) Add(list ...*Renewal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range list {
		n.stamp = stampOf(n.Files)
		r.list = append(r.list, n)
	}
}

// Run looks at the files until its context ends.
func (r *Renewals) Run(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		r.Look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Look makes one round: what has changed is loaded, what ends soon is told.
func (r *Renewals) Look() {
	log, now := r.Logger, time.Now()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if r.Now != nil {
		now = r.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.list {
		n.look(now, log)
	}
}

// look is one round about one certificate. A file that can not be used is told
// once, not each second.
func (n *Renewal) look(now time.Time, log *slog.Logger) {
	if stamp := stampOf(n.Files); stamp != n.stamp {
		n.stamp = stamp // what changes after this is seen in the next round
		cert, err := n.Load(now)
		if err != nil {
			log.Error("new certificate not used, the one before stays in use", "what", n.What, "file", n.Files[0], "until", n.Used.NotAfter, "err", err)
		} else if !cert.Equal(n.Used) {
			n.Used, n.warned = cert, time.Time{}
			log.Info("new certificate in use", "what", n.What, "file", n.Files[0], "serial", fmt.Sprintf("%x", cert.SerialNumber), "until", cert.NotAfter)
		}
	}
	if EndsSoon(n.Used.NotBefore, n.Used.NotAfter, now) && now.Sub(n.warned) >= endsEvery {
		n.warned = now
		log.Warn("certificate ends soon: make the next one, it is used without a restart", "what", n.What, "file", n.Files[0], "until", n.Used.NotAfter)
	}
}

// stampOf changes whenever a file does. One that is not there, for a moment, is a
// change as well.
func stampOf(files []string) string {
	var b strings.Builder
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			fmt.Fprintf(&b, "none\n")
			continue
		}
		fmt.Fprintf(&b, "%d %d %v\n", info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	return b.String()
}

// An HTTPS is the certificate that a service shows, as it is renewed.
type HTTPS struct {
	realm   *Realm
	foreign func() []*x509.Certificate
	pair    atomic.Pointer[tls.Certificate]
}

// HTTPS reads the service's HTTPS certificate, which is renewed while it runs.
// foreign are the certificates whose keys must not be in the directory, as for
// CheckApart; nil has none. The caller has done CheckApart.
func (r *Realm) HTTPS(foreign func() []*x509.Certificate) (*HTTPS, error) {
	h := &HTTPS{realm: r, foreign: foreign}
	pair, err := r.Certificate()
	if err != nil {
		return nil, err
	}
	h.pair.Store(&pair)
	return h, nil
}

// Config is the TLS of a server that shows it.
func (h *HTTPS) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return h.pair.Load(), nil
	}}
}

// Renewal has it renewed.
func (h *HTTPS) Renewal() *Renewal {
	return &Renewal{
		What: "HTTPS", Files: []string{h.realm.Path("tls.crt"), h.realm.Path("tls.key")}, Used: h.pair.Load().Leaf,
		Load: h.load,
	}
}

// load makes the checks of a start, and one more: a certificate that nobody would
// believe is not taken in place of one that they do.
func (h *HTTPS) load(now time.Time) (*x509.Certificate, error) {
	var foreign []*x509.Certificate
	if h.foreign != nil {
		foreign = h.foreign()
	}
	if err := h.realm.CheckApart(foreign...); err != nil {
		return nil, err
	}
	pair, err := h.realm.Certificate()
	if err != nil {
		return nil, err
	}
	trust, err := h.realm.Trust()
	if err != nil {
		return nil, err
	}
	if _, err := trust.Verify(coi.Chain(pair.Leaf), coi.Service, now); err != nil {
		return nil, err
	}
	h.pair.Store(&pair)
	return pair.Leaf, nil
}
