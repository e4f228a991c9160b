package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
	"parley/groups"
)

const (
	// RequestWindow is how far a request's time may lie from the service's clock.
	RequestWindow = 5 * time.Minute
	// maxUnwrapMessage bounds a call's message, in bytes; more is refused unread.
	maxUnwrapMessage = groups.MaxKeyRequest + 64<<10
	// maxUnwraps bounds the requests that are held at a time, and so the memory they
	// take; more wait.
	maxUnwraps = 64
	// maxFromOne bounds those of one address, so that one slow sender does not take
	// all; more are told to come back.
	maxFromOne = 16
	// defaultRefusal is the step of time that refusals end on, so that their time
	// does not tell which check it was.
	defaultRefusal = 150 * time.Millisecond
)

// A DeviceStatus says whether a device's certificate is in force.
type DeviceStatus interface {
	// Check returns nil only if the certificate is known to be good now: an answer
	// that is unknown, stale, forged or missing is an error, as revoked is. It is
	// safe for many goroutines.
	Check(ctx context.Context, cert, issuer *x509.Certificate) error
}

// UnwrapConfig is what an unwrap service runs on.
type UnwrapConfig struct {
	Service      string                     // its URI, mimi://alpha.example/s/unwrap; required
	Trust        func() (*coi.Trust, error) // whose devices there are, read at each call; required
	Keys         func() (*KeyRing, error)   // the CoI keys, read at each call; required
	Entitlements *Entitlements              // who may use which CoI; required
	Status       DeviceStatus               // of device certificates; required
	Log          *AuditLog                  // required; closed by the caller, after the service
	State        *UnwrapState               // what was recalled from Log when it was opened; required
	// Certificate signs statements about who is cut off: the service's own HTTPS
	// certificate, read at each call; nil makes none.
	Certificate func() (tls.Certificate, error)
	Quotas      Quotas           // zero fields are DefaultQuotas
	Cases       CaseAuthority    // who approves cases; the zero value means nobody, and no case is opened
	Refusal     time.Duration    // refusals take this long, or a multiple of it; zero is 150 ms
	Logger      *slog.Logger     // nil logs nothing
	Now         func() time.Time // nil is time.Now
}

// An Unwrap is the service that holds private keys of CoIs: UnwrapService of
// api/unwrap/v1. Nothing is opened for anybody before all checks are made and
// the log has it. It is safe for many goroutines.
//
//	limits -> signature, time, nonce -> records -> status -> entitlement ->
//	standing -> tokens -> LOG -> private key -> key id -> seal
type Unwrap struct {
	config  UnwrapConfig
	log     *slog.Logger
	now     func() time.Time
	meter   *meter
	refused *meter        // refusals that are logged, so that nobody fills the disk with them
	calls   chan struct{} // a token for each call that is held
	rules   sync.Mutex    // held while a change of the rules is logged

	mu   sync.Mutex           // guards from
	from map[netip.Prefix]int // calls that are held, by origin; at most maxUnwraps and those who wait
}

// NewUnwrap makes the service.
func NewUnwrap(c UnwrapConfig) (*Unwrap, error) {
	if c.Trust == nil || c.Keys == nil || c.Entitlements == nil || c.Status == nil || c.Log == nil || c.State == nil {
		panic("BUG: unwrap without trust, keys, entitlements, status, log or state")
	}
	if n, err := coi.ParseName(c.Service); err != nil || n.Purpose != coi.Service {
		return nil, fmt.Errorf("%q names no service", c.Service)
	}
	u := &Unwrap{config: c, log: c.Logger, now: c.Now, meter: newMeter(c.Quotas), calls: make(chan struct{}, maxUnwraps), from: map[netip.Prefix]int{}}
	u.refused = newMeter(Quotas{Device: Quota{50, 0.2}, User: Quota{100, 0.4}, CoI: Quota{10_000, 50}})
	if u.log == nil {
		u.log = slog.New(slog.DiscardHandler)
	}
	if u.now == nil {
		u.now = time.Now
	}
	if u.config.Refusal == 0 {
		u.config.Refusal = defaultRefusal
	}
	if _, err := u.book(context.Background()); err != nil {
		return nil, err
	}
	_, err := c.Keys()
	return u, err
}

