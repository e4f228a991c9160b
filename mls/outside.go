package mls

import (
	"bytes"
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// OutsideOptions say how somebody who is no member proposes something to a
// group (RFC 9420, Section 12.1.8).
type OutsideOptions struct {
	// Context is that of the group in its current epoch: of a GroupInfo, or of an
	// Observer. Only its suite, group ID and epoch are used.
	Context *wire.GroupContext
	Signer  *suite.SignaturePrivateKey
	// AuthenticatedData is signed with the message and readable by all.
	AuthenticatedData []byte
}

// ProposeAsExternal makes a proposal of the group's external sender with that
// index in the extension external_senders (RFC 9420, Section 12.1.8.1): an Add,
// Remove, PreSharedKey, ReInit or GroupContextExtensions, or one of the
// application's own. Whether members take it, they decide. It fails with
// suite.ErrUnknownSuite if the context is of a suite that is not built here.
func ProposeAsExternal(p wire.Proposal, index uint32, o OutsideOptions) ([]byte, error) {
	return o.propose(&p, wire.Sender{SenderType: wire.SenderTypeExternal, SenderIndex: index})
}

// ProposeToJoin makes a proposal of a new member to add itself (RFC 9420,
// Section 12.1.8). The signer must be that of the key package. It fails as
// ProposeAsExternal does.
func ProposeToJoin(kp *wire.KeyPackage, o OutsideOptions) ([]byte, error) {
	p := wire.Proposal{ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: *kp}}
	return o.propose(&p, wire.Sender{SenderType: wire.SenderTypeNewMemberProposal})
}

// propose signs a proposal and encodes it.
func (o *OutsideOptions) propose(p *wire.Proposal, sender wire.Sender) ([]byte, error) {
	s, err := suite.Lookup(suite.ID(o.Context.CipherSuite))
	if err != nil {
		return nil, fmt.Errorf("propose %v from outside: %w", p.ProposalType, err)
	}
	e := epoch{suite: s, context: *o.Context}
	ac, err := e.sign(o.Signer, wire.WireFormatPublicMessage, wire.FramedContent{
		GroupID:           o.Context.GroupID,
		Epoch:             o.Context.Epoch,
		Sender:            sender,
		AuthenticatedData: bytes.Clone(o.AuthenticatedData),
		ContentType:       wire.ContentTypeProposal,
		Proposal:          p,
	})
	if err != nil {
		return nil, fmt.Errorf("propose %v from outside: %w", p.ProposalType, err)
	}
	return e.protectPublic(&ac), nil
}
