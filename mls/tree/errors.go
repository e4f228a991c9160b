package tree

import "errors"

// Errors of a tree. Each is one rule; what is returned wraps it with where it
// was broken.
var (
	// ErrTreeTooLarge says that a tree would have more than MaxLeaves leaves.
	ErrTreeTooLarge = errors.New("tree too large")
	// ErrBlankLeaf says that an index does not name a member (RFC 9420,
	// Sections 12.1.3 and 6.1).
	ErrBlankLeaf = errors.New("leaf is blank")
	// ErrDuplicateEncryptionKey says that two nodes have one encryption key
	// (RFC 9420, Sections 7.3 and 12.4.3.1).
	ErrDuplicateEncryptionKey = errors.New("two nodes with one encryption key")
	// ErrDuplicateSignatureKey says that two members have one signature key
	// (RFC 9420, Sections 7.3 and 12.2).
	ErrDuplicateSignatureKey = errors.New("two members with one signature key")
	// ErrParentWithoutLeaves says that a parent node has a key but no members
	// below it, so that nothing can authenticate it (RFC 9420, Section 7.9.2).
	ErrParentWithoutLeaves = errors.New("parent node without members")
	// ErrTreeHash says that a tree is not the one of the GroupContext (RFC 9420,
	// Section 12.4.3.1).
	ErrTreeHash = errors.New("tree hash differs")
	// ErrParentHash says that a parent node, or the leaf of an update path, is not
	// authenticated by a parent hash (RFC 9420, Section 7.9.2).
	ErrParentHash = errors.New("parent hash is not valid")
	// ErrUnmergedLeaf says that unmerged_leaves name a blank leaf, or one that is
	// not below the node (RFC 9420, Section 12.4.3.1).
	ErrUnmergedLeaf = errors.New("unmerged leaf is not a member below the node")
	// ErrUnmergedSkipped says that a node between an unmerged leaf and a node that
	// lists it does not list it (RFC 9420, Section 12.4.3.1).
	ErrUnmergedSkipped = errors.New("unmerged leaf is missing further down")
)

// Errors of a leaf node (RFC 9420, Section 7.3), a KeyPackage (Section 10.1)
// and what the group asks of them.
var (
	// ErrLeafSignature says that the signature of a leaf node does not verify
	// (RFC 9420, Section 7.3).
	ErrLeafSignature = errors.New("leaf node signature does not verify")
	// ErrLeafSource says that leaf_node_source does not fit how the leaf came
	// (RFC 9420, Section 7.3).
	ErrLeafSource = errors.New("wrong leaf node source")
	// ErrLeafExtension says that a leaf node or KeyPackage has an extension that
	// its capabilities do not list (RFC 9420, Section 7.3).
	ErrLeafExtension = errors.New("extension not in capabilities")
	// ErrLeafCredential says that the credential type of a leaf node is not in its
	// own capabilities (RFC 9420, Section 7.2).
	ErrLeafCredential = errors.New("credential type not in capabilities")
	// ErrLifetime says that a leaf node is not valid at this time, or for longer
	// than is allowed (RFC 9420, Section 7.2).
	ErrLifetime = errors.New("lifetime not acceptable")
	// ErrEncryptionKey says that an encryption key is not one of the cipher suite.
	ErrEncryptionKey = errors.New("bad encryption key")
	// ErrSignatureKey says that a signature key is not one of the cipher suite.
	ErrSignatureKey = errors.New("bad signature key")
	// ErrCredential says that the application refused a credential (RFC 9420,
	// Section 5.3.1).
	ErrCredential = errors.New("credential refused")
	// ErrCredentialKey says that the certificate of an X.509 credential is for
	// another key than the leaf's (RFC 9420, Section 5.3).
	ErrCredentialKey = errors.New("certificate is not for the signature key")
	// ErrSuccessor says that the application refused a credential as the successor
	// of the member's old one (RFC 9420, Section 5.3.1).
	ErrSuccessor = errors.New("credential may not replace the old one")
	// ErrCipherSuite says that a tree and a GroupContext are of two cipher suites.
	ErrCipherSuite = errors.New("tree of another cipher suite")
	// ErrUnsupportedCredential says that a credential type in use or required is
	// not supported by all members (RFC 9420, Sections 7.3 and 11.1).
	ErrUnsupportedCredential = errors.New("a member does not support a credential type")
	// ErrUnsupportedExtension says that an extension of the GroupContext, or a
	// required one, is not supported by all members (RFC 9420, Sections 11.1 and
	// 13.4).
	ErrUnsupportedExtension = errors.New("a member does not support an extension")
	// ErrRequiredProposal says that a required proposal type is not supported by
	// all members (RFC 9420, Section 11.1).
	ErrRequiredProposal = errors.New("a member does not support a required proposal type")
	// ErrKeyPackageVersion says that a KeyPackage is of another protocol version
	// (RFC 9420, Section 10.1).
	ErrKeyPackageVersion = errors.New("key package of another version")
	// ErrKeyPackageSuite says that a KeyPackage is of another cipher suite
	// (RFC 9420, Section 10.1).
	ErrKeyPackageSuite = errors.New("key package of another cipher suite")
	// ErrKeyPackageSignature says that the signature of a KeyPackage does not
	// verify (RFC 9420, Section 10.1).
	ErrKeyPackageSignature = errors.New("key package signature does not verify")
	// ErrInitKey says that init_key is no key, or is the encryption key too
	// (RFC 9420, Section 10.1).
	ErrInitKey = errors.New("bad init key")
)
