package client

import (
	"time"

	"parley/groups"
	"parley/mls/wire"
)

// Ousts judges a warrant under the CAs that this device trusts. It makes
// Directory a groups.Bailiff.
func (d Directory) Ousts(w *groups.Warrant, leaf *wire.Credential, cois []groups.CoI, now time.Time) error {
	var err error
	switch w.Kind {
	case groups.WarrantRevoked:
		err = d.Trust.VerifyRevoked(certificatesOf(leaf), w.Proof, now)
	case groups.WarrantCut:
		names := make([]string, len(cois))
		for i := range cois {
			names[i] = string(cois[i].Name)
		}
		err = d.Trust.VerifyCutOff(certificatesOf(leaf), w.Proof, names, now)
	default:
		return groups.Errorf(groups.Denied, "a warrant of unknown kind %d", w.Kind)
	}
	if err != nil {
		return groups.Errorf(groups.Denied, "warrant against %s: %w", w.Device, err)
	}
	return nil
}
