package wire

import "errors"

// Errors of the structures. Each is wrapped together with ErrMalformed.
var (
	// ErrUnknownVersion says that a structure is not of mls10 (RFC 9420,
	// Section 6).
	ErrUnknownVersion = errors.New("unknown protocol version")
	// ErrUnknownWireFormat says that an MLSMessage holds something that RFC 9420,
	// Section 17.2 does not name.
	ErrUnknownWireFormat = errors.New("unknown wire format")
	// ErrUnknownContentType says that a content type is reserved or not known
	// (RFC 9420, Section 6).
	ErrUnknownContentType = errors.New("unknown content type")
	// ErrUnknownSenderType says that a sender type is reserved or not known
	// (RFC 9420, Section 6).
	ErrUnknownSenderType = errors.New("unknown sender type")
	// ErrUnknownProposalType says that a proposal can not be read, because the
	// structure of its type is not known (RFC 9420, Section 12.1).
	ErrUnknownProposalType = errors.New("unknown proposal type")
	// ErrUnknownCredentialType says that a credential can not be read, because
	// the structure of its type is not known (RFC 9420, Section 5.3).
	ErrUnknownCredentialType = errors.New("unknown credential type")
	// ErrUnknownLeafNodeSource says that a leaf node source is reserved or not
	// known (RFC 9420, Section 7.2).
	ErrUnknownLeafNodeSource = errors.New("unknown leaf node source")
	// ErrUnknownNodeType says that a node type is reserved or not known
	// (RFC 9420, Section 7.8).
	ErrUnknownNodeType = errors.New("unknown node type")
	// ErrUnknownProposalOrRefType says that a committed proposal is neither a
	// value nor a reference (RFC 9420, Section 12.4).
	ErrUnknownProposalOrRefType = errors.New("unknown proposal or reference type")
	// ErrUnknownPSKType says that a PSK type or usage is reserved or not known
	// (RFC 9420, Section 8.4).
	ErrUnknownPSKType = errors.New("unknown psk type")
	// ErrDuplicateExtension says that a list of extensions has two of one type
	// (RFC 9420, Section 13.4).
	ErrDuplicateExtension = errors.New("two extensions of one type")
	// ErrUnmergedOrder says that unmerged_leaves are not strictly increasing
	// (RFC 9420, Section 7.1).
	ErrUnmergedOrder = errors.New("unmerged leaves not in increasing order")
	// ErrPadding says that padding has an octet that is not zero (RFC 9420,
	// Section 6.3.1).
	ErrPadding = errors.New("padding not zero")
	// ErrTreeEnd says that a ratchet_tree is empty or ends with a blank node
	// (RFC 9420, Section 12.4.3.3).
	ErrTreeEnd = errors.New("ratchet tree ends with a blank node")
	// ErrNodePlace says that a ratchet_tree has a leaf where a parent belongs, or
	// the other way around (RFC 9420, Section 12.4.3.3).
	ErrNodePlace = errors.New("leaf and parent nodes out of place")
)
