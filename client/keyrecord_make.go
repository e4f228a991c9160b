package client

import (
	"time"

	"parley/coi/wrap"
	"parley/groups"
	"parley/mls"
)

// A KeyWrapping says to whom a room key is wrapped, and what its record tells
// of that.
type KeyWrapping struct {
	To         []wrap.Recipient      // certificates, as the policy has the communities
	Recipients []groups.CoIRecipient // what the record says of them, in the same order
	Reason     groups.KeyReason
	Prev       groups.Hash // of the room's last record, zero for its first
	Made       time.Time
}

// NewKeyRecord makes the key record of the epoch that g begins, whose policy
// names communities: one envelope for all of them and one signature, by whoever
// is g's own member. What it takes does not depend on how many members there
// are. The room key is in memory for as long as that takes (I8); it has to be
// there still (mls.ErrRoomKeyGone).
func NewKeyRecord(g *mls.Group, by mls.Identity, w *KeyWrapping) (*groups.KeyRecord, error) {
	context := g.GroupContext()
	policy, err := policyOf(context.Extensions)
	if err != nil {
		return nil, err
	}
	made := uint64(w.Made.UnixMilli())
	r := &groups.KeyRecord{
		Room: groups.RoomID(context.GroupID), Epoch: groups.Epoch(context.Epoch), ContextHash: groups.ContextHash(&context),
		AuthorLeaf: uint32(g.OwnLeaf()), AuthorCert: groups.CredentialHash(&by.Credential),
		CreatedAt: made, NotAfter: policy.KeyEnd(made), Reason: w.Reason, Recipients: w.Recipients, Prev: w.Prev,
	}
	if err := sealRecord(r, g, policy, w.To); err != nil {
		return nil, err
	}
	if err := r.Sign(by.Signer); err != nil {
		return nil, err
	}
	return r, nil
}

// sealRecord puts the room key of g's epoch into a record.
func sealRecord(record *groups.KeyRecord, g *mls.Group, policy *groups.Policy, to []wrap.Recipient) error {
	key, id, err := roomKeyOf(g)
	if err != nil {
		return err
	}
	defer key.Erase()
	record.KeyID = id
	secret := groups.RoomKeyBytes(groups.RoomKey{
		Suite: key.CipherSuite, SenderDataSecret: key.SenderDataSecret, EncryptionSecret: key.EncryptionSecret,
	})
	defer clear(secret)
	record.Envelope, err = wrap.Seal(secret, to, bindingOf(record), sealOptions(policy))
	return err
}

// roomKeyOf returns the room key of g's epoch, to be erased, and what a record
// commits to it by.
func roomKeyOf(g *mls.Group) (*mls.RoomKey, groups.Hash, error) {
	key, err := g.RoomKey()
	if err != nil {
		return nil, groups.Hash{}, err
	}
	context := g.GroupContext()
	id, err := key.ID(&context)
	if err != nil {
		key.Erase()
	}
	return key, id, err
}

// bindingOf is what the envelope of a record is bound to.
func bindingOf(r *groups.KeyRecord) wrap.Binding {
	return wrap.Binding{Room: string(r.Room), Epoch: uint64(r.Epoch), KeyID: r.KeyID, Recipients: r.BindingHash()}
}

// sealOptions is how a policy wants keys wrapped.
func sealOptions(p *groups.Policy) wrap.SealOptions {
	o := wrap.SealOptions{Mode: wrap.Any, PostQuantum: p.PostQuantum}
	if p.Mode == groups.CoIAll {
		o.Mode = wrap.All
	}
	return o
}
