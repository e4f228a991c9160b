package service

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls/wire"
)

// maxApprovals bounds the approvals that one call shows.
const maxApprovals = 64

// A CaseItem is an epoch whose key a case wants. Next, the record after it,
// shows when the key's time ended; without it the key counts as used until its
// end.
//
//	struct { Proven proven; opaque next<V>; } CaseItem;
type CaseItem struct {
	groups.Proven
	Next []byte // KeyRecord, empty for none
}

// Marshal returns the encoded item.
func (i *CaseItem) Marshal() []byte {
	w := wire.NewWriter(nil)
	i.Proven.Encode(w)
	w.Opaque(i.Next)
	return w.Bytes()
}

// ParseCaseItem reads an item.
func ParseCaseItem(data []byte) (*CaseItem, error) {
	r := wire.NewReader(data)
	i := &CaseItem{}
	i.Proven.Decode(r)
	i.Next = r.OpaqueMax(groups.MaxKeyRecord)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("item of a case: %w", err)
	}
	return i, nil
}

// An exporting is one call for a case on its way through the checks.
type exporting struct {
	now   time.Time
	c     *Case
	hash  [32]byte
	by    [][32]byte // whose approvals count
	names string     // of them
	keys  []HeldKey
	to    *x509.Certificate
	items []*item

	approved bool // by as many as are asked for, and in force
}

// Export opens room keys for a case that enough approvers have signed. Each key
// is sealed to the case's export certificate, as a CMS message that openssl
// opens; what is outside of the case's scope comes back empty.
func (u *Unwrap) Export(ctx context.Context, req *connect.Request[unwrapv1.ExportRequest]) (*connect.Response[unwrapv1.ExportResponse], error) {
	x, err := u.checkCase(req.Msg)
	if err != nil {
		u.log.Warn("case refused", "from", req.Peer().Addr, "why", err)
		u.logCaseRefusal(ctx, x, err)
		if !x.approved { // whoever shows no case in force learns nothing of approvers and keys
			u.holdBack(ctx, u.now().Sub(x.now))
			err = errors.New("parley-pki case show says who has approved it, the service's log says why")
		}
		return nil, refuse(connect.CodePermissionDenied, "this case is not opened here: %v", err)
	}
	x.checkItems(req.Msg.Items)
	if ok, wait := u.meter.take(drawers{coi: x.c.CoI}, tokens(x.items), x.now); !ok {
		return nil, refuse(connect.CodeResourceExhausted, "%v", &busyError{wait})
	}
	entries := x.entries(u.config.Log)
	receipt, err := u.config.Log.Append(ctx, entries...) // COMMIT POINT: nothing before it has touched a key
	if err != nil {
		return nil, u.broken("log a case", err)
	}
	out := &unwrapv1.ExportResponse{First: receipt.First, Checkpoint: receipt.Checkpoint, Sealed: make([][]byte, len(x.items))}
	for i := range entries {
		out.Entries = append(out.Entries, entries[i].Marshal())
	}
	inParallel(len(x.items), func(i int) { out.Sealed[i] = x.open(x.items[i]) })
	for _, it := range x.items {
		if it.why != nil {
			u.log.Info("case: not opened", "case", x.c.Name(), "why", it.why)
		}
	}
	return connect.NewResponse(out), nil
}

// checkCase checks everything but the items: the case, who approved it, and
// that its CoI's key is here.
func (u *Unwrap) checkCase(m *unwrapv1.ExportRequest) (*exporting, error) {
	x := &exporting{now: u.now(), hash: sha256.Sum256(m.Case)}
	if len(m.Approvals) > maxApprovals || len(m.Items) > groups.MaxKeyItems {
		return x, fmt.Errorf("%d approvals and %d items at once: at most %d and %d", len(m.Approvals), len(m.Items), maxApprovals, groups.MaxKeyItems)
	}
	c, err := ParseCase(m.Case)
	if err != nil {
		return x, err
	}
	x.c = c
	if err := c.Check(x.now); err != nil {
		return x, err
	}
	var approvals []*Approval
	for _, data := range m.Approvals {
		a, err := ParseApproval(data)
		if err != nil {
			return x, err
		}
		approvals = append(approvals, a)
	}
	if x.by, err = c.ApprovedBy(approvals); err != nil {
		return x, err
	}
	if err := x.count(&u.config.Cases); err != nil {
		return x, err
	}
	x.approved = true
	ring, err := u.config.Keys()
	if err != nil {
		return x, err
	}
	if x.keys = ring.Of(c.CoI); len(x.keys) == 0 {
		return x, fmt.Errorf("no key of %s is held here", c.CoI)
	}
	x.to, err = x509.ParseCertificate(c.Export)
	return x, err
}

