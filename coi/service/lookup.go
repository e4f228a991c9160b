package service

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	lookupv1 "parley/api/lookup/v1"
	"parley/api/lookup/v1/lookupv1connect"
	"parley/coi"
)

const (
	// MaxLookup bounds the CoIs of one question.
	MaxLookup = 64
	// maxPublication bounds cois.json, in bytes.
	maxPublication = 16 << 20
	// maxRetired bounds the retired certificates that are shown of one CoI: the
	// newest.
	maxRetired = 32
	// DefaultRefresh is how often the status of each certificate is asked for.
	DefaultRefresh = 5 * time.Minute
)

// A LookupConfig is what a lookup service runs on.
type LookupConfig struct {
	Site    string                     // required
	File    string                     // cois.json, as the CoI CA publishes it; required
	Trust   func() (*coi.Trust, error) // read when the file changes; required
	OCSP    string                     // URL of the responder; empty staples no status
	Client  *http.Client               // to ask the responder with; nil is http.DefaultClient
	Refresh time.Duration              // zero is DefaultRefresh
	Logger  *slog.Logger               // nil logs nothing
	Now     func() time.Time           // nil is time.Now
}

// A Lookup shows the certificates of a site's CoIs: LookupService of
// api/lookup/v1. It holds no private key, and believes nobody: it shows what
// verifies under the CoI root of its site. With each certificate comes the last
// OCSP answer, as long as it holds and not a moment longer. It is safe for many
// goroutines.
type Lookup struct {
	config LookupConfig
	calls  chan struct{} // a token for each call being answered

	mu     sync.RWMutex // guards the rest
	shown  map[string][]*shownCoI
	stamp  fileStamp
	broken error // why the file could not be read last, nil if it could
}

// A shownCoI is one certificate.
type shownCoI struct {
	subject *coi.Subject
	active  bool
	state   string // as the CoI CA wrote it: retired, revoked
	status  []byte // the last OCSP answer, nil if none
	next    time.Time
	asked   time.Time
	trouble error // why there is no answer
}

// NewLookup makes the service and reads its file. Run keeps it fresh.
func NewLookup(c LookupConfig) (*Lookup, error) {
	if c.Site == "" || c.File == "" || c.Trust == nil {
		panic("BUG: lookup without site, file or trust")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	if c.Refresh == 0 {
		c.Refresh = DefaultRefresh
	}
	l := &Lookup{config: c, calls: make(chan struct{}, maxCalls), shown: map[string][]*shownCoI{}}
	return l, l.load()
}

// Handler serves the calls under their Connect paths, and GET /ready, which
// says what is wrong.
func (l *Lookup) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(lookupv1connect.NewLookupServiceHandler(l, connect.WithReadMaxBytes(maxMessage)))
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		for _, problem := range l.Problems() {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, problem)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return atOnce(l.calls, mux)
}

// Lookup returns the certificates of CoIs.
func (l *Lookup) Lookup(_ context.Context, req *connect.Request[lookupv1.LookupRequest]) (*connect.Response[lookupv1.LookupResponse], error) {
	names := req.Msg.GetNames()
	if len(names) > MaxLookup {
		return nil, refuse(connect.CodeInvalidArgument, "%d CoIs in one question: at most %d", len(names), MaxLookup)
	}
	now := l.config.Now()
	out := &lookupv1.LookupResponse{}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, name := range names {
		c := &lookupv1.CoI{Name: clip(name)}
		for _, s := range l.shown[name] {
			c.Name = name
			cert := &lookupv1.Certificate{Chain: coi.Chain(s.subject.Leaf, s.subject.Issuer), Active: s.active && !now.After(s.subject.NotAfter)}
			if now.Before(s.next) {
				cert.Status = s.status
			}
			c.Certificates = append(c.Certificates, cert)
		}
		out.Cois = append(out.Cois, c)
	}
	return connect.NewResponse(out), nil
}

// Certificates returns all certificates that are shown now.
func (l *Lookup) Certificates() []*x509.Certificate {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var out []*x509.Certificate
	for _, list := range l.shown {
		for _, s := range list {
			out = append(out, s.subject.Leaf)
		}
	}
	return out
}

// Problems lists what people who ask will miss: a file that can not be read, a
// CoI without an active certificate, a status that is not at hand.
func (l *Lookup) Problems() []string {
	now := l.config.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	var out []string
	if l.broken != nil {
		out = append(out, fmt.Sprintf("the list of CoIs can not be read, an old one is shown: %v", l.broken))
	}
	for name, list := range l.shown {
		active := false
		for _, s := range list {
			if !s.active || now.After(s.subject.NotAfter) {
				continue
			}
			active = true
			if l.config.OCSP != "" && !now.Before(s.next) {
				out = append(out, fmt.Sprintf("%s: no status is shown: %v", name, s.trouble))
			}
		}
		if !active {
			out = append(out, fmt.Sprintf("%s has no active certificate: parley-pki coi issue makes one", name))
		}
	}
	return out
}
