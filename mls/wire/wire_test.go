package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// TestMalformedIsRefused gives decoders what a sentence of the RFC forbids.
func TestMalformedIsRefused(t *testing.T) {
	leaf := "00" + "00" + "000100" + "0000000000" + "02" + "00" + "00" // update, all else empty
	cases := []struct {
		rule   string
		decode decode
		hex    string
		want   error
	}{
		{"a presence octet with a value other than 0 or 1 MUST be rejected (2.1.1)", recode[Commit], "00" + "02", ErrMalformed},
		{"values using more bits than necessary MUST be treated as malformed (2.1.2)", recode[ExternalPub], "4001" + "aa", ErrVarint},
		{"vectors that start with the prefix 11 are invalid (2.1.2)", recode[ExternalPub], "c0000000", ErrVarint},
		{"a vector ends where its last element ends", recode[RequiredCapabilities], "03" + "000100" + "00" + "00", ErrTruncated},
		{"unmerged_leaves MUST be sorted in increasing order (7.1)", recode[ParentNode], "00" + "00" + "08" + "00000002" + "00000001", ErrUnmergedOrder},
		{"an unmerged leaf is listed once (7.1)", recode[ParentNode], "00" + "00" + "08" + "00000001" + "00000001", ErrUnmergedOrder},
		{"not more than one extension of any given type (13.4)", recode[Extensions], "06" + "f00000" + "f00000", ErrDuplicateExtension},
		{"the last node in ratchet_tree is non-blank (12.4.3.3)", recode[RatchetTree], "10" + "01" + "01" + leaf + "00", ErrTreeEnd},
		{"a ratchet_tree has a node (12.4.3.3)", recode[RatchetTree], "00", ErrTreeEnd},
		{"leaves are stored in even-numbered entries (12.4.3.3)", recode[RatchetTree], "10" + "00" + "01" + "01" + leaf, ErrNodePlace},
		{"version = mls10 (6)", recode[MLSMessage], "0002" + "0005", ErrUnknownVersion},
		{"a known wire format (17.2)", recode[MLSMessage], "0001" + "0006", ErrUnknownWireFormat},
		{"content type 0 is reserved (6)", recode[PrivateMessage], "00" + "0000000000000000" + "00" + "00" + "00" + "00", ErrUnknownContentType},
		{"sender type 5 is not known (6)", recode[FramedContent], "00" + "0000000000000000" + "05", ErrUnknownSenderType},
		{"GREASE MUST NOT be sent in proposal_type (13.5)", recode[Proposal], "0a0a" + "00", ErrUnknownProposalType},
		{"GREASE MUST NOT be sent in credential_type (13.5)", recode[Credential], "0a0a" + "00", ErrUnknownCredentialType},
		{"leaf node source 0 is reserved (7.2)", recode[LeafNode], "00" + "00" + "000100" + "0000000000" + "00" + "00" + "00", ErrUnknownLeafNodeSource},
		{"a proposal or reference type is 1 or 2 (12.4)", recode[ProposalOrRef], "03" + "00", ErrUnknownProposalOrRefType},
		{"a resumption usage is 1, 2 or 3 (8.4)", recode[PreSharedKeyID], "02" + "00" + "00" + "0000000000000000" + "00", ErrUnknownPSKType},
		{"a node type is 1 or 2 (7.8)", recode[Node], "03", ErrUnknownNodeType},
	}
	for _, c := range cases {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatalf("%s: %v", c.rule, err)
		}
		if _, err := c.decode(b); !errors.Is(err, c.want) || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", c.rule, err, c.want)
		}
	}
}

// TestUnknownValuesAreKept: unknown values in capabilities MUST be ignored
// (Section 7.2), and unknown extensions too (Section 13.4); both survive
// re-encoding, since they are signed.
func TestUnknownValuesAreKept(t *testing.T) {
	leaf := LeafNode{
		Credential:     BasicCredential([]byte("alice")),
		LeafNodeSource: LeafNodeSourceKeyPackage,
		Capabilities: Capabilities{
			Versions: []ProtocolVersion{MLS10, 0x0a0a}, CipherSuites: []CipherSuite{0x1a1a}, Extensions: []ExtensionType{0x2a2a},
			Proposals: []ProposalType{0x3a3a}, Credentials: []CredentialType{0x4a4a},
		},
		Extensions: Extensions{{ExtensionType: 0x2a2a, ExtensionData: []byte("?")}},
	}
	b := Marshal(leaf)
	again, err := Unmarshal[LeafNode](b)
	if err != nil || !bytes.Equal(Marshal(again), b) {
		t.Fatalf("GREASE changed or refused: %v", err)
	}
	if !again.Capabilities.SupportsCredential(0x4a4a) || again.Capabilities.SupportsCredential(CredentialTypeBasic) {
		t.Fatal("capabilities.credentials has no defaults")
	}
}