// count keeps the approvals of those whom this service knows, and demands as
// many as it and the case ask for.
func (x *exporting) count(a *CaseAuthority) error {
	var known [][32]byte
	var names []string
	for _, key := range x.by {
		if name, ok := a.name(key); ok {
			known, names = append(known, key), append(names, name)
		}
	}
	x.by, x.names = known, strings.Join(names, ", ")
	need := max(1, a.Threshold, int(x.c.Threshold))
	if len(known) < need {
		return fmt.Errorf("case %s has %d approvals of approvers that are known here, it needs %d", x.c.Name(), len(known), need)
	}
	return nil
}

// checkItems says of each item whether the case covers it.
func (x *exporting) checkItems(items [][]byte) {
	x.items = make([]*item, len(items))
	inParallel(len(items), func(i int) {
		it := &item{}
		x.items[i] = it
		q, err := ParseCaseItem(items[i])
		if err != nil {
			it.why = err
			return
		}
		if it.proof, it.why = prove(&q.Proven); it.why == nil {
			it.why = x.covers(it.proof, q.Next)
		}
	})
}

// covers: the room is in the case, its key was in use in the case's period, and
// the room's own policy has such access, by these very approvers.
func (x *exporting) covers(p *proof, next []byte) error {
	r := p.record
	rule := &p.policy.Cases
	if !slices.Contains(x.c.Rooms, string(r.Room)) || !p.wrappedTo(groups.CoIID(x.c.CoI)) {
		return fmt.Errorf("epoch %d of %s is not in the case", r.Epoch, r.Room)
	}
	if rule.Threshold == 0 {
		return fmt.Errorf("the policy of epoch %d of %s has no such access", r.Epoch, r.Room)
	}
	n := 0
	for _, key := range x.by {
		if slices.ContainsFunc(rule.Approvers, func(a groups.Approver) bool { return a.Key == groups.Hash(key) }) {
			n++
		}
	}
	if n < int(rule.Threshold) || n < int(x.c.Threshold) {
		return fmt.Errorf("the policy of epoch %d of %s asks for %d approvers of its own, %d have approved", r.Epoch, r.Room, max(rule.Threshold, x.c.Threshold), n)
	}
	return x.covered(p, next)
}

// covered: the key was in use at some time of the period.
func (x *exporting) covered(p *proof, next []byte) error {
	r := p.record
	end := r.NotAfter
	if len(next) > 0 {
		after, err := groups.ParseKeyRecord(next)
		if err != nil {
			return err
		}
		if after.Prev != r.Hash() {
			return fmt.Errorf("epoch %d of %s: the record shown does not follow it", r.Epoch, r.Room)
		}
		end = after.CreatedAt
	}
	from, to := uint64(x.c.From.UnixMilli()), uint64(x.c.To.UnixMilli())
	if r.CreatedAt >= to || end != 0 && end < from {
		return fmt.Errorf("epoch %d of %s is outside of the case's period", r.Epoch, r.Room)
	}
	return nil
}

// entry begins a log entry of the case.
func (x *exporting) entry(d Decision) AuditEntry {
	e := AuditEntry{Decision: d, Time: x.now, Actor: "case, approved by " + x.names, Request: x.hash}
	if x.c != nil {
		e.CoI, e.Case, e.Reason = x.c.CoI, x.c.Name(), x.c.Basis
		e.Certificate = sha256.Sum256(x.c.Export)
	}
	return e
}

// entries has an entry for each item: cases are rare, and each key counts.
func (x *exporting) entries(log *AuditLog) []AuditEntry {
	var out []AuditEntry
	for _, it := range x.items {
		e := x.entry(Exported)
		e.Count = 1
		if it.why != nil {
			e.Decision, e.Why = Refused, it.why.Error()
		}
		if it.proof != nil {
			e.Room, e.First, e.Last, e.Policy = log.Room(string(it.record.Room)), uint64(it.record.Epoch), uint64(it.record.Epoch), it.policyHash()
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		out = append(out, x.entry(Exported))
	}
	return out
}

// logCaseRefusal logs that a case was refused, if it could be read at all.
func (u *Unwrap) logCaseRefusal(ctx context.Context, x *exporting, why error) {
	if x.c == nil {
		return
	}
	if ok, _ := u.refused.take(drawers{device: x.c.Name(), coi: "cases"}, 1, x.now); !ok {
		return
	}
	e := x.entry(Refused)
	e.Why = why.Error()
	if _, err := u.config.Log.Append(ctx, e); err != nil {
		u.log.Error("log a refusal", "err", err)
	}
}

// open opens an item's envelope and seals what came out to the export
// certificate, empty where it does not open.
func (x *exporting) open(it *item) []byte {
	if it.why != nil {
		return nil
	}
	part, err := openPart(it.proof, x.keys)
	if err == nil && len(part) == 0 {
		err = errors.New("nothing came out")
	}
	if err != nil {
		clear(part)
		it.why = err
		return nil
	}
	defer clear(part)
	sealed, err := wrap.Seal(part, []wrap.Recipient{{Name: "export", Certificate: x.to}}, it.binding(), wrap.SealOptions{Mode: wrap.Any})
	it.why = err
	return sealed
}
