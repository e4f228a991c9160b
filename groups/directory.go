package groups

import (
	"time"

	"parley/mls/tree"
	"parley/mls/wire"
)

// A Directory says whose a leaf's credential is. It is safe for many
// goroutines.
type Directory interface {
	// Device names the device that a credential speaks for, whose signature
	// key is signatureKey, at a time: an X.509 chain under the CA of the very
	// site that the name carries, or the name itself in a basic credential.
	// What it can not vouch for is Denied.
	Device(cred wire.Credential, signatureKey []byte, now time.Time) (DeviceID, error)
}

// A doorman asks a Directory about each new leaf and remembers the answers for
// the rules that come after. It lives as long as one handshake.
type doorman struct {
	directory Directory
	basic     bool // the policy lets basic credentials in
	now       time.Time
	names     map[string]DeviceID // by signature key
	proven    map[DeviceID]bool   // whose removal a warrant proves
}

// Validate implements tree.CredentialValidator.
func (d *doorman) Validate(cred wire.Credential, signatureKey []byte) error {
	if cred.CredentialType == wire.CredentialTypeBasic && !d.basic {
		return Errorf(Denied, "the room's policy asks for certificates, not basic credentials")
	}
	device, err := d.directory.Device(cred, signatureKey, d.now)
	if err != nil {
		return err
	}
	d.names[string(signatureKey)] = device
	return nil
}

// Succeeds implements tree.CredentialValidator. That a leaf's device stays the
// same is checked against the roster, which knows the name even when the old
// certificate has ended.
func (d *doorman) Succeeds(_, _ wire.Credential) error { return nil }

// config returns what the tree asks for while it judges a handshake.
func (d *doorman) config() *tree.Config {
	return &tree.Config{Credentials: d, Now: d.now, Accept: AcceptProposal}
}

func (d *doorman) name(leaf *wire.LeafNode) DeviceID { return d.names[string(leaf.SignatureKey)] }

// newDoorman returns a doorman for one handshake at a time.
func newDoorman(d Directory, basic bool, now time.Time) *doorman {
	return &doorman{directory: d, basic: basic, now: now, names: make(map[string]DeviceID)}
}
