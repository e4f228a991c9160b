package main

import (
	"time"

	"parley/groups"
	"parley/mls/wire"
)

// Ousts judges a warrant under the CAs that this node trusts. It makes directory
// a groups.Bailiff.
func (d directory) Ousts(w *groups.Warrant, leaf *wire.Credential, cois []groups.CoI, now time.Time) error {
	chain := make([][]byte, len(leaf.Certificates))
	for i, c := range leaf.Certificates {
		chain[i] = c.CertData
	}
	var err error
	switch w.Kind {
	case groups.WarrantRevoked:
		err = d.trust.VerifyRevoked(chain, w.Proof, now)
	case groups.WarrantCut:
		names := make([]string, len(cois))
		for i := range cois {
			names[i] = string(cois[i].Name)
		}
		err = d.trust.VerifyCutOff(chain, w.Proof, names, now)
	default:
		return groups.Errorf(groups.Denied, "a warrant of unknown kind %d", w.Kind)
	}
	if err != nil {
		return groups.Errorf(groups.Denied, "warrant against %s: %w", w.Device, err)
	}
	return nil
}
