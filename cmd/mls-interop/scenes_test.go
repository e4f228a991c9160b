package main

import (
	"bytes"
	"testing"

	pb "parley/api/interop/v1"
)

// requiredNothing is required_capabilities with three empty lists, and
// senderless external_senders with none.
var (
	requiredNothing = &pb.Extension{ExtensionType: 3, ExtensionData: []byte{0, 0, 0}}
	senderless      = &pb.Extension{ExtensionType: 5, ExtensionData: []byte{0}}
)

// The harness's configurations, in short: both ends are ours, over gRPC.
func TestScenarios(t *testing.T) {
	play(t, map[string]func(*stage){
		"welcome_join":       welcomeJoin,
		"commit":             commitAll,
		"application":        application,
		"external_join":      externalJoin,
		"reinit":             reInitialize,
		"branch":             branch,
		"external_proposals": externalProposals,
	})
}

func welcomeJoin(s *stage) {
	for _, r := range []*pb.CommitRequest{{}, {ForcePath: true}, {ExternalTree: true}} {
		list := s.actors(2)
		alice, bob := list[0], list[1]
		alice.create()
		add := call(s, alice.rpc.AddProposal, &pb.AddProposalRequest{StateId: alice.id, KeyPackage: bob.keyPackage()})
		id := psk("key", list...)
		mix := call(s, alice.rpc.ExternalPSKProposal, &pb.ExternalPSKProposalRequest{StateId: alice.id, PskId: id})
		r.ByReference = [][]byte{add.Proposal, mix.Proposal}
		alice.commits(r, nil, list[1:])
		talk(list)
	}
}

func commitAll(s *stage) {
	list := s.actors(7)
	alice, bob := list[0], list[1]
	group(list[:4])
	dave, erin, frank := list[4], list[5], list[6]

	key := psk("one", alice, bob)
	proposals := [][]byte{
		call(s, bob.rpc.UpdateProposal, &pb.UpdateProposalRequest{StateId: bob.id}).Proposal,
		call(s, bob.rpc.RemoveProposal, &pb.RemoveProposalRequest{StateId: bob.id, RemovedId: []byte(list[2].name)}).Proposal,
		call(s, alice.rpc.ExternalPSKProposal, &pb.ExternalPSKProposalRequest{StateId: alice.id, PskId: key}).Proposal,
		call(s, bob.rpc.ResumptionPSKProposal, &pb.ResumptionPSKProposalRequest{StateId: bob.id, EpochId: 1}).Proposal,
		call(s, bob.rpc.GroupContextExtensionsProposal, &pb.GroupContextExtensionsProposalRequest{
			StateId: bob.id, Extensions: []*pb.Extension{requiredNothing, senderless},
		}).Proposal,
	}
	alice.commits(&pb.CommitRequest{ByReference: proposals, ByValue: []*pb.ProposalDescription{
		{ProposalType: []byte("remove"), RemovedId: []byte(list[3].name)},
	}}, []*actor{bob}, nil)
	adds := [][]byte{
		call(s, alice.rpc.AddProposal, &pb.AddProposalRequest{StateId: alice.id, KeyPackage: dave.keyPackage()}).Proposal,
		call(s, bob.rpc.AddProposal, &pb.AddProposalRequest{StateId: bob.id, KeyPackage: erin.keyPackage()}).Proposal,
	}
	alice.commits(&pb.CommitRequest{
		ByReference: adds,
		ByValue: []*pb.ProposalDescription{
			{ProposalType: []byte("add"), KeyPackage: frank.keyPackage()},
			{ProposalType: []byte("groupContextExtensions"), Extensions: []*pb.Extension{requiredNothing}},
		},
	}, []*actor{bob}, []*actor{dave, erin, frank})
	members := []*actor{alice, bob, dave, erin, frank}
	frank.commits(&pb.CommitRequest{ForcePath: true}, members[:4], nil)
	alice.commits(&pb.CommitRequest{ByValue: []*pb.ProposalDescription{
		{ProposalType: []byte("externalPSK"), PskId: key}, {ProposalType: []byte("resumptionPSK"), EpochId: 3},
	}}, []*actor{bob}, nil)
	talk(members[:2])
}

