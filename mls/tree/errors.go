package tree

import "errors"

// Errors of a tree. Each is one rule; what is returned wraps it with where it
// was broken. Every error of this package wraps one of these, or one of mls/wire
// or mls/suite. On any error the Tree, State or Observer is what it was.
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
	// ErrProof says that a membership proof is not one, or of another tree
	// (draft-ietf-mls-partial-02).
	ErrProof = errors.New("membership proof is not valid")
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

// Errors of a list of proposals (RFC 9420, Section 12.2).
var (
	// ErrUnsupportedProposal says that a proposal is of a type that the
	// application has not registered, or that not all members who process the
	// commit support (RFC 9420, Section 12.2).
	ErrUnsupportedProposal = errors.New("proposal type not supported")
	// ErrProposalSender says that a proposal is of a type that its sender may not
	// send (RFC 9420, Section 12.1.8).
	ErrProposalSender = errors.New("proposal type not allowed for its sender")
	// ErrProposalRefused says that the application refused a proposal (RFC 9420,
	// Section 12.2).
	ErrProposalRefused = errors.New("proposal refused by the application")
	// ErrPSKNonce says that a psk_nonce is not of length KDF.Nh (RFC 9420,
	// Section 12.1.4).
	ErrPSKNonce = errors.New("psk nonce of the wrong length")
	// ErrPSKUsage says that a resumption PSK for reinitialization or branching is
	// used elsewhere (RFC 9420, Section 12.1.4).
	ErrPSKUsage = errors.New("resumption psk of this usage is not allowed here")
	// ErrDuplicatePSK says that several proposals name one PSK (RFC 9420,
	// Section 12.2).
	ErrDuplicatePSK = errors.New("two proposals of one psk")
	// ErrTooManyPSKs says that a commit names more than MaxPSKs.
	ErrTooManyPSKs = errors.New("too many psks")
	// ErrReInitVersion says that a ReInit goes back to an older version (RFC 9420,
	// Section 12.1.5).
	ErrReInitVersion = errors.New("reinit to an older version")
	// ErrReInitAlone says that a commit contains a ReInit and another proposal
	// (RFC 9420, Section 12.2).
	ErrReInitAlone = errors.New("reinit together with another proposal")
	// ErrExternalInit says that an ExternalInit is not in an external commit
	// (RFC 9420, Section 12.2).
	ErrExternalInit = errors.New("external init outside an external commit")
	// ErrSelfRemove says that a SelfRemove is not a member's own, sent by itself
	// in a PublicMessage and committed by reference (draft-ietf-mls-extensions).
	ErrSelfRemove = errors.New("self remove out of place")
	// ErrUpdateByCommitter says that a commit contains an Update of its own sender
	// (RFC 9420, Section 12.2).
	ErrUpdateByCommitter = errors.New("commit contains the committer's own update")
	// ErrRemoveCommitter says that a commit removes its own sender (RFC 9420,
	// Section 12.2).
	ErrRemoveCommitter = errors.New("commit removes the committer")
	// ErrSameLeaf says that several Updates or Removes apply to one leaf (RFC 9420,
	// Section 12.2).
	ErrSameLeaf = errors.New("two updates or removes of one leaf")
	// ErrTwoExtensions says that a commit contains several GroupContextExtensions
	// proposals (RFC 9420, Section 12.2).
	ErrTwoExtensions = errors.New("two proposals of group context extensions")
	// ErrUpdateKey says that an Update keeps the encryption key of the leaf it
	// replaces (RFC 9420, Section 7.3).
	ErrUpdateKey = errors.New("update keeps the encryption key")
	// ErrPathRequired says that a commit has no update path but needs one
	// (RFC 9420, Section 12.4).
	ErrPathRequired = errors.New("commit needs an update path")
)

// Errors of an external commit (RFC 9420, Sections 12.2 and 12.4.3.2).
var (
	// ErrOneExternalInit says that an external commit has not exactly one
	// ExternalInit (RFC 9420, Section 12.2).
	ErrOneExternalInit = errors.New("external commit without exactly one external init")
	// ErrExternalProposal says that an external commit contains a proposal of a
	// type that it may not (RFC 9420, Section 12.2).
	ErrExternalProposal = errors.New("proposal not allowed in an external commit")
	// ErrExternalReference says that an external commit contains a proposal by
	// reference that is no SelfRemove (RFC 9420, Section 12.4.3.2).
	ErrExternalReference = errors.New("external commit refers to a proposal")
	// ErrExternalRemoves says that an external commit contains several Removes
	// (RFC 9420, Section 12.2).
	ErrExternalRemoves = errors.New("external commit removes several members")
)

// Errors of an Observer (RFC 9420, Sections 6, 12.4 and 12.4.2).
var (
	// ErrGroupInfoSignature says that the signature of a GroupInfo does not verify
	// (RFC 9420, Section 12.4.3).
	ErrGroupInfoSignature = errors.New("group info signature does not verify")
	// ErrConfirmationTag says that a confirmation tag has not the length of a MAC
	// (RFC 9420, Section 6.1).
	ErrConfirmationTag = errors.New("confirmation tag of the wrong length")
	// ErrMembershipTag says that a membership tag has not the length of a MAC
	// (RFC 9420, Section 6.2).
	ErrMembershipTag = errors.New("membership tag of the wrong length")
	// ErrGroupID says that a message is of another group (RFC 9420, Section 6).
	ErrGroupID = errors.New("message of another group")
	// ErrEpoch says that a handshake is not of the current epoch (RFC 9420,
	// Sections 12.1 and 12.4.2).
	ErrEpoch = errors.New("message of another epoch")
	// ErrUnsupportedSender says that a handshake is from outside the group, and
	// that the application has not said that it accepts any.
	ErrUnsupportedSender = errors.New("sender type not supported")
	// ErrSenderContent says that a message is of a kind that its sender type can
	// not send (RFC 9420, Sections 6 and 12.1.8).
	ErrSenderContent = errors.New("sender type can not send this")
	// ErrSenderIndex says that a message names no external sender of the group
	// (RFC 9420, Section 12.1.8.1).
	ErrSenderIndex = errors.New("no such external sender")
	// ErrMessageSignature says that the signature of a message does not verify
	// (RFC 9420, Section 6.1).
	ErrMessageSignature = errors.New("message signature does not verify")
	// ErrApplicationContent says that application data was sent as a PublicMessage
	// (RFC 9420, Section 6).
	ErrApplicationContent = errors.New("application data is not encrypted")
	// ErrUnknownReference says that a commit refers to a proposal that was not
	// sent in this epoch (RFC 9420, Section 12.4).
	ErrUnknownReference = errors.New("commit refers to an unknown proposal")
	// ErrKnownProposal says that a proposal was sent before in this epoch.
	ErrKnownProposal = errors.New("proposal is pending already")
	// ErrTooManyProposals says that MaxPending proposals are pending.
	ErrTooManyProposals = errors.New("too many pending proposals")
)

// Errors of an update path (RFC 9420, Sections 7.6 and 12.4.2).
var (
	// ErrPathLength says that an update path has not one node for each of the
	// committer's filtered direct path (RFC 9420, Section 7.6).
	ErrPathLength = errors.New("update path of the wrong length")
	// ErrPathCiphertexts says that a node of an update path has not one ciphertext
	// for each node of its copath child's resolution (RFC 9420, Section 7.6).
	ErrPathCiphertexts = errors.New("wrong number of path secrets")
	// ErrPathKeyReused says that a key of an update path stands in the tree
	// already (RFC 9420, Section 12.4.2).
	ErrPathKeyReused = errors.New("update path reuses a key of the tree")
)
