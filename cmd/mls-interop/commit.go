package main

import (
	"context"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls"
	"parley/mls/wire"
)

// Commit makes a commit of exactly the proposals it is told, which waits for
// HandlePendingCommit. Another one, made or handled, takes its place.
func (s *service) Commit(_ context.Context, r *connect.Request[pb.CommitRequest]) (*connect.Response[pb.CommitResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	o := mls.CommitOptions{
		MessageOptions: m.message(), ForcePath: r.Msg.ForcePath, WelcomeTree: !r.Msg.ExternalTree,
	}
	if o.Cover, err = m.hearAll(r.Msg.ByReference); err != nil {
		return nil, err
	}
	if err := m.scene().byValue(&o, r.Msg.ByValue); err != nil {
		return nil, err
	}
	p, err := m.group.Commit(o)
	if err != nil {
		return nil, err
	}
	m.pending = p
	resp := &pb.CommitResponse{Commit: p.Commit, Welcome: p.Welcome}
	if r.Msg.ExternalTree {
		resp.RatchetTree = wire.Marshal(p.Next.Tree())
	}
	return connect.NewResponse(resp), nil
}

// HandleCommit applies the commit of another member.
func (s *service) HandleCommit(
	_ context.Context, r *connect.Request[pb.HandleCommitRequest],
) (*connect.Response[pb.HandleCommitResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	next, err := m.follow(r.Msg.Proposal, r.Msg.Commit)
	if err != nil {
		return nil, err
	}
	m.enter(next)
	return connect.NewResponse(&pb.HandleCommitResponse{
		StateId: r.Msg.StateId, EpochAuthenticator: next.EpochAuthenticator(),
	}), nil
}

// HandlePendingCommit applies the member's own.
func (s *service) HandlePendingCommit(
	_ context.Context, r *connect.Request[pb.HandlePendingCommitRequest],
) (*connect.Response[pb.HandleCommitResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	next, err := m.accepted()
	if err != nil {
		return nil, err
	}
	m.enter(next)
	return connect.NewResponse(&pb.HandleCommitResponse{
		StateId: r.Msg.StateId, EpochAuthenticator: next.EpochAuthenticator(),
	}), nil
}
