package mls

import (
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// rulesFile lists the rules; docs/spec.md shows them.
const rulesFile = "rules.json"

// A rule is one sentence of a standard by which something is refused. Its number
// is its section and a count: R-12.2-03; R-SR-01 is of the proposal self_remove
// (draft-ietf-mls-extensions). It is proven by cases that expect err, or by a
// test of that name, or does not apply here and says why.
type rule struct {
	id, text  string
	err       error
	test, why string
}

// A publishedRule is a rule in rules.json.
type publishedRule struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
	Test string `json:"test,omitempty"`
	Why  string `json:"not_tested_because,omitempty"`
}

func publishedRules() (list []publishedRule) {
	for _, r := range rules {
		list = append(list, publishedRule{r.id, r.text, r.test, r.why})
	}
	return list
}

func findRule(id string) *rule {
	for i := range rules {
		if rules[i].id == id {
			return &rules[i]
		}
	}
	return nil
}

func mapKeys[V any](m map[string]V) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestRulesArePublished: the file says what the table says, and numbers are
// numbers, each there once.
func TestRulesArePublished(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(negativeDir, rulesFile))
	must(t, err)
	var list []publishedRule
	must(t, json.Unmarshal(b, &list))
	if !reflect.DeepEqual(list, publishedRules()) {
		t.Error("rules.json is stale: go test ./mls -run TestRefusals -update")
	}
	seen := make(map[string]bool)
	for _, r := range rules {
		if seen[r.id] || !regexp.MustCompile(`^R-(SR|\d+(\.\d+)*)-\d\d$`).MatchString(r.id) {
			t.Errorf("rule %s: number", r.id)
		}
		seen[r.id] = true
	}
}

