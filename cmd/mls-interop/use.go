package main

import (
	"context"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls/wire"
)

// GroupInfo describes the epoch, with the tree in it or apart.
func (s *service) GroupInfo(
	_ context.Context, r *connect.Request[pb.GroupInfoRequest],
) (*connect.Response[pb.GroupInfoResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	info, err := m.group.GroupInfo(!r.Msg.ExternalTree)
	if err != nil {
		return nil, err
	}
	resp := &pb.GroupInfoResponse{GroupInfo: info}
	if r.Msg.ExternalTree {
		resp.RatchetTree = wire.Marshal(m.group.Tree())
	}
	return connect.NewResponse(resp), nil
}

// StateAuth returns the epoch authenticator.
func (s *service) StateAuth(
	_ context.Context, r *connect.Request[pb.StateAuthRequest],
) (*connect.Response[pb.StateAuthResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.StateAuthResponse{StateAuthSecret: m.group.EpochAuthenticator()}), nil
}

// Export derives a secret.
func (s *service) Export(_ context.Context, r *connect.Request[pb.ExportRequest]) (*connect.Response[pb.ExportResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	secret, err := m.group.Export(r.Msg.Label, r.Msg.Context, int(r.Msg.KeyLength))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.ExportResponse{ExportedSecret: secret}), nil
}

// Protect encrypts an application message.
func (s *service) Protect(_ context.Context, r *connect.Request[pb.ProtectRequest]) (*connect.Response[pb.ProtectResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	message, err := m.group.Seal(r.Msg.AuthenticatedData, r.Msg.Plaintext, 0)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.ProtectResponse{Ciphertext: message}), nil
}

// Unprotect decrypts one, of this epoch or of one not long past.
func (s *service) Unprotect(
	_ context.Context, r *connect.Request[pb.UnprotectRequest],
) (*connect.Response[pb.UnprotectResponse], error) {
	m, err := held(s.members, r.Msg.StateId)
	if err != nil {
		return nil, err
	}
	message, err := m.group.Open(r.Msg.Ciphertext)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.UnprotectResponse{
		AuthenticatedData: message.AuthenticatedData, Plaintext: message.Plaintext,
	}), nil
}

// StorePSK gives a pre-shared key to a member, or to a joiner for its Welcome.
func (s *service) StorePSK(
	_ context.Context, r *connect.Request[pb.StorePSKRequest],
) (*connect.Response[pb.StorePSKResponse], error) {
	var psks purse
	if m, ok := s.members[r.Msg.StateOrTransactionId]; ok {
		psks = m.psks
	} else {
		j, err := held(s.joiners, r.Msg.StateOrTransactionId)
		if err != nil {
			return nil, err
		}
		psks = j.psks
	}
	if err := psks.put(r.Msg.PskId, r.Msg.PskSecret); err != nil {
		return nil, err
	}
	return connect.NewResponse(new(pb.StorePSKResponse)), nil
}
