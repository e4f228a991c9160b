package service

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	enrollv1 "parley/api/enroll/v1"
	"parley/api/enroll/v1/enrollv1connect"
	"parley/coi"
)

const (
	// RetryWindow is how long after a code was used the same key gets the same
	// certificate again, for a device whose answer was lost.
	RetryWindow = 10 * time.Minute
	// MaxDevices bounds the devices of one person that have a certificate.
	MaxDevices = 64
	// maxMessage bounds a call's message, in bytes; more is refused unread.
	maxMessage = 32 << 10
	// maxCalls bounds the calls answered at a time; more are told to come back.
	maxCalls = 64
)

// Config is what the enrolment service runs on.
type Config struct {
	CA       *coi.CA                    // the device CA; required
	Codes    *Codes                     // required
	Issued   *Log                       // required; closed by the caller, after the service
	Sites    func() ([]coi.Site, error) // own site first and peers, read at each call; required
	Gateways []string                   // URLs devices are told; none leaves them to be configured by hand
	Revoked  *Revocations               // of the device CA; nil takes none for revoked
	Logger   *slog.Logger               // nil logs nothing
	Now      func() time.Time           // nil is time.Now
}

// An Enroll is the enrolment service: EnrollService of api/enroll/v1. It is
// safe for many goroutines.
type Enroll struct {
	config  Config
	log     *slog.Logger
	now     func() time.Time
	guesses *guesses
	calls   chan struct{} // a token for each call being answered

	mu sync.Mutex // held while a certificate is issued: guards config.Issued
}

// NewEnroll makes the service, and first puts into the log what was issued just
// before a crash.
func NewEnroll(c Config) (*Enroll, error) {
	if c.CA == nil || c.Codes == nil || c.Issued == nil || c.Sites == nil {
		panic("BUG: enrolment without CA, codes, log or sites")
	}
	e := &Enroll{config: c, log: c.Logger, now: c.Now, calls: make(chan struct{}, maxCalls)}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.guesses = newGuesses()
	states, err := c.Codes.List()
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if s.Use == nil {
			continue
		}
		if _, err := e.logged(s.ID, s.Use); err != nil {
			return nil, fmt.Errorf("code %.8s: %w", s.ID, err)
		}
	}
	return e, nil
}

// Handler serves the calls under their Connect paths; everything else is not
// found.
func (e *Enroll) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(enrollv1connect.NewEnrollServiceHandler(e, connect.WithReadMaxBytes(maxMessage)))
	return atOnce(e.calls, mux)
}

// atOnce serves as many calls at once as calls has room for, of maxMessage bytes
// each at most; who comes when it is full is told to try again.
func atOnce(calls chan struct{}, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case calls <- struct{}{}:
			defer func() { <-calls }()
			r.Body = http.MaxBytesReader(w, r.Body, maxMessage)
			h.ServeHTTP(w, r)
		default:
			http.Error(w, "too many calls at once, try again", http.StatusServiceUnavailable)
		}
	})
}

// Enroll gives a certificate for the key of a signing request, once for each
// code.
func (e *Enroll) Enroll(_ context.Context, req *connect.Request[enrollv1.EnrollRequest]) (*connect.Response[enrollv1.EnrollResponse], error) {
	now := e.now()
	from := req.Peer().Addr
	if !e.guesses.allow(from, now) {
		return nil, refuse(connect.CodeResourceExhausted, "too many wrong codes from your address: wait a minute")
	}
	cert, name, err := e.enroll(req.Msg, now)
	if err != nil {
		if connect.CodeOf(err) == connect.CodePermissionDenied {
			e.guesses.wrong(from, now)
		}
		e.report(from, err)
		return nil, err
	}
	trust, err := e.trust()
	if err != nil {
		e.report(from, err)
		return nil, err
	}
	e.log.Info("device enrolled", "device", name, "serial", cert.SerialNumber.Text(16), "until", cert.NotAfter, "from", from)
	return connect.NewResponse(&enrollv1.EnrollResponse{
		Chain:  coi.Chain(cert, e.config.CA.Cert),
		Device: name,
		Trust:  trust,
	}), nil
}

