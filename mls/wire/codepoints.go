package wire

import "fmt"

// ProtocolVersion is a version of MLS (RFC 9420, Section 6).
type ProtocolVersion uint16

// MLS10 is the version of RFC 9420.
const MLS10 ProtocolVersion = 1

// String returns the name of the RFC, or the number.
func (v ProtocolVersion) String() string { return name(v, "mls10") }

// CipherSuite is a cipher suite (RFC 9420, Section 17.1). Package mls/suite
// holds the algorithms.
type CipherSuite uint16

// String returns the name of the registry, or the number.
func (c CipherSuite) String() string {
	return name(c,
		"MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
		"MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
		"MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
		"MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
		"MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
		"MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
		"MLS_256_DHKEMP384_AES256GCM_SHA384_P384")
}

// WireFormat says what an MLSMessage holds (RFC 9420, Section 17.2).
type WireFormat uint16

// The wire formats of RFC 9420.
const (
	WireFormatPublicMessage  WireFormat = 1
	WireFormatPrivateMessage WireFormat = 2
	WireFormatWelcome        WireFormat = 3
	WireFormatGroupInfo      WireFormat = 4
	WireFormatKeyPackage     WireFormat = 5
)

// String returns the name of the registry, or the number.
func (f WireFormat) String() string {
	return name(f, "mls_public_message", "mls_private_message", "mls_welcome", "mls_group_info", "mls_key_package")
}

// ContentType says what a FramedContent holds (RFC 9420, Section 6).
type ContentType uint8

// The content types of RFC 9420.
const (
	ContentTypeApplication ContentType = 1
	ContentTypeProposal    ContentType = 2
	ContentTypeCommit      ContentType = 3
)

// String returns the name of the RFC, or the number.
func (t ContentType) String() string { return name(t, "application", "proposal", "commit") }

// SenderType says who sent a FramedContent (RFC 9420, Section 6).
type SenderType uint8

// The sender types of RFC 9420.
const (
	SenderTypeMember            SenderType = 1
	SenderTypeExternal          SenderType = 2
	SenderTypeNewMemberProposal SenderType = 3
	SenderTypeNewMemberCommit   SenderType = 4
)

// String returns the name of the RFC, or the number.
func (t SenderType) String() string {
	return name(t, "member", "external", "new_member_proposal", "new_member_commit")
}

// ProposalType is a kind of proposal (RFC 9420, Section 17.4).
type ProposalType uint16

// The proposal types of RFC 9420, all of them default types, and that of
// draft-ietf-mls-extensions.
const (
	ProposalTypeAdd                    ProposalType = 1
	ProposalTypeUpdate                 ProposalType = 2
	ProposalTypeRemove                 ProposalType = 3
	ProposalTypePSK                    ProposalType = 4
	ProposalTypeReInit                 ProposalType = 5
	ProposalTypeExternalInit           ProposalType = 6
	ProposalTypeGroupContextExtensions ProposalType = 7
	ProposalTypeSelfRemove             ProposalType = 10
)

// privateUse is where the code points of private use begin (RFC 9420,
// Section 17.4).
const privateUse = 0xf000

// String returns the name of the registry, or the number.
func (t ProposalType) String() string {
	if t == ProposalTypeSelfRemove {
		return "self_remove"
	}
	return name(t, "add", "update", "remove", "psk", "reinit", "external_init", "group_context_extensions")
}

// IsPrivate reports whether t is an application's own type: 0xf000 and above.
func (t ProposalType) IsPrivate() bool { return t >= privateUse }

// IsDefault reports whether every client supports t without listing it
// (RFC 9420, Section 7.2).
func (t ProposalType) IsDefault() bool {
	return t >= ProposalTypeAdd && t <= ProposalTypeGroupContextExtensions
}

// ExtensionType is a kind of extension (RFC 9420, Section 17.3).
type ExtensionType uint16

// The extension types of RFC 9420, all of them default types, and the mark of a
// key package of last resort: 0x000a in the registry and in use, while later
// drafts of draft-ietf-mls-extensions make it an application component.
const (
	ExtensionTypeApplicationID        ExtensionType = 1
	ExtensionTypeRatchetTree          ExtensionType = 2
	ExtensionTypeRequiredCapabilities ExtensionType = 3
	ExtensionTypeExternalPub          ExtensionType = 4
	ExtensionTypeExternalSenders      ExtensionType = 5
	ExtensionTypeLastResort           ExtensionType = 10
)

// String returns the name of the registry, or the number.
func (t ExtensionType) String() string {
	if t == ExtensionTypeLastResort {
		return "last_resort_key_package"
	}
	return name(t, "application_id", "ratchet_tree", "required_capabilities", "external_pub", "external_senders")
}

// IsDefault reports whether every client supports t without listing it
// (RFC 9420, Section 7.2).
func (t ExtensionType) IsDefault() bool {
	return t >= ExtensionTypeApplicationID && t <= ExtensionTypeExternalSenders
}

// CredentialType is a kind of credential (RFC 9420, Section 17.5).
type CredentialType uint16

// The credential types of RFC 9420. None is a default type.
const (
	CredentialTypeBasic CredentialType = 1
	CredentialTypeX509  CredentialType = 2
)

// String returns the name of the registry, or the number.
func (t CredentialType) String() string { return name(t, "basic", "x509") }

// LeafIndex counts the leaves of a ratchet tree from the left, from 0.
type LeafIndex uint32

// name returns the name of a code point that counts from 1.
func name[T ~uint8 | ~uint16](v T, names ...string) string {
	if v >= 1 && int(v) <= len(names) {
		return names[v-1]
	}
	return fmt.Sprintf("%#04x", uint16(v))
}
