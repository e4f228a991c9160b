package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls/suite"
)

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, suite: uint32(suite.X25519AES128SHA256Ed25519)}
	for i := range s.clients {
		s.clients[i] = dial(t, serveOne(t), connect.WithGRPC())
	}
	return s
}

// What a call says it can not do it does not do by half: afterwards the members
// still agree.
func TestRefusals(t *testing.T) {
	s := newStage(t)
	list := s.actors(3)
	alice, bob, carol := list[0], list[1], list[2]
	group(list)

	refused(s, alice.rpc.Protect, &pb.ProtectRequest{StateId: alice.id + 1000}, connect.CodeNotFound)
	refused(s, alice.rpc.Free, &pb.FreeRequest{}, connect.CodeNotFound)
	refused(s, alice.rpc.StorePSK, &pb.StorePSKRequest{}, connect.CodeNotFound)
	refused(s, alice.rpc.JoinGroup, &pb.JoinGroupRequest{TransactionId: alice.id}, connect.CodeNotFound)
	refused(s, alice.rpc.HandlePendingCommit, &pb.HandlePendingCommitRequest{StateId: alice.id}, connect.CodeFailedPrecondition)
	refused(s, alice.rpc.CreateGroup, &pb.CreateGroupRequest{CipherSuite: 4}, connect.CodeInvalidArgument)
	refused(s, alice.rpc.CreateGroup, &pb.CreateGroupRequest{CipherSuite: 1 << 16}, connect.CodeInvalidArgument)
	refused(s, alice.rpc.AddProposal, &pb.AddProposalRequest{StateId: alice.id, KeyPackage: []byte("no")}, connect.CodeInvalidArgument)
	refused(s, alice.rpc.RemoveProposal, &pb.RemoveProposalRequest{StateId: alice.id, RemovedId: []byte("nobody")}, connect.CodeInvalidArgument)
	refused(s, alice.rpc.Export, &pb.ExportRequest{StateId: alice.id, KeyLength: 1 << 31}, connect.CodeInvalidArgument)
	refused(s, alice.rpc.Commit, &pb.CommitRequest{StateId: alice.id, ByValue: []*pb.ProposalDescription{{}}}, connect.CodeInvalidArgument)
	refused(s, alice.rpc.Commit, &pb.CommitRequest{StateId: alice.id, ByValue: []*pb.ProposalDescription{nil}}, connect.CodeInvalidArgument)
	signer := call(s, bob.rpc.CreateExternalSigner, &pb.CreateExternalSignerRequest{CipherSuite: s.suite})
	info := call(s, alice.rpc.GroupInfo, &pb.GroupInfoRequest{StateId: alice.id})
	refused(s, bob.rpc.ExternalSignerProposal, &pb.ExternalSignerProposalRequest{SignerId: signer.SignerId, GroupInfo: info.GroupInfo}, connect.CodeInvalidArgument)
	refused(s, alice.rpc.HandlePendingReInitCommit, &pb.HandlePendingCommitRequest{StateId: alice.id}, connect.CodeFailedPrecondition)

	c := call(s, carol.rpc.Commit, &pb.CommitRequest{StateId: carol.id, ByValue: []*pb.ProposalDescription{
		{ProposalType: []byte("remove"), RemovedId: []byte(alice.name)},
	}})
	refused(s, alice.rpc.HandleCommit, &pb.HandleCommitRequest{StateId: alice.id, Commit: c.Commit}, connect.CodeFailedPrecondition)
	refused(s, bob.rpc.HandleReInitCommit, &pb.HandleCommitRequest{StateId: bob.id, Commit: c.Commit}, connect.CodeFailedPrecondition)
	refused(s, bob.rpc.HandleCommit, &pb.HandleCommitRequest{StateId: bob.id, Proposal: [][]byte{c.Commit}, Commit: c.Commit}, connect.CodeInvalidArgument)

	alice.commits(new(pb.CommitRequest), []*actor{bob, carol}, nil)
	talk(list)
	refused(s, carol.rpc.HandlePendingCommit, &pb.HandlePendingCommitRequest{StateId: carol.id}, connect.CodeFailedPrecondition)
}

// "The commit covers exactly the messages of by_reference, some of which may be
// the member's own": what else waits is left to the next epoch, and proposals
// may be told twice.
func TestCommitCoversWhatTheRunnerNames(t *testing.T) {
	for _, private := range []bool{false, true} {
		s := newStage(t)
		s.private = private
		list := s.actors(4)
		alice, bob := list[0], list[1]
		group(list)
		remove := func(by, who *actor) []byte {
			return call(s, by.rpc.RemoveProposal, &pb.RemoveProposalRequest{StateId: by.id, RemovedId: []byte(who.name)}).Proposal
		}
		dropped, kept := remove(alice, list[2]), remove(alice, list[3])
		if _, err := try(bob.rpc.Commit, &pb.CommitRequest{StateId: bob.id, ByReference: [][]byte{dropped, kept}}); err != nil {
			t.Fatal(err)
		}
		alice.commits(&pb.CommitRequest{ByReference: [][]byte{kept}}, []*actor{bob, list[2]}, nil)
		talk(list[:3])
	}
}

// A service holds maxHeld of each kind, and refuses more.
func TestHeldIsBounded(t *testing.T) {
	s := newService(offered(false))
	for i := range uint32(maxHeld) {
		s.signers[i+1] = nil
	}
	_, err := s.CreateExternalSigner(context.Background(), connect.NewRequest(&pb.CreateExternalSignerRequest{CipherSuite: 1}))
	if code(err) != connect.CodeResourceExhausted {
		t.Fatalf("one more signer: %v", err)
	}
	if _, err := s.CreateKeyPackage(context.Background(), connect.NewRequest(&pb.CreateKeyPackageRequest{CipherSuite: 1})); err != nil {
		t.Fatalf("a joiner is of another kind: %v", err)
	}
	p := make(purse)
	for i := range maxPSKs {
		if err := p.put(bytes.Repeat([]byte{1}, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.put([]byte("one more"), nil); code(err) != connect.CodeResourceExhausted {
		t.Fatalf("one more key: %v", err)
	}
}

// The runner asks for the suites of RFC 9420; those of the draft are offered on
// request only.
func TestOffers(t *testing.T) {
	url := serveOne(t)
	for _, o := range [][]connect.ClientOption{{connect.WithGRPC()}, {connect.WithGRPCWeb()}, nil} {
		rpc := dial(t, url, o...)
		if r, err := try(rpc.Name, new(pb.NameRequest)); err != nil || r.Name == "" {
			t.Fatal(err)
		}
		r, err := try(rpc.SupportedCiphersuites, new(pb.SupportedCiphersuitesRequest))
		if err != nil || len(r.Ciphersuites) != len(suite.IDs()) {
			t.Fatalf("%v %v", r, err)
		}
	}
	if got, want := offered(false), []suite.ID{1, 2, 3, 5, 7}; !slices.Equal(got, want) {
		t.Fatalf("offered %v instead of %v", got, want)
	}
}

func TestFlags(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	var out strings.Builder
	if err := run(ctx, []string{"-port", "0"}, &out); err != nil || !strings.HasPrefix(out.String(), "ready: mls-interop at 127.0.0.1:") {
		t.Fatalf("%v: %q", err, out.String())
	}
	if err := run(ctx, []string{"-port", "0", "more"}, &out); err == nil {
		t.Fatal("an argument too many")
	}
}
