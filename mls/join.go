package mls

import (
	"bytes"
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// JoinOptions say how a newcomer joins a group.
type JoinOptions struct {
	// Welcome is an MLSMessage.
	Welcome []byte
	// KeyPackage is the one the Welcome is for, and Signer the key of its leaf.
	KeyPackage *KeyPackage
	Signer     *suite.SignaturePrivateKey
	// RatchetTree is the tree as the extension ratchet_tree has it; nil if the
	// Welcome carries it. It is not kept.
	RatchetTree []byte
	// Credentials decides about credentials; nil refuses all.
	Credentials tree.CredentialValidator
	// PastEpochs is how many epochs back late messages are opened and resumption
	// PSKs are kept: zero means DefaultPastEpochs, less than zero none.
	PastEpochs int
	// Policy is what the application adds to the rules; zero adds nothing.
	Policy Policy
	// Predecessor is the group that this one says it follows, by reinitialization
	// or branching; nil if there is none.
	Predecessor *Group
	// Parallel makes seals and verifies signatures where a step has many; nil: one
	// after the other. It is used for as long as the Group and what follows it are.
	Parallel tree.Parallel
}

// Join makes the Group of a newcomer (RFC 9420, Section 12.4.3.1). It verifies
// the whole tree, which takes time in proportion to the members. The caller
// sees to it that it is not in the group already, and afterwards forgets the
// key package, unless that is one of last resort.
//
// It fails with ErrNotForUs if the Welcome is for other key packages, with
// ErrTreeMissing if there is no tree, with ErrNoPSK if a pre-shared key is
// not known, with ErrSuccession if it does not follow the Predecessor as it says,
// with ErrInvalid, or with an error of mls/tree, mls/suite or
// mls/wire.
func Join(o JoinOptions) (*Group, error) {
	g, err := join(&o)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return g, nil
}

func join(o *JoinOptions) (*Group, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](o.Welcome)
	if err != nil {
		return nil, err
	}
	if m.Welcome == nil {
		return nil, fmt.Errorf("%v instead of a welcome: %w", m.WireFormat, ErrInvalid)
	}
	kp := o.KeyPackage
	if !bytes.Equal(o.Signer.PublicKey(), kp.Public.LeafNode.SignatureKey) {
		return nil, fmt.Errorf("signer is not that of the key package: %w", suite.ErrBadKey)
	}
	w, err := openWelcome(m.Welcome, kp, o.findPSK)
	if err != nil {
		return nil, err
	}
	t, err := readTree(kp.suite, &w.info, o.RatchetTree)
	if err != nil {
		return nil, err
	}
	if err := w.verify(t, &tree.Config{Credentials: o.Credentials, Parallel: o.Parallel}); err != nil {
		return nil, err
	}
	own, ok := t.FindSigner(kp.Public.LeafNode.SignatureKey)
	if leaf, _ := t.LeafBytes(own); !ok || !bytes.Equal(leaf, wire.Marshal(kp.Public.LeafNode)) {
		return nil, ErrNoOwnLeaf
	}
	if err := w.verifySuccession(o.Predecessor, t); err != nil {
		return nil, err
	}
	return w.group(o, t, own)
}

// readTree parses the tree that came apart, or that of the GroupInfo.
func readTree(s *suite.Suite, info *wire.GroupInfo, ratchetTree []byte) (*tree.Tree, error) {
	if ratchetTree == nil {
		var found bool
		if ratchetTree, found = info.Extensions.Find(wire.ExtensionTypeRatchetTree); !found {
			return nil, ErrTreeMissing
		}
	}
	return tree.Parse(s, ratchetTree)
}

// verify checks the GroupInfo's signature and the tree.
func (w *welcomed) verify(t *tree.Tree, c *tree.Config) error {
	if err := t.VerifyGroupInfo(&w.info); err != nil {
		return err
	}
	return t.Verify(&w.info.GroupContext, c)
}

// group assembles the Group of the newcomer at leaf own.
func (w *welcomed) group(o *JoinOptions, t *tree.Tree, own wire.LeafIndex) (*Group, error) {
	s, context := t.Suite(), w.info.GroupContext
	secrets := deriveEpoch(s, w.member, wire.Marshal(context))
	if !s.VerifyMAC(secrets.confirmation, context.ConfirmedTranscriptHash, w.info.ConfirmationTag) {
		return nil, ErrConfirmationTag
	}
	keys := keyring{tree.NodeOf(own): o.KeyPackage.leaf}
	if w.secrets.PathSecret != nil {
		p, err := openPath(t, w.secrets.PathSecret.PathSecret, sharedPath(t, w.info.Signer, own))
		if err != nil {
			return nil, err
		}
		keys = keys.next(t, p)
	}
	g := &Group{
		suite:       s,
		credentials: o.Credentials,
		parallel:    o.Parallel,
		policy:      o.Policy,
		signer:      o.Signer,
		keep:        pastEpochs(o.PastEpochs),
		tag:         w.info.ConfirmationTag,
		keys:        keys,
	}
	g.begin(tree.State{Context: context, Tree: t}, own, secrets)
	return g, nil
}

// sharedPath returns the nodes that a path of sender gave keys to and that are
// above own, from the bottom up: those above both that are not blank.
func sharedPath(t *tree.Tree, sender, own wire.LeafIndex) []tree.NodeIndex {
	var nodes []tree.NodeIndex
	x := tree.CommonAncestor(tree.NodeOf(sender), tree.NodeOf(own))
	for ok := true; ok; x, ok = tree.Parent(x, t.Width()) {
		if _, there := t.EncryptionKey(x); there {
			nodes = append(nodes, x)
		}
	}
	return nodes
}
