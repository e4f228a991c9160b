package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// pastEpochs is how long resumption PSKs are kept, and late messages opened:
// scripts go further back than users do.
const pastEpochs = 32

// A joiner is somebody with a key package who waits for a Welcome: what a
// transaction_id stands for.
type joiner struct {
	identity   mls.Identity
	keyPackage *mls.KeyPackage
	psks       purse
}

// newIdentity makes a signature key for a name.
func newIdentity(s *suite.Suite, name []byte) (mls.Identity, error) {
	key, err := s.GenerateSignatureKey()
	if err != nil {
		return mls.Identity{}, fmt.Errorf("make signature key: %w", err)
	}
	return mls.Identity{Credential: wire.BasicCredential(bytes.Clone(name)), Signer: key}, nil
}

// newJoiner makes a key package.
func newJoiner(id uint32, name []byte) (*joiner, error) {
	s, err := lookup(id)
	if err != nil {
		return nil, err
	}
	j := &joiner{psks: make(purse)}
	if j.identity, err = newIdentity(s, name); err != nil {
		return nil, err
	}
	j.keyPackage, err = mls.NewKeyPackage(s, j.identity, leaf())
	return j, err
}

// lookup finds a suite by its number.
func lookup(id uint32) (*suite.Suite, error) {
	if id > 0xffff {
		return nil, fmt.Errorf("cipher suite %d: %w", id, suite.ErrUnknownSuite)
	}
	return suite.Lookup(suite.ID(id))
}

// leaf is what everybody's leaf holds.
func leaf() mls.KeyPackageOptions { return mls.KeyPackageOptions{Now: time.Now()} }

// join makes a member of a joiner.
func (j *joiner) join(o mls.JoinOptions) (*mls.Group, error) {
	o.KeyPackage, o.Signer, o.Credentials = j.keyPackage, j.identity.Signer, names{}
	o.PastEpochs, o.Policy = pastEpochs, j.psks.policy()
	return mls.Join(o)
}

// orNil turns what the harness calls absent into what package mls does.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// CreateGroup makes a group of one.
func (s *service) CreateGroup(
	_ context.Context, r *connect.Request[pb.CreateGroupRequest],
) (*connect.Response[pb.CreateGroupResponse], error) {
	cs, err := lookup(r.Msg.CipherSuite)
	if err != nil {
		return nil, err
	}
	id, err := newIdentity(cs, r.Msg.Identity)
	if err != nil {
		return nil, err
	}
	psks := make(purse)
	g, err := mls.Create(mls.CreateOptions{
		Suite: cs, GroupID: r.Msg.GroupId, Identity: id, Leaf: leaf(),
		Credentials: names{}, PastEpochs: pastEpochs, Policy: psks.policy(),
	})
	if err != nil {
		return nil, err
	}
	state, err := keep(s, s.members, newMember(g, r.Msg.Identity, psks, r.Msg.EncryptHandshake))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.CreateGroupResponse{StateId: state}), nil
}

// CreateKeyPackage makes a joiner.
func (s *service) CreateKeyPackage(
	_ context.Context, r *connect.Request[pb.CreateKeyPackageRequest],
) (*connect.Response[pb.CreateKeyPackageResponse], error) {
	j, err := newJoiner(r.Msg.CipherSuite, r.Msg.Identity)
	if err != nil {
		return nil, err
	}
	resp := &pb.CreateKeyPackageResponse{KeyPackage: j.keyPackage.Message()}
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

// JoinGroup makes a joiner a member.
func (s *service) JoinGroup(
	_ context.Context, r *connect.Request[pb.JoinGroupRequest],
) (*connect.Response[pb.JoinGroupResponse], error) {
	j, err := held(s.joiners, r.Msg.TransactionId)
	if err != nil {
		return nil, err
	}
	if name := j.identity.Credential.Identity; len(r.Msg.Identity) > 0 && !bytes.Equal(name, r.Msg.Identity) {
		return nil, fmt.Errorf("join as %q with the key package of %q: %w", r.Msg.Identity, name, errRequest)
	}
	g, err := j.join(mls.JoinOptions{Welcome: r.Msg.Welcome, RatchetTree: orNil(r.Msg.RatchetTree)})
	if err != nil {
		return nil, err
	}
	state, err := keep(s, s.members, newMember(g, j.identity.Credential.Identity, j.psks, r.Msg.EncryptHandshake))
	if err != nil {
		return nil, err
	}
	delete(s.joiners, r.Msg.TransactionId)
	return connect.NewResponse(&pb.JoinGroupResponse{StateId: state, EpochAuthenticator: g.EpochAuthenticator()}), nil
}

// ExternalJoin makes a member by external commit.
func (s *service) ExternalJoin(
	_ context.Context, r *connect.Request[pb.ExternalJoinRequest],
) (*connect.Response[pb.ExternalJoinResponse], error) {
	o := mls.ExternalJoinOptions{
		GroupInfo: r.Msg.GroupInfo, RatchetTree: orNil(r.Msg.RatchetTree), Leaf: leaf(),
		Credentials: names{}, PastEpochs: pastEpochs,
	}
	info, err := groupInfo(r.Msg.GroupInfo)
	if err != nil {
		return nil, err
	}
	cs, err := suite.Lookup(suite.ID(info.GroupContext.CipherSuite))
	if err != nil {
		return nil, err
	}
	if o.Identity, err = newIdentity(cs, r.Msg.Identity); err != nil {
		return nil, err
	}
	psks := make(purse)
	for _, psk := range r.Msg.Psks {
		if err := psks.put(psk.PskId, psk.PskSecret); err != nil {
			return nil, err
		}
		o.PSKs = append(o.PSKs, mls.ExternalPSK(psk.PskId))
	}
	o.Policy = psks.policy()
	if r.Msg.RemovePrior {
		prior, err := find(readTree(cs, info, o.RatchetTree))(r.Msg.Identity)
		if err != nil {
			return nil, err
		}
		o.Resync = &prior
	}
	p, err := mls.JoinExternal(o)
	if err != nil {
		return nil, err
	}
	state, err := keep(s, s.members, newMember(p.Next, r.Msg.Identity, psks, r.Msg.EncryptHandshake))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.ExternalJoinResponse{
		StateId: state, Commit: p.Commit, EpochAuthenticator: p.Next.EpochAuthenticator(),
	}), nil
}

// groupInfo reads a GroupInfo.
func groupInfo(message []byte) (*wire.GroupInfo, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil {
		return nil, fmt.Errorf("read group info: %w", err)
	}
	if m.GroupInfo == nil {
		return nil, fmt.Errorf("%v instead of a group info: %w", m.WireFormat, errRequest)
	}
	return m.GroupInfo, nil
}

// readTree reads the tree that came apart, or that of the GroupInfo.
func readTree(s *suite.Suite, info *wire.GroupInfo, apart []byte) (*tree.Tree, error) {
	if apart == nil {
		apart, _ = info.Extensions.Find(wire.ExtensionTypeRatchetTree)
	}
	if apart == nil {
		return nil, mls.ErrTreeMissing
	}
	return tree.Parse(s, apart)
}