func application(s *stage) {
	list := s.actors(2)
	alice, bob := list[0], list[1]
	group(list)
	protect := func(text string) []byte {
		return call(s, alice.rpc.Protect, &pb.ProtectRequest{StateId: alice.id, Plaintext: []byte(text)}).Ciphertext
	}
	early, late := protect("early"), protect("late")
	alice.commits(new(pb.CommitRequest), list[1:], nil)
	last := protect("last")
	for _, m := range []struct {
		message []byte
		text    string
	}{{last, "last"}, {late, "late"}, {early, "early"}} {
		r := call(s, bob.rpc.Unprotect, &pb.UnprotectRequest{StateId: bob.id, Ciphertext: m.message})
		if string(r.Plaintext) != m.text {
			s.Fatalf("%q instead of %q", r.Plaintext, m.text)
		}
	}
	var secrets, auths [2][]byte
	for i, a := range list {
		secrets[i] = call(s, a.rpc.Export, &pb.ExportRequest{StateId: a.id, Label: "test", Context: []byte("c"), KeyLength: 45}).ExportedSecret
		auths[i] = call(s, a.rpc.StateAuth, &pb.StateAuthRequest{StateId: a.id}).StateAuthSecret
	}
	if len(secrets[0]) != 45 || !bytes.Equal(secrets[0], secrets[1]) || !bytes.Equal(auths[0], alice.auth) || !bytes.Equal(auths[1], bob.auth) {
		s.Fatal("secrets differ")
	}
	for _, a := range list {
		call(s, a.rpc.Free, &pb.FreeRequest{StateId: a.id})
	}
}

func externalJoin(s *stage) {
	list := s.actors(3)
	alice, bob, carol := list[0], list[1], list[2]
	group(list[:2])
	psk("one", list[:2]...)
	enter := func(r *pb.ExternalJoinRequest, apart bool, others ...*actor) {
		info := call(s, bob.rpc.GroupInfo, &pb.GroupInfoRequest{StateId: bob.id, ExternalTree: apart})
		if len(info.RatchetTree) > 0 != apart {
			s.Fatalf("tree of %d bytes; asked for: %v", len(info.RatchetTree), apart)
		}
		r.GroupInfo, r.RatchetTree = info.GroupInfo, info.RatchetTree
		r.Identity, r.EncryptHandshake = []byte(carol.name), s.private
		resp := call(s, carol.rpc.ExternalJoin, r)
		carol.id, carol.auth = resp.StateId, resp.EpochAuthenticator
		carol.handled(resp.Commit, nil, others)
		carol.agree(others)
	}
	enter(&pb.ExternalJoinRequest{Psks: []*pb.PreSharedKey{{PskId: []byte("one"), PskSecret: []byte("secret of one")}}}, true, alice, bob)
	talk(list)
	for _, apart := range []bool{false, true} {
		enter(&pb.ExternalJoinRequest{RemovePrior: true}, apart, alice, bob)
	}
	carol.commits(new(pb.CommitRequest), list[:2], nil)
	talk(list)
}

// ends plays a ReInit: list[0] commits proposal, list[1] founds what follows.
func ends(list []*actor, proposal []byte, welcome *pb.ReInitWelcomeRequest) {
	committer, founder := list[0], list[1]
	s := committer.stage
	s.Helper()
	packages := make(map[*actor][]byte)
	c := call(s, committer.rpc.ReInitCommit, &pb.CommitRequest{StateId: committer.id, ByReference: [][]byte{proposal}})
	for _, a := range list {
		var r *pb.HandleReInitCommitResponse
		if a == committer {
			r = call(s, a.rpc.HandlePendingReInitCommit, &pb.HandlePendingCommitRequest{StateId: a.id})
		} else {
			r = call(s, a.rpc.HandleReInitCommit, &pb.HandleCommitRequest{
				StateId: a.id, Proposal: [][]byte{proposal}, Commit: c.Commit,
			})
		}
		a.id, a.auth, packages[a] = r.ReinitId, r.EpochAuthenticator, r.KeyPackage
		committer.agree([]*actor{a})
	}
	for _, a := range list {
		if a != founder {
			welcome.KeyPackage = append(welcome.KeyPackage, packages[a])
		}
	}
	welcome.ReinitId = founder.id
	w := call(s, founder.rpc.ReInitWelcome, welcome)
	founder.id, founder.auth = w.StateId, w.EpochAuthenticator
	for _, a := range list {
		if a != founder {
			r := call(s, a.rpc.HandleReInitWelcome, &pb.HandleReInitWelcomeRequest{
				ReinitId: a.id, Welcome: w.Welcome, RatchetTree: w.RatchetTree,
			})
			a.id, a.auth = r.StateId, r.EpochAuthenticator
		}
	}
	founder.agree(list)
	talk(list)
}

func reInitialize(s *stage) {
	list := s.actors(3)
	group(list)
	proposer := list[2]
	for _, r := range []struct {
		id      string
		suite   uint32
		welcome *pb.ReInitWelcomeRequest
	}{
		{id: "the group", suite: s.otherSuite(), welcome: new(pb.ReInitWelcomeRequest)},
		{id: "another", suite: s.suite, welcome: &pb.ReInitWelcomeRequest{ExternalTree: true, ForcePath: true}},
	} {
		p := call(s, proposer.rpc.ReInitProposal, &pb.ReInitProposalRequest{
			StateId: proposer.id, CipherSuite: r.suite, GroupId: []byte(r.id), Extensions: []*pb.Extension{requiredNothing},
		})
		ends(list, p.Proposal, r.welcome)
	}
	list[1].commits(new(pb.CommitRequest), []*actor{list[0], list[2]}, nil)
}

