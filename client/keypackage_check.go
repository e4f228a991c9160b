package client

import (
	"time"

	"parley/groups"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// maxKeyPackageLife bounds the lifetime of a foreign key package (RFC 9420,
// Section 7.2).
const maxKeyPackageLife = 400 * 24 * time.Hour

// checkKeyPackage verifies a foreign key package and says whose it is
// (RFC 9420, Section 10.1).
func (d *Device) checkKeyPackage(cs *suite.Suite, message []byte) (groups.DeviceID, *wire.KeyPackage, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil {
		return "", nil, err
	}
	kp := m.KeyPackage
	if kp == nil {
		return "", nil, groups.Errorf(groups.Invalid, "it is not a key package")
	}
	// A probe stands for a room that would let anybody in with a certificate.
	probe := &room{at: d.cfg.Now()}
	probe.policy.BasicCredentials = true
	cfg := &tree.Config{Credentials: &validator{d, probe}, Now: probe.at, MaxLifetime: maxKeyPackageLife}
	if err := cfg.VerifyKeyPackage(cs, kp); err != nil {
		return "", nil, err
	}
	device, err := deviceOf(kp.LeafNode.Credential)
	return device, kp, err
}
