package main

import (
	"bytes"
	"fmt"

	pb "parley/api/interop/v1"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A scene is what a ProposalDescription speaks of: a group as its member sees it,
// or somebody outside with a GroupInfo.
type scene struct {
	suite   *suite.Suite
	groupID []byte
	tree    func() (*tree.Tree, error)
}

// propose makes the proposal that d describes, PSKs with a fresh nonce.
func (s *scene) propose(d *pb.ProposalDescription) (p wire.Proposal, err error) {
	switch kind := string(d.GetProposalType()); kind {
	case "add":
		kp, err := keyPackage(d.KeyPackage)
		if err != nil {
			return p, err
		}
		return wire.Proposal{ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: *kp}}, nil
	case "remove":
		leaf, err := find(s.tree())(d.RemovedId)
		return wire.Proposal{ProposalType: wire.ProposalTypeRemove, Remove: &wire.Remove{Removed: leaf}}, err
	case "externalPSK":
		return s.inject(mls.ExternalPSK(d.PskId)), nil
	case "resumptionPSK":
		return s.inject(mls.ResumptionPSK(s.groupID, d.EpochId)), nil
	case "groupContextExtensions":
		list, err := extensions(d.Extensions)
		return wire.Proposal{
			ProposalType:           wire.ProposalTypeGroupContextExtensions,
			GroupContextExtensions: &wire.GroupContextExtensions{Extensions: list},
		}, err
	case "reinit":
		r, err := reInit(d.GroupId, d.CipherSuite, d.Extensions)
		return wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: r}, err
	default:
		return p, fmt.Errorf("proposal type %q: %w", kind, errRequest)
	}
}

// inject proposes a pre-shared key.
func (s *scene) inject(id wire.PreSharedKeyID) wire.Proposal {
	id.PSKNonce = suite.Random(s.suite.HashSize())
	return wire.Proposal{ProposalType: wire.ProposalTypePSK, PreSharedKey: &wire.PreSharedKey{PSK: id}}
}

// byValue puts what the descriptions say into a commit.
func (s *scene) byValue(o *mls.CommitOptions, list []*pb.ProposalDescription) error {
	for i, d := range list {
		p, err := s.propose(d)
		if err != nil {
			return fmt.Errorf("proposal %d by value: %w", i, err)
		}
		switch p.ProposalType {
		case wire.ProposalTypeAdd:
			o.Adds = append(o.Adds, &p.Add.KeyPackage)
		case wire.ProposalTypeRemove:
			o.Removes = append(o.Removes, p.Remove.Removed)
		case wire.ProposalTypePSK:
			o.PSKs = append(o.PSKs, p.PreSharedKey.PSK)
		case wire.ProposalTypeGroupContextExtensions:
			if o.Extensions != nil {
				return fmt.Errorf("extensions twice: %w", errRequest)
			}
			o.Extensions = &p.GroupContextExtensions.Extensions
		case wire.ProposalTypeReInit:
			if o.ReInit != nil {
				return fmt.Errorf("reinit twice: %w", errRequest)
			}
			o.ReInit = p.ReInit
		}
	}
	return nil
}

// scene is the group as m sees it.
func (m *member) scene() *scene {
	return &scene{
		suite: m.group.Suite(), groupID: m.group.GroupID(),
		tree: func() (*tree.Tree, error) { return m.group.Tree(), nil },
	}
}

// reInit makes a ReInit of a version that there is.
func reInit(groupID []byte, cs uint32, list []*pb.Extension) (*wire.ReInit, error) {
	if _, err := lookup(cs); err != nil {
		return nil, err
	}
	r := &wire.ReInit{GroupID: bytes.Clone(groupID), Version: wire.MLS10, CipherSuite: wire.CipherSuite(cs)}
	var err error
	r.Extensions, err = extensions(list)
	return r, err
}

// extensions reads a list of the harness.
func extensions(list []*pb.Extension) (wire.Extensions, error) {
	out := make(wire.Extensions, len(list))
	for i, e := range list {
		if e.ExtensionType > 0xffff {
			return nil, fmt.Errorf("extension type %d: %w", e.ExtensionType, errRequest)
		}
		out[i] = wire.Extension{ExtensionType: wire.ExtensionType(e.ExtensionType), ExtensionData: e.ExtensionData}
	}
	return out, nil
}

// keyPackage reads a KeyPackage.
func keyPackage(message []byte) (*wire.KeyPackage, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil {
		return nil, fmt.Errorf("read key package: %w", err)
	}
	if m.KeyPackage == nil {
		return nil, fmt.Errorf("%v instead of a key package: %w", m.WireFormat, errRequest)
	}
	return m.KeyPackage, nil
}

// keyPackages reads several.
func keyPackages(messages [][]byte) ([]*wire.KeyPackage, error) {
	list := make([]*wire.KeyPackage, len(messages))
	for i, message := range messages {
		kp, err := keyPackage(message)
		if err != nil {
			return nil, fmt.Errorf("number %d: %w", i, err)
		}
		list[i] = kp
	}
	return list, nil
}

// find looks for the member of an identity in a tree, if there is a tree.
func find(t *tree.Tree, err error) func(identity []byte) (wire.LeafIndex, error) {
	return func(identity []byte) (wire.LeafIndex, error) {
		if err != nil {
			return 0, err
		}
		for i := range t.Members() {
			if leaf, _ := t.Leaf(i); bytes.Equal(leaf.Credential.Identity, identity) {
				return i, nil
			}
		}
		return 0, fmt.Errorf("identity %q: %w", identity, mls.ErrNotMember)
	}
}
