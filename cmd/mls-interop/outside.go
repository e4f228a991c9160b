package main

import (
	"bytes"
	"context"
	"fmt"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A signer may propose from outside, once a group lists it: what a signer_id
// stands for.
type signer struct{ identity mls.Identity }

// NewMemberAddProposal makes a joiner that proposes itself.
func (s *service) NewMemberAddProposal(
	_ context.Context, r *connect.Request[pb.NewMemberAddProposalRequest],
) (*connect.Response[pb.NewMemberAddProposalResponse], error) {
	info, err := groupInfo(r.Msg.GroupInfo)
	if err != nil {
		return nil, err
	}
	j, err := newJoiner(uint32(info.GroupContext.CipherSuite), r.Msg.Identity)
	if err != nil {
		return nil, err
	}
	resp := new(pb.NewMemberAddProposalResponse)
	resp.Proposal, err = mls.ProposeToJoin(&j.keyPackage.Public,
		mls.OutsideOptions{Context: &info.GroupContext, Signer: j.identity.Signer})
	if err != nil {
		return nil, err
	}
	if resp.InitPriv, resp.EncryptionPriv, err = j.keyPackage.PrivateKeys(); err != nil {
		return nil, err
	}
	if resp.SignaturePriv, err = j.identity.Signer.Bytes(); err != nil {
		return nil, err
	}
	if resp.TransactionId, err = keep(s, s.joiners, j); err != nil {
		return nil, err
	}
	return connect.NewResponse(resp), nil
}

// CreateExternalSigner makes a signer.
func (s *service) CreateExternalSigner(
	_ context.Context, r *connect.Request[pb.CreateExternalSignerRequest],
) (*connect.Response[pb.CreateExternalSignerResponse], error) {
	cs, err := lookup(r.Msg.CipherSuite)
	if err != nil {
		return nil, err
	}
	id, err := newIdentity(cs, r.Msg.Identity)
	if err != nil {
		return nil, err
	}
	number, err := keep(s, s.signers, &signer{identity: id})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.CreateExternalSignerResponse{
		SignerId:       number,
		ExternalSender: wire.Marshal(wire.ExternalSender{SignatureKey: id.Signer.PublicKey(), Credential: id.Credential}),
	}), nil
}

// AddExternalSigner proposes to list a signer after those there are.
func (s *service) AddExternalSigner(
	_ context.Context, r *connect.Request[pb.AddExternalSignerRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		one, err := wire.Unmarshal[wire.ExternalSender](r.Msg.ExternalSender)
		if err != nil {
			return nil, fmt.Errorf("read external sender: %w", err)
		}
		list, err := withSender(m.group.GroupContext().Extensions, one)
		if err != nil {
			return nil, err
		}
		return m.group.ProposeExtensions(list, m.message())
	})
}

// withSender returns extensions with one more external sender.
func withSender(list wire.Extensions, one wire.ExternalSender) (wire.Extensions, error) {
	senders, _, err := wire.FindExtension[wire.ExternalSenders](list, wire.ExtensionTypeExternalSenders)
	if err != nil {
		return nil, err
	}
	with := wire.Extension{
		ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: wire.Marshal(append(senders, one)),
	}
	out := make(wire.Extensions, 0, len(list)+1)
	for _, e := range list {
		if e.ExtensionType != wire.ExtensionTypeExternalSenders {
			out = append(out, e)
		}
	}
	return append(out, with), nil
}

// ExternalSignerProposal makes a proposal of a signer to the group that a
// GroupInfo describes.
func (s *service) ExternalSignerProposal(
	_ context.Context, r *connect.Request[pb.ExternalSignerProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	who, err := held(s.signers, r.Msg.SignerId)
	if err != nil {
		return nil, err
	}
	info, err := groupInfo(r.Msg.GroupInfo)
	if err != nil {
		return nil, err
	}
	cs, err := suite.Lookup(suite.ID(info.GroupContext.CipherSuite))
	if err != nil {
		return nil, err
	}
	view := scene{suite: cs, groupID: info.GroupContext.GroupID, tree: func() (*tree.Tree, error) {
		return readTree(cs, info, orNil(r.Msg.RatchetTree))
	}}
	p, err := view.propose(r.Msg.Description)
	if err != nil {
		return nil, err
	}
	message, err := mls.ProposeAsExternal(p, who.index(&info.GroupContext, r.Msg.SignerIndex),
		mls.OutsideOptions{Context: &info.GroupContext, Signer: who.identity.Signer})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.ProposalResponse{Proposal: message}), nil
}

// index is where the group lists the signer. The runner always says 0, which is
// right for the first only: what it says counts if the signer is not listed.
func (g *signer) index(context *wire.GroupContext, said uint32) uint32 {
	senders, _, _ := wire.FindExtension[wire.ExternalSenders](context.Extensions, wire.ExtensionTypeExternalSenders)
	for i := range senders {
		if bytes.Equal(senders[i].SignatureKey, g.identity.Signer.PublicKey()) {
			return uint32(i)
		}
	}
	return said
}
