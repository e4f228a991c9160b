package service

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/coi"
)

// Cuts says which of some devices are cut off from a CoI, in a statement that is
// signed with the service's own certificate: the messaging gateways are not asked,
// and whoever is shown the statement can believe it. It touches no CoI key, and
// says nothing of a device that was not asked about by name. A change of the rules
// is in the log before it is stated.
func (u *Unwrap) Cuts(ctx context.Context, req *connect.Request[unwrapv1.CutsRequest]) (*connect.Response[unwrapv1.CutsResponse], error) {
	q := req.Msg
	if len(q.Devices) == 0 || len(q.Devices) > coi.MaxCuts || len(q.Nonce) != coi.CutNonce {
		return nil, refuse(connect.CodeInvalidArgument, "ask about 1 to %d devices, with a nonce of %d bytes", coi.MaxCuts, coi.CutNonce)
	}
	for _, d := range q.Devices {
		if n, err := coi.ParseName(d); err != nil || n.Purpose != coi.Device {
			return nil, refuse(connect.CodeInvalidArgument, "%q is no device", clip(d))
		}
	}
	ring, err := u.config.Keys()
	if err != nil {
		return nil, u.broken("read keys", err)
	}
	if len(ring.Of(q.Coi)) == 0 {
		return nil, refuse(connect.CodeNotFound, "no key of %q is held here", clip(q.Coi))
	}
	book, err := u.book(ctx)
	if err != nil {
		return nil, u.broken("read the rules", err)
	}
	signed, err := u.stateCuts(book.cuts(q.Coi, q.Devices), q)
	if err != nil {
		return nil, u.broken("state who is cut off", err)
	}
	return connect.NewResponse(&unwrapv1.CutsResponse{Signed: signed}), nil
}

// stateCuts signs the answer to a question.
func (u *Unwrap) stateCuts(list []coi.Cut, q *unwrapv1.CutsRequest) ([]byte, error) {
	if u.config.Certificate == nil {
		return nil, errors.New("the service has no certificate to sign with")
	}
	pair, err := u.config.Certificate()
	if err != nil {
		return nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || len(pair.Certificate) == 0 {
		return nil, errors.New("the service's certificate has no key that signs")
	}
	name, err := coi.CertificateName(pair.Certificate[0])
	if err != nil {
		return nil, err
	}
	c := coi.Cuts{Service: name.URI(), CoI: q.Coi, Time: u.now(), Nonce: [coi.CutNonce]byte(q.Nonce), List: list}
	return c.Sign(signer, pair.Certificate)
}

// cuts lists those of some devices that are cut off from a CoI.
func (b *RuleBook) cuts(coiName string, devices []string) (list []coi.Cut) {
	asked := make(map[string]bool, len(devices))
	for _, d := range devices {
		asked[d] = true
	}
	for i := range b.Rules {
		r := &b.Rules[i]
		if r.Cuts() && asked[r.Subject] && (r.CoI == "" || r.CoI == coiName) {
			delete(asked, r.Subject)
			list = append(list, coi.Cut{Device: r.Subject, Since: r.At})
		}
	}
	return list
}

// Cuts says whether a rule cuts one device off: it names it, and denies for good
// and in every room. What is denied for a time, in one room, or to a person or a
// site with all devices, takes nobody out of a room.
func (r *Rule) Cuts() bool {
	n, err := coi.ParseName(r.Subject)
	return err == nil && n.Purpose == coi.Device && r.Effect == Denies && len(r.Rooms) == 0 && r.Until.IsZero()
}

// Cut returns the rule that cuts a device off from every CoI, nil if none does.
func (b *RuleBook) Cut(device string) *Rule {
	for i := range b.Rules {
		if r := &b.Rules[i]; r.Subject == device && r.CoI == "" && r.Cuts() {
			return r
		}
	}
	return nil
}

// A Lift takes a cut back. The log of the service names it.
type Lift struct {
	Device  string    `json:"device"`
	Cut     time.Time `json:"cut"`     // since when it was cut off
	Version uint64    `json:"version"` // of the book that brought it
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// maxLifted bounds the lifts that a book remembers; older ones are dropped. The
// log has them all.
const maxLifted = 1024

// Lift takes back every rule that cuts lift.Device off, says that lift.By did, and
// returns the book's new version. What was granted to the device before the cut
// stays taken: it is let in anew, room by room.
func (e *Entitlements) Lift(lift Lift) (uint64, error) {
	return e.change(func(book *RuleBook) error {
		lift.Version, lift.At, lift.Cut = book.Version+1, time.Now().UTC(), time.Time{}
		book.Rules = slices.DeleteFunc(book.Rules, func(r Rule) bool {
			cut := r.Subject == lift.Device && r.Cuts()
			if cut {
				lift.Cut = r.At
			}
			return cut
		})
		if lift.Cut.IsZero() {
			return fmt.Errorf("%s is not cut off", clip(lift.Device))
		}
		book.Lifted = append(book.Lifted, lift)
		book.Lifted = book.Lifted[max(0, len(book.Lifted)-maxLifted):]
		return nil
	})
}

// logLifts are the entries about lifts that the log does not have yet.
func (u *Unwrap) logLifts(book *RuleBook) (entries []AuditEntry) {
	for _, l := range book.Lifted {
		if l.Version > u.config.State.version() {
			entries = append(entries, AuditEntry{
				Decision: Changed, Time: u.now(), Actor: u.config.Service,
				Why: fmt.Sprintf("%s, cut off at %s, is so no longer, by %s", l.Device, l.Cut.UTC().Format(time.RFC3339), l.By),
			})
		}
	}
	return entries
}
