package client

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// An Identity is who a device is and whom it trusts. It comes from the site's
// identity realm, never from a gateway.
type Identity struct {
	Device   groups.DeviceID `json:"device"`
	Chain    [][]byte        `json:"chain"`    // its certificate and intermediates, DER
	Trust    []SiteTrust     `json:"trust"`    // the CAs of its site and of the peers
	Gateways []string        `json:"gateways"` // addresses, host:port
	Service  string          `json:"service"`  // URL of the enrolment service
	Made     time.Time       `json:"made"`
	Refresh  time.Time       `json:"refresh"` // when trust was last fetched
}

// ErrNoIdentity says that a store holds no device yet: Enroll makes one.
var ErrNoIdentity = errors.New("there is no device in this home yet: log in first")

// ErrIdentity says that a store holds a device already.
var ErrIdentity = errors.New("this home has a device already: use another --home for another one")

// identityKey is the key of the only row of TableIdentity.
const identityKey = "self"

// An identityRow is an Identity with its private key.
type identityRow struct {
	Identity
	Key []byte `json:"key"` // PKCS #8
}

// Until returns the end of the device's certificate.
func (id *Identity) Until() (time.Time, error) {
	if len(id.Chain) == 0 {
		return time.Time{}, ErrNoIdentity
	}
	cert, err := x509.ParseCertificate(id.Chain[0])
	if err != nil {
		return time.Time{}, fmt.Errorf("own certificate: %w", err)
	}
	return cert.NotAfter, nil
}

// LoadIdentity returns the device of a store, or ErrNoIdentity.
func LoadIdentity(s Store) (Identity, error) {
	row, err := loadIdentity(s)
	return row.Identity, err
}

func loadIdentity(s Store) (row identityRow, err error) {
	err = s.View(func(tx Tx) error {
		b, err := tx.Get(TableIdentity, []byte(identityKey))
		if err != nil {
			return err
		}
		if b == nil {
			return ErrNoIdentity
		}
		return json.Unmarshal(b, &row)
	})
	if err != nil {
		return identityRow{}, fmt.Errorf("load identity: %w", err)
	}
	return row, nil
}

// SaveIdentity puts a device into a store that holds none: for those who make
// identities by other means than Enroll. It refuses a chain that does not name
// the device, that the trust does not vouch for, or that is for another key.
func SaveIdentity(s Store, id Identity, key crypto.Signer, now time.Time) error {
	trust, err := newTrust(id.Trust)
	if err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	subject, err := trust.Verify(id.Chain, coi.Device, now)
	if err != nil {
		return fmt.Errorf("save identity: own certificate: %w", err)
	}
	if public, ok := subject.Key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return errors.New("save identity: the certificate is for another key")
	}
	if subject.URI != string(id.Device) {
		return fmt.Errorf("save identity: the certificate is for %s, not for %s", subject.URI, id.Device)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	return s.Update(func(tx Tx) error {
		if b, err := tx.Get(TableIdentity, []byte(identityKey)); err != nil || b != nil {
			return errors.Join(err, ErrIdentity)
		}
		return putIdentity(tx, identityRow{id, der})
	})
}

func putIdentity(tx Tx, row identityRow) error {
	b, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	return tx.Put(TableIdentity, []byte(identityKey), b)
}

// A self is a loaded identity, ready for use.
type self struct {
	Identity
	signer crypto.Signer
	trust  *coi.Trust
}

// newSelf checks what was loaded.
func newSelf(row identityRow) (*self, error) {
	key, err := x509.ParsePKCS8PrivateKey(row.Key)
	if err != nil {
		return nil, fmt.Errorf("load identity: key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("load identity: the key can not sign")
	}
	trust, err := newTrust(row.Trust)
	if err != nil {
		return nil, fmt.Errorf("load identity: %w", err)
	}
	return &self{row.Identity, signer, trust}, nil
}

// identity is what this device is in the groups of a suite.
func (d *Device) identity(id uint16) (mls.Identity, error) {
	cs, err := suite.Lookup(suite.ID(id))
	if err != nil {
		return mls.Identity{}, err
	}
	return d.self.Load().mls(cs)
}

// mls returns the identity as a member of a group of a suite.
func (s *self) mls(cs *suite.Suite) (mls.Identity, error) {
	key, err := cs.SignatureKeyOf(s.signer)
	if err != nil {
		return mls.Identity{}, fmt.Errorf("sign under %s: %w", cs, err)
	}
	return mls.Identity{Credential: wire.X509Credential(s.Chain...), Signer: key}, nil
}
