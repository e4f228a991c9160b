package main

import (
	"context"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls"
	"parley/mls/wire"
)

// CreateBranch founds a group of some members beside the one there is.
func (s *service) CreateBranch(
	_ context.Context, r *connect.Request[pb.CreateBranchRequest],
) (*connect.Response[pb.CreateSubgroupResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	o := mls.SuccessorOptions{
		GroupID: r.Msg.GroupId, Leaf: leaf(), ForcePath: r.Msg.ForcePath, WelcomeTree: !r.Msg.ExternalTree,
	}
	if o.Identity, err = newIdentity(m.group.Suite(), m.identity); err != nil {
		return nil, err
	}
	if o.Extensions, err = extensions(r.Msg.Extensions); err != nil {
		return nil, err
	}
	if o.Members, err = keyPackages(r.Msg.KeyPackages); err != nil {
		return nil, err
	}
	p, err := m.group.Branch(o)
	if err != nil {
		return nil, err
	}
	resp, err := s.founded(p, newMember(p.Next, m.identity, m.psks, m.private))
	if err != nil {
		return nil, err
	}
	if r.Msg.ExternalTree {
		resp.RatchetTree = wire.Marshal(p.Next.Tree())
	}
	return connect.NewResponse(resp), nil
}

// HandleBranch joins it; the old membership stays.
func (s *service) HandleBranch(
	_ context.Context, r *connect.Request[pb.HandleBranchRequest],
) (*connect.Response[pb.HandleBranchResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	j, err := held(s.joiners, r.Msg.TransactionId)
	if err != nil {
		return nil, err
	}
	g, err := j.join(mls.JoinOptions{
		Welcome: r.Msg.Welcome, RatchetTree: orNil(r.Msg.RatchetTree), Predecessor: m.group,
	})
	if err != nil {
		return nil, err
	}
	state, err := keep(s, s.members, newMember(g, m.identity, j.psks, m.private))
	if err != nil {
		return nil, err
	}
	delete(s.joiners, r.Msg.TransactionId)
	return connect.NewResponse(&pb.HandleBranchResponse{StateId: state, EpochAuthenticator: g.EpochAuthenticator()}), nil
}
