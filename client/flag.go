package client

import (
	"context"
	"errors"

	devicev1 "parley/api/device/v1"
	"parley/coi/wrap"
	"parley/groups"
)

// Flag reports a room's encryption configuration to the security officer of
// this device's site, or of the first community that has one. The report is an
// entry of the room's log, signed, with the words sealed to the room's
// communities: a gateway that takes it out breaks the chain, and one that does
// not take it leaves this call without a receipt, or the receipt without an
// entry. It returns the entry's place. The words are bound to room, epoch and
// ConfigHash, twice: it stands for the key id and for the recipients.
func (d *Device) Flag(ctx context.Context, id groups.RoomID, text string) (groups.Seq, error) {
	if text == "" {
		return 0, wrongArgument("say what is wrong")
	}
	s, err := d.online("report " + string(id))
	if err != nil {
		return 0, err
	}
	policy, ok := d.communities(id)
	if !ok {
		return 0, groups.Errorf(groups.NotFound, "%s wraps its keys to no community: there is nobody to report to", id)
	}
	if err := d.desk.fetchSome(ctx, &policy); err != nil {
		return 0, err
	}
	sub, err := d.draftFlag(id, &policy, text)
	if err != nil {
		return 0, err
	}
	seq, err := d.submitPatiently(ctx, s, sub)
	if err != nil {
		return 0, err
	}
	if err := d.reach(ctx, id, seq); err != nil {
		return 0, groups.Errorf(groups.Unavailable, "the report has a receipt and is not in the log: %w", err)
	}
	return seq, d.stands(id, seq, MessageID(sub.Id))
}

// stands says whether an entry of the log is the one of ours that it should be.
func (d *Device) stands(id groups.RoomID, seq groups.Seq, sid MessageID) error {
	list, err := d.Log(id, seq-1, 1)
	if err != nil {
		return err
	}
	if len(list) != 1 || list[0].Seq != seq || list[0].ID != sid || list[0].Device != d.id {
		return groups.Errorf(groups.Conflict, "the gateway says that the report is entry %d of %s, which is something else: it was dropped", seq, id)
	}
	return nil
}

// draftFlag makes and signs the entry.
func (d *Device) draftFlag(id groups.RoomID, policy *groups.Policy, text string) (sub *devicev1.Submission, err error) {
	err = d.change(id, func(tx Tx, r *room) error {
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		to, _, ok := d.desk.recipients(policy, r.at)
		if !ok {
			return unavailable(&policy.CoIs[0], "its certificate has just ended")
		}
		sid := newID()
		f := &groups.Flag{
			Room: id, Epoch: r.Epoch, ConfigHash: groups.ConfigHash(&r.policy, recordHash(r)), AuthorLeaf: uint32(r.group.OwnLeaf()),
			CreatedAt: uint64(r.at.UnixMilli()), Officer: officer(&r.policy, d.id.Site()),
			Stamp: groups.AuthenticatedData{Device: d.id, ID: groups.SubmissionID(sid), Seq: r.Seq, Hash: r.Hash},
		}
		binding := wrap.Binding{Room: string(id), Epoch: uint64(r.Epoch), KeyID: f.ConfigHash, Recipients: f.ConfigHash}
		o := sealOptions(policy)
		o.Mode = wrap.Any // any officer may read it
		if f.Text, err = wrap.Seal([]byte(text), to, binding, o); err != nil {
			return err
		}
		me, err := d.identity(r.Suite)
		if err != nil {
			return err
		}
		if err := f.Sign(me.Signer); err != nil {
			return err
		}
		sub = &devicev1.Submission{Room: string(id), Kind: uint32(groups.KindFlag), Id: sid[:], Body: f.Marshal()}
		return nil
	})
	return sub, err
}

// recordHash names the record in force, zero if there is none.
func recordHash(r *room) groups.Hash {
	if r.Keys.Record == nil {
		return groups.Hash{}
	}
	return r.Keys.Last
}

// officer returns the security officer to report to.
func officer(p *groups.Policy, site groups.SiteID) string {
	first := ""
	for _, c := range p.CoIs {
		if c.Officer != "" && c.Name.Site() == site {
			return c.Officer
		}
		if first == "" {
			first = c.Officer
		}
	}
	if first == "" {
		return "the security officer of " + string(p.CoIs[0].Name.Site())
	}
	return first
}

// fetchSome gets and checks what it can of what a policy wraps to, and leaves
// the other communities out of the policy. It is an error if none is left.
func (k *desk) fetchSome(ctx context.Context, p *groups.Policy) error {
	var good []groups.CoI
	var errs []error
	p.StrictStatus = false
	for i := range p.CoIs {
		if _, err := k.certify(ctx, &p.CoIs[i], false); err != nil {
			errs = append(errs, err)
			continue
		}
		good = append(good, p.CoIs[i])
	}
	if p.CoIs = good; len(good) == 0 {
		return errors.Join(errs...)
	}
	return nil
}