func branch(s *stage) {
	list := s.actors(3)
	group(list)
	for _, r := range []*pb.CreateBranchRequest{
		{Extensions: []*pb.Extension{requiredNothing}},
		{ForcePath: true, ExternalTree: true},
	} {
		founder := &actor{stage: s, name: list[0].name, rpc: list[0].rpc}
		branched := []*actor{founder}
		for _, a := range list[1:] {
			b := &actor{stage: s, name: a.name, rpc: a.rpc}
			r.KeyPackages = append(r.KeyPackages, b.keyPackage())
			branched = append(branched, b)
		}
		r.StateId, r.GroupId = list[0].id, []byte("branch")
		w := call(s, founder.rpc.CreateBranch, r)
		founder.id, founder.auth = w.StateId, w.EpochAuthenticator
		for i, b := range branched[1:] {
			h := call(s, b.rpc.HandleBranch, &pb.HandleBranchRequest{
				StateId: list[i+1].id, TransactionId: b.id, Welcome: w.Welcome, RatchetTree: w.RatchetTree,
			})
			b.id, b.auth = h.StateId, h.EpochAuthenticator
		}
		founder.agree(branched)
		branched[2].commits(new(pb.CommitRequest), branched[:2], nil)
		talk(branched)
	}
	list[1].commits(new(pb.CommitRequest), []*actor{list[0], list[2]}, nil)
	talk(list)
}

func externalProposals(s *stage) {
	list := s.actors(4)
	alice, bob, carol, dave := list[0], list[1], list[2], list[3]
	group(list[:2])

	info := call(s, alice.rpc.GroupInfo, &pb.GroupInfoRequest{StateId: alice.id})
	self := call(s, carol.rpc.NewMemberAddProposal, &pb.NewMemberAddProposalRequest{GroupInfo: info.GroupInfo, Identity: []byte(carol.name)})
	carol.id = self.TransactionId
	alice.commits(&pb.CommitRequest{ByReference: [][]byte{self.Proposal}}, []*actor{bob}, []*actor{carol})

	signers := []*actor{s.actor("signer 1"), s.actor("signer 2")}
	for _, ds := range signers {
		r := call(s, ds.rpc.CreateExternalSigner, &pb.CreateExternalSignerRequest{CipherSuite: s.suite, Identity: []byte(ds.name)})
		ds.id = r.SignerId
		p := call(s, alice.rpc.AddExternalSigner, &pb.AddExternalSignerRequest{StateId: alice.id, ExternalSender: r.ExternalSender})
		alice.commits(&pb.CommitRequest{ByReference: [][]byte{p.Proposal}}, []*actor{bob, carol}, nil)
	}
	id := psk("one", list[:3]...)
	propose := func(ds *actor, d *pb.ProposalDescription) []byte {
		info := call(s, bob.rpc.GroupInfo, &pb.GroupInfoRequest{StateId: bob.id, ExternalTree: true})
		return call(s, ds.rpc.ExternalSignerProposal, &pb.ExternalSignerProposalRequest{
			SignerId: ds.id, GroupInfo: info.GroupInfo, RatchetTree: info.RatchetTree, Description: d,
		}).Proposal
	}
	alice.commits(&pb.CommitRequest{ByReference: [][]byte{
		propose(signers[0], &pb.ProposalDescription{ProposalType: []byte("externalPSK"), PskId: id}),
		propose(signers[1], &pb.ProposalDescription{ProposalType: []byte("resumptionPSK"), EpochId: 3}),
	}}, []*actor{bob, carol}, nil)
	alice.commits(&pb.CommitRequest{ByReference: [][]byte{
		propose(signers[0], &pb.ProposalDescription{ProposalType: []byte("add"), KeyPackage: dave.keyPackage()}),
		propose(signers[1], &pb.ProposalDescription{ProposalType: []byte("remove"), RemovedId: []byte(carol.name)}),
	}}, []*actor{bob}, []*actor{dave})
	end := propose(signers[1], &pb.ProposalDescription{
		ProposalType: []byte("reinit"), GroupId: []byte("the group++"), CipherSuite: s.otherSuite(),
		Extensions: []*pb.Extension{requiredNothing},
	})
	ends([]*actor{alice, bob, dave}, end, &pb.ReInitWelcomeRequest{ForcePath: true})
}
