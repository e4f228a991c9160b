package tree

import (
	"bytes"
	"fmt"

	"parley/mls/wire"
)

// Verify verifies the tree of a group as one who joins it (RFC 9420,
// Section 12.4.3.1): that it is the tree of that GroupContext, that its parent
// nodes are authenticated and its leaf nodes valid, and that all members
// support what the group asks. It takes time in proportion to the members, and
// uses c.Parallel.
func (t *Tree) Verify(context *wire.GroupContext, c *Config) error {
	if err := t.VerifyGroup(context); err != nil {
		return err
	}
	if err := c.verifyExtensions(t.suite, context.Extensions); err != nil {
		return fmt.Errorf("verify extensions: %w", err)
	}
	pieces := (int(t.width) + leavesPerPiece - 1) / leavesPerPiece
	return c.Parallel.Each(pieces, func(i int) error {
		from := wire.LeafIndex(i) * leavesPerPiece
		return t.VerifyLeaves(context.GroupID, from, from+leavesPerPiece, c)
	})
}

// leavesPerPiece is how many leaf nodes are verified together: a millisecond's
// work.
const leavesPerPiece = 32

// VerifyGroup is Verify without what asks for credentials: the leaf nodes and
// external senders.
func (t *Tree) VerifyGroup(context *wire.GroupContext) error {
	if context.CipherSuite != wire.CipherSuite(t.suite.ID()) {
		return fmt.Errorf("verify tree: %w: not %v", ErrCipherSuite, context.CipherSuite)
	}
	if !bytes.Equal(t.Hash(), context.TreeHash) {
		return fmt.Errorf("verify tree: %w", ErrTreeHash)
	}
	if err := t.VerifyParentHashes(); err != nil {
		return fmt.Errorf("verify tree: %w", err)
	}
	if err := t.VerifySupport(context.Extensions); err != nil {
		return fmt.Errorf("verify tree: %w", err)
	}
	return nil
}

// VerifyLeaves verifies the leaf nodes from (included) to end (not included)
// of a group, each by itself (RFC 9420, Section 7.3). Lifetimes are not judged:
// a member may well have outlived the KeyPackage by which it came.
func (t *Tree) VerifyLeaves(groupID []byte, from, end wire.LeafIndex, c *Config) error {
	for i := from; i < end && uint32(i) < t.width; i++ {
		leaf, ok := t.Leaf(i)
		if !ok {
			continue
		}
		if err := c.leafNode(t.suite, &leaf, place{groupID, i}); err != nil {
			return fmt.Errorf("verify leaf %d: %w", i, err)
		}
	}
	return nil
}

// VerifySupport verifies that all members support the credential types that are
// in use, and what a GroupContext with these extensions asks for (RFC 9420,
// Sections 7.3, 11.1 and 13.4). It does not look at the members one by one.
// Whether a leaf lists the version and suite is not asked, since a KeyPackage
// says which it is made for: members of the official vectors of suite 7 do not
// list it.
func (t *Tree) VerifySupport(extensions wire.Extensions) error {
	required, _, err := wire.FindExtension[wire.RequiredCapabilities](extensions, wire.ExtensionTypeRequiredCapabilities)
	if err != nil {
		return err
	}
	for _, c := range []wire.CredentialType{wire.CredentialTypeBasic, wire.CredentialTypeX509} {
		if t.support.count(usesCredential|trait(c)) > 0 && !t.all(supportsCredential|trait(c)) {
			return fmt.Errorf("%w: %v", ErrUnsupportedCredential, c)
		}
	}
	for _, e := range extensions {
		if !t.allSupport(e.ExtensionType) {
			return fmt.Errorf("%w: %v", ErrUnsupportedExtension, e.ExtensionType)
		}
	}
	return t.verifyRequired(&required)
}

// verifyRequired verifies that all members have the required capabilities.
func (t *Tree) verifyRequired(required *wire.RequiredCapabilities) error {
	for _, e := range required.ExtensionTypes {
		if !t.allSupport(e) {
			return fmt.Errorf("%w: %v", ErrUnsupportedExtension, e)
		}
	}
	for _, p := range required.ProposalTypes {
		if !p.IsDefault() && !t.all(supportsProposal|trait(p)) {
			return fmt.Errorf("%w: %v", ErrRequiredProposal, p)
		}
	}
	for _, c := range required.CredentialTypes {
		if !t.all(supportsCredential | trait(c)) {
			return fmt.Errorf("%w: %v", ErrUnsupportedCredential, c)
		}
	}
	return nil
}

// allSupport reports whether all members support an extension type.
func (t *Tree) allSupport(e wire.ExtensionType) bool {
	return e.IsDefault() || t.all(supportsExtension|trait(e))
}

// all reports whether all members have a trait.
func (t *Tree) all(trait trait) bool { return t.support.count(trait) == t.Size() }
