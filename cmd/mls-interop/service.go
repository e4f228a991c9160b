package main

import (
	"context"
	"fmt"
	"math"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls/suite"
)

// maxHeld is how many of each kind a service holds; the call that would make
// another is refused. The runner frees one state per actor and script, and leaves
// some behind.
const maxHeld = 1 << 16

// A service answers the harness's calls, one at a time. All that calls name by
// number is here, and no number means two things.
type service struct {
	suites  []suite.ID
	last    uint32 // id that was given
	members map[uint32]*member
	joiners map[uint32]*joiner
	endings map[uint32]*ending
	signers map[uint32]*signer
}

func newService(suites []suite.ID) *service {
	return &service{
		suites:  suites,
		members: make(map[uint32]*member),
		joiners: make(map[uint32]*joiner),
		endings: make(map[uint32]*ending),
		signers: make(map[uint32]*signer),
	}
}

// offered are the suites of RFC 9420 that there are, and those of the draft if
// asked.
func offered(draft bool) []suite.ID {
	var list []suite.ID
	for _, id := range suite.IDs() {
		if draft || !id.IsDraft() {
			list = append(list, id)
		}
	}
	return list
}

// keep holds v under a new id.
func keep[T any](s *service, held map[uint32]T, v T) (uint32, error) {
	if len(held) >= maxHeld || s.last == math.MaxUint32 {
		return 0, fmt.Errorf("keep %T: %w", v, errFull)
	}
	s.last++
	held[s.last] = v
	return s.last, nil
}

// held returns what has that id.
func held[T any](from map[uint32]T, id uint32) (T, error) {
	v, ok := from[id]
	if !ok {
		return v, fmt.Errorf("%T %d: %w", v, id, errUnknown)
	}
	return v, nil
}

// Name says who we are.
func (s *service) Name(context.Context, *connect.Request[pb.NameRequest]) (*connect.Response[pb.NameResponse], error) {
	return connect.NewResponse(&pb.NameResponse{Name: "Parley"}), nil
}

// SupportedCiphersuites lists what is offered.
func (s *service) SupportedCiphersuites(
	context.Context, *connect.Request[pb.SupportedCiphersuitesRequest],
) (*connect.Response[pb.SupportedCiphersuitesResponse], error) {
	resp := new(pb.SupportedCiphersuitesResponse)
	for _, id := range s.suites {
		resp.Ciphersuites = append(resp.Ciphersuites, uint32(id))
	}
	return connect.NewResponse(resp), nil
}

// Free forgets a member.
func (s *service) Free(_ context.Context, r *connect.Request[pb.FreeRequest]) (*connect.Response[pb.FreeResponse], error) {
	if _, err := held(s.members, r.Msg.StateId); err != nil {
		return nil, err
	}
	delete(s.members, r.Msg.StateId)
	return connect.NewResponse(new(pb.FreeResponse)), nil
}