// TestManyExtensions finds a repetition in a long list as in a short one.
func TestManyExtensions(t *testing.T) {
	var l Extensions
	for i := range ExtensionType(5000) {
		l = append(l, Extension{ExtensionType: i})
	}
	if _, err := Unmarshal[Extensions](Marshal(l)); err != nil {
		t.Fatalf("5000 types: %v", err)
	}
	l = append(l, Extension{ExtensionType: 4999})
	if _, err := Unmarshal[Extensions](Marshal(l)); !errors.Is(err, ErrDuplicateExtension) {
		t.Fatalf("a type twice: %v", err)
	}
}

// TestPaddingIsZero: "A receiver MUST verify that there are no non-zero bytes
// in the padding field" (Section 6.3.1).
func TestPaddingIsZero(t *testing.T) {
	c := PrivateMessageContent{
		ContentType: ContentTypeApplication, ApplicationData: []byte("hello"),
		Auth: FramedContentAuthData{Signature: []byte("s")}, Padding: 100,
	}
	b := Marshal(c)
	got, err := ParsePrivateMessageContent(b, ContentTypeApplication)
	if err != nil || got.Padding != 100 || string(got.ApplicationData) != "hello" {
		t.Fatalf("padded content: %+v, %v", got, err)
	}
	for _, at := range []int{len(b) - 1, len(b) - 50, len(b) - 100} {
		bad := bytes.Clone(b)
		bad[at] = 1
		if _, err := ParsePrivateMessageContent(bad, ContentTypeApplication); !errors.Is(err, ErrPadding) {
			t.Errorf("padding octet %d set: %v", at, err)
		}
	}
}

// TestUnsupportedContentTypeHasNoPlaintext refuses a content type outside the
// three of the RFC before it reads anything.
func TestUnsupportedContentTypeHasNoPlaintext(t *testing.T) {
	if _, err := ParsePrivateMessageContent([]byte{0, 0}, 4); !errors.Is(err, ErrUnknownContentType) {
		t.Fatal(err)
	}
}

// privateMessage is an MLSMessage as a device submits it.
func privateMessage() []byte {
	return Marshal(MLSMessage{WireFormat: WireFormatPrivateMessage, PrivateMessage: &PrivateMessage{
		GroupID: []byte("mimi://alpha.example/r/ops"), Epoch: 7, ContentType: ContentTypeApplication,
		AuthenticatedData: make([]byte, 90), EncryptedSenderData: make([]byte, 28), Ciphertext: make([]byte, 400),
	}})
}

// TestParsePrivateMessage agrees with the general decoder and allocates
// nothing.
func TestParsePrivateMessage(t *testing.T) {
	b := privateMessage()
	m, err := ParsePrivateMessage(b)
	if err != nil || m.Epoch != 7 || len(m.Ciphertext) != 400 {
		t.Fatalf("%+v, %v", m, err)
	}
	if n := testing.AllocsPerRun(100, func() { m, err = ParsePrivateMessage(b) }); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
	if _, err := ParsePrivateMessage(append(b, 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("trailing byte: %v", err)
	}
	if _, err := ParsePrivateMessage([]byte{0, 1, 0, 1}); !errors.Is(err, ErrUnknownWireFormat) {
		t.Errorf("public message: %v", err)
	}
}

// TestErrorsNameTheStructure: an error says what was being read.
func TestErrorsNameTheStructure(t *testing.T) {
	_, err := Unmarshal[KeyPackage](nil)
	if err == nil || !strings.Contains(err.Error(), "KeyPackage") {
		t.Fatal(err)
	}
}

// TestStrings names code points and numbers those it does not know.
func TestStrings(t *testing.T) {
	if got := ProposalTypeGroupContextExtensions.String(); got != "group_context_extensions" {
		t.Error(got)
	}
	if got := CredentialType(0x0a0a).String(); got != "0x0a0a" {
		t.Error(got)
	}
}

// BenchmarkParsePrivateMessage is what a gateway does for each message.
func BenchmarkParsePrivateMessage(b *testing.B) {
	m := privateMessage()
	b.ReportAllocs()
	b.SetBytes(int64(len(m)))
	for b.Loop() {
		if _, err := ParsePrivateMessage(m); err != nil {
			b.Fatal(err)
		}
	}
}