// Handler serves the calls under their Connect paths; everything else is not
// found.
func (u *Unwrap) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(unwrapv1connect.NewUnwrapServiceHandler(u, connect.WithReadMaxBytes(maxUnwrapMessage)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := origin(r.RemoteAddr)
		if !u.enter(from) {
			http.Error(w, "too many calls at once from your address, try again", http.StatusServiceUnavailable)
			return
		}
		defer u.leave(from)
		r.Body = http.MaxBytesReader(w, r.Body, maxUnwrapMessage)
		select {
		case u.calls <- struct{}{}:
			defer func() { <-u.calls }()
			mux.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// enter counts a call of an address, unless it has too many.
func (u *Unwrap) enter(from netip.Prefix) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.from[from] >= maxFromOne {
		return false
	}
	u.from[from]++
	return true
}

func (u *Unwrap) leave(from netip.Prefix) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.from[from]--; u.from[from] == 0 {
		delete(u.from, from)
	}
}

// Keys names the keys that the service holds, and by what it judges.
func (u *Unwrap) Keys(ctx context.Context, req *connect.Request[unwrapv1.KeysRequest]) (*connect.Response[unwrapv1.KeysResponse], error) {
	if len(req.Msg.Cois) > coi.MaxCommunities {
		return nil, refuse(connect.CodeInvalidArgument, "%d CoIs at once: at most %d", len(req.Msg.Cois), coi.MaxCommunities)
	}
	ring, err := u.config.Keys()
	if err != nil {
		return nil, u.broken("read keys", err)
	}
	marks := u.config.State.digestOf()
	out := &unwrapv1.KeysResponse{Service: u.config.Service, LogKey: u.config.Log.Public(), MarksHash: marks[:]}
	if book, err := u.book(ctx); err == nil { // else it opens nothing, and its own log says why
		out.RulesVersion, out.RulesHash = book.Version, book.hash[:]
	}
	names := req.Msg.Cois
	if len(names) == 0 {
		names = ring.Names()
	}
	for _, name := range names {
		if hashes := ring.hashes(name); len(hashes) > 0 {
			out.Cois = append(out.Cois, &unwrapv1.CoIKeys{Name: name, SpkiHashes: hashes, Certified: ring.certified(name)})
		}
	}
	return connect.NewResponse(out), nil
}

// Unwrap opens room keys for a device that shows its right to them.
func (u *Unwrap) Unwrap(ctx context.Context, req *connect.Request[unwrapv1.UnwrapRequest]) (*connect.Response[unwrapv1.UnwrapResponse], error) {
	began := u.now()
	a := &asking{now: began, from: req.Peer().Addr, raw: req.Msg.Request, signature: req.Msg.Signature, chain: req.Msg.Chain}
	for _, step := range u.steps() {
		if err := step(ctx, a); err != nil {
			return nil, u.refuse(ctx, a, err)
		}
	}
	return connect.NewResponse(&unwrapv1.UnwrapResponse{
		Sealed: a.sealed, Entries: a.entries(), First: a.receipt.First, Checkpoint: a.receipt.Checkpoint,
	}), nil
}

// steps are the checks of a request, in the order of protocol.md, section 4.
func (u *Unwrap) steps() []func(context.Context, *asking) error {
	return []func(context.Context, *asking) error{
		u.parse,            // limits
		u.checkSignature,   // whose request it is
		u.checkTime,        // made now
		u.checkNonce,       // made once
		u.checkRecords,     // authors signed what is shown
		u.checkStatus,      // the device is not revoked
		u.checkEntitlement, // it may use the CoI
		u.checkStanding,    // and has a place in the rooms
		u.takeTokens,       // not too fast
		u.writeLog,         // COMMIT POINT: nothing before it has touched a key
		u.openKeys,         // the private key, and the key id of what came out
		u.sealAnswer,       // to the device, for this request
	}
}

// A busyError is a refusal that has an end.
type busyError struct{ wait time.Duration }

// Error says how long to wait.
func (e *busyError) Error() string {
	return fmt.Sprintf("too many keys at once: come back in %s", e.wait.Round(time.Second)+time.Second)
}

// refuse turns what a step found into what the caller is told. All denials are
// one: neither their words nor their time tell which check it was. Why stands in
// the log.
func (u *Unwrap) refuse(ctx context.Context, a *asking, err error) error {
	if busy, ok := errors.AsType[*busyError](err); ok {
		return refuse(connect.CodeResourceExhausted, "%v", busy)
	}
	if errors.Is(err, ErrLogDown) || errors.Is(err, errBroken) {
		return u.broken("unwrap", err)
	}
	if ctx.Err() != nil {
		return refuse(connect.CodeCanceled, "the call ended before its answer")
	}
	if a.request == nil {
		return refuse(connect.CodeInvalidArgument, "%v", err)
	}
	u.log.Warn("unwrap refused", "from", a.from, "device", a.request.Device, "coi", a.request.CoI, "why", err)
	u.logRefusal(ctx, a, err)
	u.holdBack(ctx, u.now().Sub(a.now))
	return refuse(connect.CodePermissionDenied, "this service opens nothing for this request: check with parley doctor, or ask the officer of the CoI")
}

// holdBack waits until a denial may leave: at the end of the step of time that
// its checks have begun.
func (u *Unwrap) holdBack(ctx context.Context, took time.Duration) {
	rest := time.NewTimer(denialAfter(took, u.config.Refusal) - took)
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
}

// denialAfter is when a denial leaves whose checks took so long: the end of their
// step, so that many records, or a slow responder, do not tell how far it came.
func denialAfter(took, step time.Duration) time.Duration {
	return (max(took, 0)/step + 1) * step
}

// errBroken is a fault of the service itself.
var errBroken = errors.New("the service has a fault")

// broken logs a fault of ours and tells the caller to go to another instance.
func (u *Unwrap) broken(what string, err error) error {
	u.log.Error(what, "err", err)
	return refuse(connect.CodeUnavailable, "the unwrap service can not answer now: its own log says why; try another or later")
}

// logRefusal logs that somebody who is known asked in vain.
func (u *Unwrap) logRefusal(ctx context.Context, a *asking, why error) {
	if a.who == nil {
		return
	}
	if ok, _ := u.refused.take(drawers{device: a.who.URI, user: a.who.Name.User(), coi: string(a.request.CoI)}, 1, u.now()); !ok {
		return
	}
	e := a.entry(Refused)
	e.Count, e.Why = uint32(len(a.request.Items)), why.Error()
	if _, err := u.config.Log.Append(ctx, e); err != nil {
		u.log.Error("log a refusal", "err", err)
	}
}