// rules are in the order of the RFC.
var rules = []rule{
	{id: "R-2.1-01", text: "A structure is followed by nothing", err: wire.ErrTrailing},
	{id: "R-2.1-02", text: "A structure does not end before its last field", err: wire.ErrTruncated},
	{id: "R-2.1.1-01", text: "A presence octet other than 0 or 1 is malformed", err: wire.ErrPresence},
	{id: "R-2.1.2-01", text: "A length uses no more bits than it needs", err: wire.ErrVarint},
	{id: "R-2.1.2-02", text: "A length does not start with the prefix 11", err: wire.ErrVarint},
	{id: "R-2.1.2-03", text: "A vector is not longer than what is there", err: wire.ErrTruncated},
	{id: "R-5.1.1-01", text: "An encryption key is one of the cipher suite", err: tree.ErrEncryptionKey},
	{id: "R-5.1.1-02", text: "A signature key is one of the cipher suite", err: tree.ErrSignatureKey},
	{id: "R-5.1.1-03", text: "An X25519 key is no point of low order (RFC 9180, Section 7.1.4)", err: tree.ErrEncryptionKey},
	{id: "R-5.1.1-04", text: "An Ed25519 key is no point of small order, for which anybody signs", err: tree.ErrSignatureKey},
	{id: "R-5.1.2-01", text: "A signature is one of the suite's algorithm: S of Ed25519 is less than L, ECDSA is DER and r and s are in range", err: tree.ErrKeyPackageSignature},
	{id: "R-5.1.2-02", text: "A signature covers its label", err: tree.ErrKeyPackageSignature},
	{id: "R-5.1.3-01", text: "A ciphertext is of the key, label and context it is opened with", err: suite.ErrDecrypt},
	{id: "R-5.3-01", text: "The key of the first X.509 certificate is identical to the signature key", err: tree.ErrCredentialKey},
	{id: "R-5.3-02", text: "An X.509 credential has a certificate", err: tree.ErrCredentialKey},
	{id: "R-5.3-03", text: "A credential is of a known type", err: wire.ErrUnknownCredentialType},
	{id: "R-5.3.1-01", text: "The Authentication Service accepts a new credential", test: "TestJoinRefused"},
	{id: "R-5.3.1-02", text: "The Authentication Service accepts a credential as the successor of the one it replaces", err: tree.ErrSuccessor},
	{id: "R-6-01", text: "A message is of version mls10", err: wire.ErrUnknownVersion},
	{id: "R-6-02", text: "A message is of a known wire format", err: wire.ErrUnknownWireFormat},
	{id: "R-6-03", text: "A content type is known", err: wire.ErrUnknownContentType},
	{id: "R-6-04", text: "A sender type is known", err: wire.ErrUnknownSenderType},
	{id: "R-6-05", text: "Application data is not sent in a PublicMessage", err: ErrPlainApplication},
	{id: "R-6-06", text: "A message is of this group", err: ErrOtherGroup},
	{id: "R-6.1-01", text: "A member's message is signed with the key of its leaf", err: suite.ErrSignature},
	{id: "R-6.1-02", text: "The signature covers the wire format", err: suite.ErrSignature},
	{id: "R-6.1-03", text: "The signature covers the GroupContext", err: suite.ErrSignature},
	{id: "R-6.1-04", text: "The leaf of a sender is that of a member", err: ErrNotMember},
	{id: "R-6.1-05", text: "An external sender sends proposals only", err: tree.ErrSenderContent},
	{id: "R-6.1-06", text: "A new_member_proposal is a proposal of type add", err: tree.ErrSenderContent},
	{id: "R-6.1-07", text: "A new_member_commit is a commit", err: tree.ErrSenderContent},
	{id: "R-6.1-08", text: "A message from outside is signed with the key that its sender type says", err: tree.ErrMessageSignature},
	{id: "R-6.2-01", text: "The membership tag of a member's PublicMessage is right, and whole", err: ErrMembershipTag},
	{id: "R-6.3.1-01", text: "Padding is zero", err: wire.ErrPadding},
	{id: "R-6.3.1-02", text: "The header of a PrivateMessage is authenticated with its content", err: suite.ErrDecrypt},
	{id: "R-6.3.1-03", text: "The reuse guard is part of the nonce", err: suite.ErrDecrypt},
	{id: "R-6.3.1-04", text: "A fresh reuse guard is chosen for each message", test: "TestReuseGuardIsRandom"},
	{id: "R-6.3.2-01", text: "The leaf in the sender data is that of a member", err: ErrNotMember},
	{id: "R-6.3.2-02", text: "The sender data decrypts with a key sampled from the ciphertext", err: suite.ErrDecrypt},
	{id: "R-6.3.2-03", text: "The sender is not the receiver itself", err: ErrOwnMessage},
	{id: "R-7.1-01", text: "unmerged_leaves are in increasing order, each once", err: wire.ErrUnmergedOrder},
	{id: "R-7.2-01", text: "The extensions of a leaf are in its capabilities", err: tree.ErrLeafExtension},
	{id: "R-7.2-02", text: "The credential type of a leaf is in its capabilities", err: tree.ErrLeafCredential},
	{id: "R-7.2-03", text: "The total lifetime is not longer than the application's maximum", err: tree.ErrLifetime},
	{id: "R-7.2-04", text: "A lifetime ends after it begins", err: tree.ErrLifetime},
	{id: "R-7.2-05", text: "A leaf node source is known", err: wire.ErrUnknownLeafNodeSource},
	{id: "R-7.2-06", text: "The group ID and leaf index are covered by the signature of a leaf made in the group", err: tree.ErrLeafSignature},
	{id: "R-7.2-07", text: "Default types are not listed in capabilities", why: "a rule for who sends them; Section 7.3 does not refuse a leaf for it, and unknown values are ignored"},
	{id: "R-7.3-01", text: "The signature of a leaf node verifies", err: tree.ErrLeafSignature},
	{id: "R-7.3-02", text: "A leaf lists the required extensions", err: tree.ErrUnsupportedExtension},
	{id: "R-7.3-03", text: "A leaf lists the required proposal types", err: tree.ErrRequiredProposal},
	{id: "R-7.3-04", text: "A leaf lists the required credential types", err: tree.ErrUnsupportedCredential},
	{id: "R-7.3-05", text: "All members support the credential type of a leaf", err: tree.ErrUnsupportedCredential},
	{id: "R-7.3-06", text: "A leaf supports the credential types that others use", err: tree.ErrUnsupportedCredential},
	{id: "R-7.3-07", text: "A leaf of a key package is within its lifetime", err: tree.ErrLifetime},
	{id: "R-7.3-08", text: "leaf_node_source of a key package is key_package", err: tree.ErrLeafSource},
	{id: "R-7.3-09", text: "leaf_node_source of an Update is update", err: tree.ErrLeafSource},
	{id: "R-7.3-10", text: "An Update has a new encryption key", err: tree.ErrUpdateKey},
	{id: "R-7.3-11", text: "leaf_node_source of an update path is commit", err: tree.ErrLeafSource},
	{id: "R-7.3-12", text: "Signature keys are unique among the members", err: tree.ErrDuplicateSignatureKey},
	{id: "R-7.3-13", text: "Encryption keys are unique among the members", err: tree.ErrDuplicateEncryptionKey},
	{id: "R-7.5-01", text: "A path secret gives the public keys of the path", err: ErrPathSecret},
	{id: "R-7.5-02", text: "A path secret is encrypted for the provisional GroupContext", err: suite.ErrDecrypt},
	{id: "R-7.6-01", text: "An update path has one node for each of the filtered direct path", err: tree.ErrPathLength},
	{id: "R-7.6-02", text: "A path secret is encrypted once to each node of the copath resolution, new members excluded", err: tree.ErrPathCiphertexts},
	{id: "R-7.9-01", text: "The leaf of an update path has the parent hash of its parent", err: tree.ErrParentHash},
	{id: "R-7.9.2-01", text: "Every parent node of a tree one joins is parent-hash valid", err: tree.ErrParentHash},
	{id: "R-7.9.2-02", text: "A parent node without members below has nothing to vouch for it", err: tree.ErrParentWithoutLeaves},
	{id: "R-8.2-01", text: "The confirmation tag of a commit is right, and whole", err: ErrConfirmationTag},
	{id: "R-8.3-01", text: "kem_output opens with the external key of the epoch", err: suite.ErrDecrypt},
	{id: "R-8.4-01", text: "A PSK type and usage are known", err: wire.ErrUnknownPSKType},
	{id: "R-8.4-02", text: "A commit or Welcome has no more PSKs than there is room for, here 1,024", test: "TestTooManyPSKs"},
	{id: "R-9-01", text: "Nobody sends more under one key than the AEAD's limits allow", why: "a generation is used once, and a message has a bound"},
	{id: "R-9.1-01", text: "A generation is not further ahead than the receiver computes, here 1,024", err: ErrGeneration},
	{id: "R-9.2-01", text: "A key is deleted when it has been used", err: ErrReplay},
	{id: "R-9.2-02", text: "A generation is not used twice, also after a restart", test: "TestCrashBetweenWrites"},
	{id: "R-10-01", text: "init_key is unique among the key packages of a client", why: "each is made anew from the system's random source"},
	{id: "R-10-02", text: "A key package in an MLSMessage is of the message's version", err: wire.ErrUnknownVersion},
	{id: "R-10.1-01", text: "A key package is of the group's version", err: tree.ErrKeyPackageVersion},
	{id: "R-10.1-02", text: "A key package is of the group's cipher suite", err: tree.ErrKeyPackageSuite},
	{id: "R-10.1-03", text: "The signature of a key package verifies", err: tree.ErrKeyPackageSignature},
	{id: "R-10.1-04", text: "init_key is another key than the leaf's encryption key", err: tree.ErrInitKey},
	{id: "R-10.1-05", text: "init_key is a key of the cipher suite", err: tree.ErrInitKey},
	{id: "R-11-01", text: "group_id is unique", why: "the groups of a client are the application's; Join says so"},
	{id: "R-11.2-01", text: "A reinitialized group has the ID, version, suite and extensions of the ReInit, epoch 1 and all members", test: "TestSuccessionRefused"},
	{id: "R-11.2-02", text: "Nothing is sent in a group after its ReInit", test: "TestReinitialize"},
	{id: "R-11.3-01", text: "A branch has the suite of the group, epoch 1 and none but its members", test: "TestSuccessionRefused"},
	{id: "R-12.1-01", text: "A proposal or commit is of the current epoch, not of one before", err: ErrPastEpoch},
	{id: "R-12.1-02", text: "A proposal or commit is of the current epoch, not of one to come", err: ErrFutureEpoch},
	{id: "R-12.1-03", text: "A proposal is of a known type", err: wire.ErrUnknownProposalType},
	{id: "R-12.1.2-01", text: "An Update keeps a credential that the application accepts", err: tree.ErrSuccessor},
	{id: "R-12.1.3-01", text: "A Remove names a member", err: tree.ErrBlankLeaf},
	{id: "R-12.1.4-01", text: "A resumption PSK of usage reinit is for a reinitialization only", err: tree.ErrPSKUsage},
	{id: "R-12.1.4-02", text: "A resumption PSK of usage branch is for a branch only", err: tree.ErrPSKUsage},
	{id: "R-12.1.4-03", text: "psk_nonce is of length KDF.Nh", err: tree.ErrPSKNonce},
	{id: "R-12.1.5-01", text: "A ReInit does not go back to an older version", err: tree.ErrReInitVersion},
	{id: "R-12.1.7-01", text: "All members have the capabilities that a GroupContextExtensions requires", err: tree.ErrUnsupportedExtension},
	{id: "R-12.1.7-02", text: "required_capabilities and external_senders can be read", err: wire.ErrMalformed},
	{id: "R-12.1.8-01", text: "External senders propose only what they may", err: tree.ErrProposalSender},
	{id: "R-12.1.8-02", text: "External proposals that are not authorized are invalid", test: "TestExternalProposalsRefused"},
	{id: "R-12.1.8-03", text: "An external proposal is not sent as a PrivateMessage", why: "a PrivateMessage has no field for such a sender"},
	{id: "R-12.1.8.1-01", text: "An external sender is one of external_senders", err: tree.ErrSenderIndex},
	{id: "R-12.2-01", text: "A commit contains no invalid proposal", err: tree.ErrKeyPackageSignature},
	{id: "R-12.2-02", text: "A commit contains no Update of the committer", err: tree.ErrUpdateByCommitter},
	{id: "R-12.2-03", text: "A commit does not remove the committer", err: tree.ErrRemoveCommitter},
	{id: "R-12.2-04", text: "A commit does not apply several Updates or Removes to one leaf", err: tree.ErrSameLeaf},
	{id: "R-12.2-05", text: "A commit does not add one client twice", err: tree.ErrDuplicateSignatureKey},
	{id: "R-12.2-06", text: "A commit does not add a client that is in the group, unless it removes it", err: tree.ErrDuplicateSignatureKey},
	{id: "R-12.2-07", text: "A commit does not name one PreSharedKeyID twice", err: tree.ErrDuplicatePSK},
	{id: "R-12.2-08", text: "A commit has one GroupContextExtensions at most", err: tree.ErrTwoExtensions},
	{id: "R-12.2-09", text: "A ReInit is alone in its commit", err: tree.ErrReInitAlone},
	{id: "R-12.2-10", text: "A commit that is not external contains no ExternalInit", err: tree.ErrExternalInit},
	{id: "R-12.2-11", text: "All members who stay support a proposal type that is not a default one", err: tree.ErrUnsupportedProposal},
	{id: "R-12.2-12", text: "The tree after a commit is valid: no key of a leaf stands twice in it", err: tree.ErrDuplicateEncryptionKey},
	{id: "R-12.2-13", text: "An external commit has exactly one ExternalInit", err: tree.ErrOneExternalInit},
	{id: "R-12.2-14", text: "An external commit removes one leaf at most", err: tree.ErrExternalRemoves},
	{id: "R-12.2-15", text: "An external commit removes nobody but an earlier self of its sender", err: tree.ErrSuccessor},
	{id: "R-12.2-16", text: "An external commit contains no proposals of other types", err: tree.ErrExternalProposal},
	{id: "R-12.2-17", text: "The leaf of a resync has another encryption key than the leaf it replaces", err: tree.ErrUpdateKey},
	{id: "R-12.3-01", text: "New extensions count for the other proposals of the commit", err: tree.ErrUnsupportedExtension},
	{id: "R-12.4-01", text: "A commit that is empty, updates, removes, replaces extensions or is external has a path", err: tree.ErrPathRequired},
	{id: "R-12.4-02", text: "A commit refers to proposals of the epoch only", err: ErrUnknownProposal},
	{id: "R-12.4-03", text: "A member that saw a proposal commits before it sends application data", test: "TestSealRefuses"},
	{id: "R-12.4-04", text: "A proposal in a commit is a value or a reference", err: wire.ErrUnknownProposalOrRefType},
	{id: "R-12.4.2-01", text: "Every PSK of a commit is available", err: ErrNoPSK},
	{id: "R-12.4.2-02", text: "The leaf of an update path has another encryption key than the committer's leaf", err: tree.ErrPathKeyReused},
	{id: "R-12.4.2-03", text: "No key of an update path stands in the tree", err: tree.ErrPathKeyReused},
	{id: "R-12.4.2-04", text: "The keys of an update path differ", err: tree.ErrDuplicateEncryptionKey},
	{id: "R-12.4.3-01", text: "A GroupInfo is signed with the key of its signer's leaf", err: tree.ErrGroupInfoSignature},
	{id: "R-12.4.3-02", text: "The signer of a GroupInfo is a member", err: tree.ErrBlankLeaf},
	{id: "R-12.4.3-03", text: "A GroupInfo's extensions that are not known are ignored", test: "TestGrease"},
	{id: "R-12.4.3.1-01", text: "A Welcome has an entry for our key package", err: ErrNotForUs},
	{id: "R-12.4.3.1-02", text: "The group secrets decrypt with our init key", err: suite.ErrDecrypt},
	{id: "R-12.4.3.1-03", text: "Every PSK of a Welcome is available", err: ErrNoPSK},
	{id: "R-12.4.3.1-04", text: "A Welcome has one PSK of usage reinit or branch at most", test: "TestWelcomePSKsRefused"},
	{id: "R-12.4.3.1-05", text: "The GroupInfo decrypts with the welcome secret", err: suite.ErrDecrypt},
	{id: "R-12.4.3.1-06", text: "The cipher suite of a Welcome and its GroupInfo is that of the key package", err: ErrWelcomeSuite},
	{id: "R-12.4.3.1-07", text: "The tree is that of the GroupContext", err: tree.ErrTreeHash},
	{id: "R-12.4.3.1-08", text: "Every leaf of the tree is valid", err: tree.ErrLeafSignature},
	{id: "R-12.4.3.1-09", text: "unmerged_leaves name members below the node", err: tree.ErrUnmergedLeaf},
	{id: "R-12.4.3.1-10", text: "Nodes between an unmerged leaf and a node that lists it list it too", err: tree.ErrUnmergedSkipped},
	{id: "R-12.4.3.1-11", text: "No encryption key stands twice in the tree", err: tree.ErrDuplicateEncryptionKey},
	{id: "R-12.4.3.1-12", text: "The leaf of our key package is in the tree", err: ErrNoOwnLeaf},
	{id: "R-12.4.3.1-13", text: "The path secret gives the keys of our ancestors", err: ErrPathSecret},
	{id: "R-12.4.3.1-14", text: "The confirmation tag of a GroupInfo is right", err: ErrConfirmationTag},
	{id: "R-12.4.3.1-15", text: "A PSK of usage reinit or branch comes with the group it follows, at epoch 1", test: "TestSuccessionRefused"},
	{id: "R-12.4.3.1-16", text: "A nonce of a Welcome's PSK is of length KDF.Nh", err: tree.ErrPSKNonce},
	{id: "R-12.4.3.1-17", text: "A Welcome does not name one PreSharedKeyID twice", err: tree.ErrDuplicatePSK},
	{id: "R-12.4.3.1-18", text: "The confirmation tag of a GroupInfo has the length of a MAC", err: tree.ErrConfirmationTag},
	{id: "R-12.4.3.2-01", text: "An external commit refers to no proposal, but for SelfRemoves", err: tree.ErrExternalReference},
	{id: "R-12.4.3.2-02", text: "A GroupInfo for external joins has external_pub", err: ErrNoExternalPub},
	{id: "R-12.4.3.3-01", text: "A ratchet tree does not end with a blank node", err: wire.ErrTreeEnd},
	{id: "R-12.4.3.3-02", text: "Leaves and parent nodes stand in their places", err: wire.ErrNodePlace},
	{id: "R-13.2-01", text: "A proposal is of a type that the application knows", err: tree.ErrUnsupportedProposal},
	{id: "R-13.4-01", text: "A list of extensions has one of each type", err: wire.ErrDuplicateExtension},
	{id: "R-13.4-02", text: "A new member supports every extension of the GroupContext", err: tree.ErrUnsupportedExtension},
	{id: "R-13.4-03", text: "All members support a new extension of the GroupContext", err: tree.ErrUnsupportedExtension},
	{id: "R-13.4-04", text: "Unknown values of capabilities and of extensions are ignored", test: "TestGreaseOfOthersIsIgnored"},
	{id: "R-13.5-01", text: "GREASE is not in GroupContext.extensions", err: tree.ErrUnsupportedExtension},
	{id: "R-13.5-02", text: "GREASE is no proposal type", err: wire.ErrUnknownProposalType},
	{id: "R-14-01", text: "Making a commit does not change the state of its maker", test: "TestCommitLeavesItsMakerAlone"},
	{id: "R-SR-01", text: "A SelfRemove is committed by reference only", err: tree.ErrSelfRemove},
	{id: "R-SR-02", text: "A SelfRemove is sent in a PublicMessage", err: tree.ErrSelfRemove},
	{id: "R-SR-03", text: "A member does not commit its own SelfRemove", err: tree.ErrRemoveCommitter},
	{id: "R-SR-04", text: "Only a member sends a SelfRemove", err: tree.ErrProposalSender},
	{id: "R-SR-05", text: "All members support SelfRemove where one is sent", err: tree.ErrUnsupportedProposal},
}
