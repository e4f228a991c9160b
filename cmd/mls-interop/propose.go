package main

import (
	"context"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls"
)

// proposed answers a call for a proposal of member id: propose makes it.
func (s *service) proposed(id uint32, propose func(*member) ([]byte, error)) (*connect.Response[pb.ProposalResponse], error) {
	m, err := held(s.members, id)
	if err != nil {
		return nil, err
	}
	message, err := m.propose(propose(m))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.ProposalResponse{Proposal: message}), nil
}

// AddProposal proposes a new member.
func (s *service) AddProposal(
	_ context.Context, r *connect.Request[pb.AddProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		kp, err := keyPackage(r.Msg.KeyPackage)
		if err != nil {
			return nil, err
		}
		return m.group.ProposeAdd(kp, m.message())
	})
}

// UpdateProposal proposes a fresh leaf of the member.
func (s *service) UpdateProposal(
	_ context.Context, r *connect.Request[pb.UpdateProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		return m.group.ProposeUpdate(mls.LeafOptions{}, m.message())
	})
}

// RemoveProposal proposes to remove whoever has an identity.
func (s *service) RemoveProposal(
	_ context.Context, r *connect.Request[pb.RemoveProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		leaf, err := find(m.group.Tree(), nil)(r.Msg.RemovedId)
		if err != nil {
			return nil, err
		}
		return m.group.ProposeRemove(leaf, m.message())
	})
}

// ExternalPSKProposal proposes a key that was stored.
func (s *service) ExternalPSKProposal(
	_ context.Context, r *connect.Request[pb.ExternalPSKProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		return m.group.ProposePSK(mls.ExternalPSK(r.Msg.PskId), m.message())
	})
}

// ResumptionPSKProposal proposes the key of an epoch of the group.
func (s *service) ResumptionPSKProposal(
	_ context.Context, r *connect.Request[pb.ResumptionPSKProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		return m.group.ProposePSK(mls.ResumptionPSK(m.group.GroupID(), r.Msg.EpochId), m.message())
	})
}

// GroupContextExtensionsProposal proposes other extensions.
func (s *service) GroupContextExtensionsProposal(
	_ context.Context, r *connect.Request[pb.GroupContextExtensionsProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		list, err := extensions(r.Msg.Extensions)
		if err != nil {
			return nil, err
		}
		return m.group.ProposeExtensions(list, m.message())
	})
}

// ReInitProposal proposes to end the group for another.
func (s *service) ReInitProposal(
	_ context.Context, r *connect.Request[pb.ReInitProposalRequest],
) (*connect.Response[pb.ProposalResponse], error) {
	return s.proposed(r.Msg.StateId, func(m *member) ([]byte, error) {
		reinit, err := reInit(r.Msg.GroupId, r.Msg.CipherSuite, r.Msg.Extensions)
		if err != nil {
			return nil, err
		}
		return m.group.ProposeReInit(*reinit, m.message())
	})
}
