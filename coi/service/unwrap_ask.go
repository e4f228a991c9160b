package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"parley/coi"
	"parley/groups"
)

// An asking is one request on its way through the checks. Each step adds what it
// found, and reads what those before it added.
type asking struct {
	now       time.Time
	from      string
	raw       []byte
	signature []byte
	chain     [][]byte

	request *groups.KeyRequest // parse
	hash    [32]byte
	who     *coi.Subject // checkSignature: the signature is by this device
	book    *RuleBook    // checkEntitlement
	keys    []HeldKey
	anchors []*proof // checkRecords; nil where it did not hold
	items   []*item
	rooms   []*roomAsked // checkStanding
	logged  []AuditEntry // writeLog
	receipt AuditReceipt
	sealed  []byte
}

// An item is one key that is asked for.
type item struct {
	*proof        // nil if it did not hold
	why    error  // why it is denied, nil if it is granted
	part   []byte // openKeys: what is given out
}

// parse reads the request, within its limits.
func (u *Unwrap) parse(_ context.Context, a *asking) error {
	if len(a.raw) > groups.MaxKeyRequest {
		return fmt.Errorf("a request of %d bytes: at most %d", len(a.raw), groups.MaxKeyRequest)
	}
	q, err := groups.ParseKeyRequest(a.raw)
	if err != nil {
		return err
	}
	a.request, a.hash = q, sha256.Sum256(a.raw)
	return nil
}

// checkSignature: the chain is a device's of a trusted site, the request names
// that device and this service, and is signed by its key.
func (u *Unwrap) checkSignature(_ context.Context, a *asking) error {
	trust, err := u.config.Trust()
	if err != nil {
		return fmt.Errorf("%w: read trust: %w", errBroken, err)
	}
	who, err := trust.Verify(a.chain, coi.Device, a.now)
	if err != nil {
		return fmt.Errorf("device certificate: %w", err)
	}
	if who.URI != string(a.request.Device) {
		return fmt.Errorf("the request is of %s, the certificate of %s", a.request.Device, who.URI)
	}
	if a.request.Service != u.config.Service {
		return fmt.Errorf("the request is to %q", clip(a.request.Service))
	}
	if err := coi.VerifySignature(who.Key, a.request.SigningBytes(), a.signature); err != nil {
		return err
	}
	a.who = who
	return nil
}

// checkTime: made within RequestWindow of now.
func (u *Unwrap) checkTime(_ context.Context, a *asking) error {
	at := time.UnixMilli(int64(min(a.request.Time, 1<<62)))
	if d := a.now.Sub(at); d > RequestWindow || d < -RequestWindow {
		return fmt.Errorf("the request was made at %s, it is %s", at.UTC().Format(time.RFC3339), a.now.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkNonce: not seen before. What was seen is forgotten when checkTime refuses
// it anyway.
func (u *Unwrap) checkNonce(_ context.Context, a *asking) error {
	return u.config.State.once(a.hash, nonceKey(a.who.URI, a.request.Nonce), a.now)
}

// checkRecords verifies what the request shows: each record is signed by a leaf
// of its own epoch's tree. What does not hold shows nothing; it does not spoil
// the rest.
func (u *Unwrap) checkRecords(_ context.Context, a *asking) error {
	q := a.request
	a.anchors = make([]*proof, len(q.Anchors))
	a.items = make([]*item, len(q.Items))
	whys := make([]error, len(q.Anchors))
	inParallel(len(q.Anchors)+len(q.Items), func(i int) {
		if i < len(q.Anchors) {
			a.anchors[i], whys[i] = prove(&q.Anchors[i].Proven)
			return
		}
		i -= len(q.Anchors)
		p, err := prove(&q.Items[i].Proven)
		a.items[i] = &item{proof: p, why: err}
	})
	if len(q.Items) == 0 && len(q.Anchors) == 0 {
		return errors.New("the request shows nothing and asks for nothing")
	}
	for i, err := range whys {
		if err != nil {
			u.log.Info("unwrap: an anchor does not hold", "device", a.who.URI, "anchor", i, "why", err)
		}
	}
	return nil
}

// checkStatus: the device's certificate is in force.
func (u *Unwrap) checkStatus(ctx context.Context, a *asking) error {
	if err := u.config.Status.Check(ctx, a.who.Leaf, a.who.Issuer); err != nil {
		return fmt.Errorf("status of the device's certificate: %w", err)
	}
	return nil
}

// checkEntitlement: the CoI is held here, and a rule lets the device use it.
// Which rooms is asked for each item, because a bot is let into rooms one by one.
func (u *Unwrap) checkEntitlement(ctx context.Context, a *asking) error {
	book, err := u.book(ctx)
	if err != nil {
		return err
	}
	a.book = book
	if err := book.AllowsAny(string(a.request.CoI), a.who, a.now); err != nil {
		return err
	}
	ring, err := u.config.Keys()
	if err != nil {
		return fmt.Errorf("%w: read keys: %w", errBroken, err)
	}
	if a.keys = ring.Of(string(a.request.CoI)); len(a.keys) == 0 {
		return fmt.Errorf("no key of %s is held here", a.request.CoI)
	}
	for _, it := range a.items {
		if it.why == nil {
			it.why = a.mayUse(it.proof)
		}
	}
	return nil
}

// mayUse: the item's room has its keys wrapped to the CoI, and the device may
// use the CoI in that room.
func (a *asking) mayUse(p *proof) error {
	if !p.wrappedTo(a.request.CoI) {
		return fmt.Errorf("the key of epoch %d of %s is not wrapped to %s", p.record.Epoch, p.record.Room, a.request.CoI)
	}
	return a.book.Allows(string(a.request.CoI), a.who, string(p.record.Room), a.now)
}

// takeTokens: a key costs a token of the device, of its user and of the CoI; a
// request that asks for none costs one.
func (u *Unwrap) takeTokens(_ context.Context, a *asking) error {
	n := tokens(a.items)
	ok, wait := u.meter.take(drawers{device: a.who.URI, user: a.who.Name.User(), coi: string(a.request.CoI)}, n, a.now)
	if !ok {
		u.log.Warn("unwrap: over its quota", "device", a.who.URI, "coi", a.request.CoI, "keys", n, "wait", wait)
		return &busyError{wait}
	}
	return nil
}

// tokens is what a call costs: one for each item that no check has denied, one
// if there is none.
func tokens(items []*item) int {
	n := 0
	for _, it := range items {
		if it.why == nil {
			n++
		}
	}
	return max(1, n)
}

// entry begins a log entry of this request.
func (a *asking) entry(d Decision) AuditEntry {
	e := AuditEntry{Decision: d, Time: a.now, Actor: string(a.request.Device), CoI: string(a.request.CoI), Request: a.hash, Reason: a.request.Reason}
	if a.who != nil {
		e.Certificate = sha256.Sum256(a.who.Leaf.Raw)
	}
	return e
}

// entries returns the entries as they stand in the log, but for those that say
// why something was denied: that is for who reads the log.
func (a *asking) entries() [][]byte {
	var out [][]byte
	for i := range a.logged {
		if a.logged[i].Decision == Refused {
			break // the last ones
		}
		out = append(out, a.logged[i].Marshal())
	}
	return out
}