// enroll checks everything that can be checked without changing anything, and
// then issues.
func (e *Enroll) enroll(m *enrollv1.EnrollRequest, now time.Time) (*x509.Certificate, string, error) {
	code, err := ParseCode(m.Code)
	if err != nil {
		return nil, "", refuse(connect.CodeInvalidArgument, "code: %v", err)
	}
	key, err := coi.ParseRequest(m.Csr)
	if err != nil {
		return nil, "", refuse(connect.CodeInvalidArgument, "%v", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, "", refuse(connect.CodeInvalidArgument, "public key: %v", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	state, err := e.config.Codes.find(code.ID())
	if errors.Is(err, ErrUnknownCode) {
		return nil, "", refuse(connect.CodePermissionDenied, "the code is not known here: check it for typing errors, or ask for a new one")
	}
	if err != nil {
		return nil, "", e.internal(err)
	}
	name, err := e.name(state, m.Device)
	if err != nil {
		return nil, "", err
	}
	use := &Use{Device: name.URI(), Key: keyID(spki), At: now}
	if state.Use != nil {
		return e.again(state, use)
	}
	if now.After(state.Expires) {
		return nil, "", refuse(connect.CodePermissionDenied, "the code ended at %s: ask for a new one", state.Expires.UTC().Format(time.RFC3339))
	}
	if err := e.free(name, use); err != nil {
		return nil, "", err
	}
	issue := e.config.CA.IssueDevice
	if state.Bot {
		issue = e.config.CA.IssueBot
	}
	cert, err := issue(name, key, now)
	if err != nil {
		return nil, "", e.internal(err)
	}
	use.Certificate = cert.Raw
	return e.spend(state.ID, use)
}

// name decides what the device is called: the code says, or the device where
// the code leaves it open.
func (e *Enroll) name(s *CodeState, asked string) (coi.Name, error) {
	name := coi.Name{Purpose: coi.Device, Site: e.config.CA.Site, Local: s.User, Device: s.Device}
	switch {
	case name.Device == "" && asked == "":
		return name, refuse(connect.CodeInvalidArgument, "the code leaves the device's name to you: give one, such as laptop")
	case name.Device == "":
		name.Device = asked
	case asked != "" && asked != name.Device:
		return name, refuse(connect.CodeInvalidArgument, "the code is for the device %s, not for %q", name.Device, clip(asked))
	}
	if err := name.Check(); err != nil {
		return name, refuse(connect.CodeInvalidArgument, "device name %q: use a-z, 0-9, '-', '_' and '.', at most 64", clip(asked))
	}
	return name, nil
}

// free refuses a name that another key holds, a key that was revoked, and a
// person with too many devices. The same key may have a new certificate: that
// is a renewal. A name whose certificate was revoked is free again.
func (e *Enroll) free(name coi.Name, use *Use) error {
	holder, held := e.config.Issued.holder(use.Device, use.At)
	revoked, err := e.revoked(holder)
	if err != nil {
		return e.internal(err)
	}
	if held && revoked && holder.Key == use.Key {
		return refuse(connect.CodeFailedPrecondition, "the key of %s was revoked: log in from a new home, which makes another key", use.Device)
	}
	if held && !revoked && holder.Key != use.Key {
		return refuse(connect.CodeAlreadyExists, "there is a device %s with another key until %s: choose another name", use.Device, holder.NotAfter.UTC().Format(time.DateOnly))
	}
	devices := strings.TrimSuffix(use.Device, name.Device)
	mine := func(other string) bool { return strings.HasPrefix(other, devices) }
	if !held && e.config.Issued.count(use.At, mine) >= MaxDevices {
		return refuse(connect.CodeFailedPrecondition, "%s has %d devices already, the most a person may have", name.Local, MaxDevices)
	}
	return nil
}

// revoked says whether a record's certificate was revoked.
func (e *Enroll) revoked(r Record) (bool, error) {
	if e.config.Revoked == nil {
		return false, nil
	}
	return e.config.Revoked.Has(r.Serial)
}

// spend marks the code as used, logs the certificate, and only then gives it
// out: a crash between any two of these leaves no certificate outside that is
// not in the log, and no code that works twice.
func (e *Enroll) spend(id string, use *Use) (*x509.Certificate, string, error) {
	if err := e.config.Codes.spend(id, use); err != nil {
		if errors.Is(err, ErrUsed) {
			return nil, "", refuse(connect.CodePermissionDenied, "the code was used already: ask for a new one")
		}
		return nil, "", e.internal(err)
	}
	cert, err := e.logged(id, use)
	if err != nil {
		return nil, "", e.internal(err)
	}
	return cert, use.Device, nil
}

// again answers a code that was used: the same key and name get the same
// certificate for a few minutes.
func (e *Enroll) again(s *CodeState, use *Use) (*x509.Certificate, string, error) {
	age := use.At.Sub(s.Use.At)
	if s.Use.Key != use.Key || s.Use.Device != use.Device || age > RetryWindow || age < -RetryWindow {
		return nil, "", refuse(connect.CodePermissionDenied, "the code was used already: ask for a new one")
	}
	cert, err := e.logged(s.ID, s.Use)
	if err != nil {
		return nil, "", e.internal(err)
	}
	return cert, s.Use.Device, nil
}

// logged makes sure that what a code was used for is in the log.
func (e *Enroll) logged(id string, use *Use) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(use.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate of a used code: %w", err)
	}
	return cert, e.config.Issued.append(newRecord(cert, use, id))
}
