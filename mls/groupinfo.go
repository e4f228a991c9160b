package mls

import (
	"fmt"

	"parley/mls/wire"
)

// GroupInfo returns an MLSMessage that describes this epoch to those who would
// join or follow the group (RFC 9420, Section 12.4.3), with the extensions
// external_pub and, if asked, ratchet_tree.
func (g *Group) GroupInfo(withTree bool) ([]byte, error) {
	var more wire.Extensions
	if withTree {
		more = wire.Extensions{g.treeExtension()}
	}
	info, err := g.groupInfo(more...)
	if err != nil {
		return nil, fmt.Errorf("make group info: %w", err)
	}
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatGroupInfo, GroupInfo: info}), nil
}

// treeExtension is the extension ratchet_tree of this epoch.
func (g *Group) treeExtension() wire.Extension {
	return wire.Extension{ExtensionType: wire.ExtensionTypeRatchetTree, ExtensionData: wire.Marshal(g.state.Tree)}
}

// groupInfo signs the state of this epoch.
func (g *Group) groupInfo(more ...wire.Extension) (*wire.GroupInfo, error) {
	external, err := g.suite.DeriveKeyPair(g.secrets.external)
	if err != nil {
		return nil, err
	}
	info := &wire.GroupInfo{
		GroupContext: g.state.Context,
		Extensions: append(wire.Extensions{{
			ExtensionType: wire.ExtensionTypeExternalPub,
			ExtensionData: wire.Marshal(wire.ExternalPub{ExternalPub: external.PublicKey()}),
		}}, more...),
		ConfirmationTag: g.tag,
		Signer:          g.OwnLeaf(),
	}
	return info, signGroupInfo(g.signer, info)
}
