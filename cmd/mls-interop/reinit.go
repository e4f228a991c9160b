package main

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls"
	"parley/mls/wire"
)

// An ending is a member of a group that a ReInit has ended, with a key package
// for the one that follows: what a reinit_id stands for.
type ending struct {
	*joiner
	last    *mls.Group
	private bool
}

// ReInitCommit is Commit: what makes it one is what it covers.
func (s *service) ReInitCommit(
	ctx context.Context, r *connect.Request[pb.CommitRequest],
) (*connect.Response[pb.CommitResponse], error) {
	return s.Commit(ctx, r)
}

// HandlePendingReInitCommit applies the member's own commit of a ReInit.
func (s *service) HandlePendingReInitCommit(
	_ context.Context, r *connect.Request[pb.HandlePendingCommitRequest],
) (*connect.Response[pb.HandleReInitCommitResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	last, err := m.accepted()
	if err != nil {
		return nil, err
	}
	return s.end(r.Msg.StateId, last)
}

// HandleReInitCommit applies that of another.
func (s *service) HandleReInitCommit(
	_ context.Context, r *connect.Request[pb.HandleCommitRequest],
) (*connect.Response[pb.HandleReInitCommitResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	last, err := m.follow(r.Msg.Proposal, r.Msg.Commit)
	if err != nil {
		return nil, err
	}
	return s.end(r.Msg.StateId, last)
}

// end makes an ending of a member, whose group is over with its last epoch.
func (s *service) end(state uint32, last *mls.Group) (*connect.Response[pb.HandleReInitCommitResponse], error) {
	m, reinit := s.members[state], last.ReInit()
	if reinit == nil {
		return nil, fmt.Errorf("commit without a reinit: %w", errOrder)
	}
	j, err := newJoiner(uint32(reinit.CipherSuite), m.identity)
	if err != nil {
		return nil, err
	}
	j.psks = m.psks
	id, err := keep(s, s.endings, &ending{joiner: j, last: last, private: m.private})
	if err != nil {
		return nil, err
	}
	delete(s.members, state)
	return connect.NewResponse(&pb.HandleReInitCommitResponse{
		ReinitId: id, KeyPackage: j.keyPackage.Message(), EpochAuthenticator: last.EpochAuthenticator(),
	}), nil
}

// ReInitWelcome founds the group that follows.
func (s *service) ReInitWelcome(
	_ context.Context, r *connect.Request[pb.ReInitWelcomeRequest],
) (*connect.Response[pb.CreateSubgroupResponse], error) {
	e, err := held(s.endings, r.Msg.ReinitId)
	if err != nil {
		return nil, err
	}
	o := mls.SuccessorOptions{
		Identity: e.identity, Leaf: leaf(), ForcePath: r.Msg.ForcePath, WelcomeTree: !r.Msg.ExternalTree,
	}
	if o.Members, err = keyPackages(r.Msg.KeyPackage); err != nil {
		return nil, err
	}
	p, err := e.last.Reinitialize(o)
	if err != nil {
		return nil, err
	}
	resp, err := s.founded(p, newMember(p.Next, e.identity.Credential.Identity, e.psks, e.private))
	if err != nil {
		return nil, err
	}
	if r.Msg.ExternalTree {
		resp.RatchetTree = wire.Marshal(p.Next.Tree())
	}
	delete(s.endings, r.Msg.ReinitId)
	return connect.NewResponse(resp), nil
}

// founded keeps the founder of a group.
func (s *service) founded(p *mls.Pending, founder *member) (*pb.CreateSubgroupResponse, error) {
	state, err := keep(s, s.members, founder)
	if err != nil {
		return nil, err
	}
	return &pb.CreateSubgroupResponse{
		StateId: state, Welcome: p.Welcome, EpochAuthenticator: p.Next.EpochAuthenticator(),
	}, nil
}

// HandleReInitWelcome joins it.
func (s *service) HandleReInitWelcome(
	_ context.Context, r *connect.Request[pb.HandleReInitWelcomeRequest],
) (*connect.Response[pb.JoinGroupResponse], error) {
	e, err := held(s.endings, r.Msg.ReinitId)
	if err != nil {
		return nil, err
	}
	g, err := e.join(mls.JoinOptions{Welcome: r.Msg.Welcome, RatchetTree: orNil(r.Msg.RatchetTree), Predecessor: e.last})
	if err != nil {
		return nil, err
	}
	state, err := keep(s, s.members, newMember(g, e.identity.Credential.Identity, e.psks, e.private))
	if err != nil {
		return nil, err
	}
	delete(s.endings, r.Msg.ReinitId)
	return connect.NewResponse(&pb.JoinGroupResponse{StateId: state, EpochAuthenticator: g.EpochAuthenticator()}), nil
}
