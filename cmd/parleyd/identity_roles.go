package main

import (
	"crypto"
	"crypto/tls"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls/wire"
)

// VerifyNode says which node a certificate chain is of, for links.
func (id *identity) VerifyNode(chain [][]byte, now time.Time) (groups.NodeID, time.Time, error) {
	subject, err := id.trust.Verify(chain, coi.Node, now)
	if err != nil {
		return "", time.Time{}, groups.Errorf(groups.Denied, "node certificate: %w", err)
	}
	node, err := groups.ParseNodeID(subject.URI)
	return node, subject.NotAfter, err
}

// tlsCertificate is the node's certificate, for links.
func (id *identity) tlsCertificate() (*tls.Certificate, error) { return &id.tls, nil }

// authenticator says whose chain a device logs in with.
type authenticator struct{ *identity }

// Device implements gateway.Authenticator.
func (a authenticator) Device(chain [][]byte, now time.Time) (groups.DeviceID, crypto.PublicKey, time.Time, error) {
	subject, err := a.trust.Verify(chain, coi.Device, now)
	if err != nil {
		return "", nil, time.Time{}, groups.Errorf(groups.Denied, "device certificate: %w", err)
	}
	device, err := groups.ParseDeviceID(subject.URI)
	return device, subject.Key, subject.NotAfter, err
}

// directory says whose credential a leaf has.
type directory struct{ *identity }

// Device implements groups.Directory. That the certificate's key is the leaf's
// was checked by mls/tree.
func (d directory) Device(cred wire.Credential, _ []byte, now time.Time) (groups.DeviceID, error) {
	if cred.CredentialType == wire.CredentialTypeBasic {
		return groups.ParseDeviceID(string(cred.Identity))
	}
	chain := make([][]byte, len(cred.Certificates))
	for i, c := range cred.Certificates {
		chain[i] = c.CertData
	}
	subject, err := d.trust.Verify(chain, coi.Device, now)
	if err != nil {
		return "", groups.Errorf(groups.Denied, "leaf credential: %w", err)
	}
	return groups.ParseDeviceID(subject.URI)
}
