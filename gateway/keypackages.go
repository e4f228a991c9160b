package gateway

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"slices"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls/wire"
)

const (
	// maxKeyPackage bounds one key package; with a chain of maxChainBytes
	// there is room to spare.
	maxKeyPackage = 32 << 10
	// maxClaimUsers bounds the users of one claim.
	maxClaimUsers = 100
)

// PublishKeyPackages stores key packages of the calling device: all or none.
func (s *service) PublishKeyPackages(ctx context.Context, req *connect.Request[devicev1.PublishKeyPackagesRequest]) (*connect.Response[devicev1.PublishKeyPackagesResponse], error) {
	device := callOf(ctx).session.device
	if n := len(req.Msg.KeyPackages); n == 0 || n > groups.MaxKeyPackages {
		return nil, groups.Errorf(groups.Invalid, "publish %d key packages: send one to %d", n, groups.MaxKeyPackages)
	}
	reader := keyPackageReader{config: &s.config, device: device, now: s.config.Now()}
	packages := make([]groups.KeyPackage, 0, len(req.Msg.KeyPackages))
	for i, b := range req.Msg.KeyPackages {
		p, err := reader.read(b)
		if err != nil {
			return nil, groups.Errorf(groups.KindOf(err), "key package %d: %w", i+1, err)
		}
		packages = append(packages, p)
	}
	count, err := s.config.Registry.PutKeyPackages(device, packages)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&devicev1.PublishKeyPackagesResponse{Count: uint32(count)}), nil
}

// CountKeyPackages tells how many of the calling device are left.
func (s *service) CountKeyPackages(ctx context.Context, _ *connect.Request[devicev1.CountKeyPackagesRequest]) (*connect.Response[devicev1.CountKeyPackagesResponse], error) {
	n, err := s.config.Registry.CountKeyPackages(callOf(ctx).session.device)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&devicev1.CountKeyPackagesResponse{Count: uint32(n)}), nil
}

// ClaimKeyPackages takes key packages of users of any site. Each user that is
// over the rate stands among the failures; the others are claimed.
func (s *service) ClaimKeyPackages(ctx context.Context, req *connect.Request[devicev1.ClaimKeyPackagesRequest]) (*connect.Response[devicev1.ClaimKeyPackagesResponse], error) {
	session, m := callOf(ctx).session, req.Msg
	if len(m.Users) == 0 || len(m.Users) > maxClaimUsers {
		return nil, groups.Errorf(groups.Invalid, "claim for %d users: name one to %d", len(m.Users), maxClaimUsers)
	}
	suite := wire.CipherSuite(min(m.Suite, 0xffff))
	if !slices.Contains(s.config.Suites, suite) {
		return nil, groups.Errorf(groups.Invalid, "claim: cipher suite %s is not used here", suite)
	}
	room, err := groups.ParseRoomID(m.Room)
	if err != nil {
		return nil, err
	}
	answer := new(devicev1.ClaimKeyPackagesResponse)
	fail := func(u groups.UserID, err error) {
		r, kind, known := refusalOf(err)
		s.metrics.refused(kind)
		if !known {
			s.config.Logger.Error("claim", "user", u, "err", err)
		}
		answer.Failures = append(answer.Failures, &devicev1.ClaimFailure{User: string(u), Kind: r.Kind, Text: r.Text})
	}
	var users []groups.UserID
	for _, name := range m.Users {
		u, err := groups.ParseUserID(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(users, u) {
			continue
		}
		if err := session.rates.claim(u, s.config.Now()); err != nil {
			fail(u, err)
			continue
		}
		users = append(users, u)
	}
	if len(users) > 0 {
		packages, failures := s.config.KeySource.Claim(ctx, users, room, suite)
		for _, p := range packages {
			answer.KeyPackages = append(answer.KeyPackages, &devicev1.KeyPackage{Device: string(p.Device), KeyPackage: p.Bytes})
		}
		for u, err := range failures {
			fail(u, err)
		}
	}
	return connect.NewResponse(answer), nil
}

// A keyPackageReader checks key packages of one device. Signatures are checked
// by who uses them; here is found what could never be used.
type keyPackageReader struct {
	config *Config
	device groups.DeviceID
	now    time.Time

	chain [][]byte // verified already, and its key
	key   crypto.PublicKey
}

// read checks one key package (RFC 9420, Section 10.1).
func (r *keyPackageReader) read(b []byte) (groups.KeyPackage, error) {
	none := groups.KeyPackage{}
	if len(b) > maxKeyPackage {
		return none, groups.Errorf(groups.TooLarge, "%d bytes, of at most %d", len(b), maxKeyPackage)
	}
	m, err := wire.Unmarshal[wire.MLSMessage](b)
	if err != nil {
		return none, groups.Errorf(groups.Invalid, "%w", err)
	}
	if m.WireFormat != wire.WireFormatKeyPackage {
		return none, groups.Errorf(groups.Invalid, "a %s, not a key package", m.WireFormat)
	}
	p, leaf := m.KeyPackage, &m.KeyPackage.LeafNode
	now := uint64(r.now.Unix())
	switch {
	case !slices.Contains(r.config.Suites, p.CipherSuite):
		return none, groups.Errorf(groups.Invalid, "cipher suite %s is not used here", p.CipherSuite)
	case leaf.LeafNodeSource != wire.LeafNodeSourceKeyPackage:
		return none, groups.Errorf(groups.Invalid, "its leaf node is of an %s", leaf.LeafNodeSource)
	case now > leaf.Lifetime.NotAfter:
		return none, groups.Errorf(groups.Invalid, "its lifetime is over")
	case len(p.InitKey) == 0 || bytes.Equal(p.InitKey, leaf.EncryptionKey):
		return none, groups.Errorf(groups.Invalid, "its init key is empty or the leaf's encryption key")
	case !leaf.Capabilities.SupportsCredential(leaf.Credential.CredentialType):
		return none, groups.Errorf(groups.Invalid, "it does not support its own kind of credential")
	}
	if err := r.credential(leaf); err != nil {
		return none, err
	}
	return groups.KeyPackage{Device: r.device, Suite: p.CipherSuite, Bytes: b}, nil
}

// credential checks that the leaf is the calling device's.
func (r *keyPackageReader) credential(leaf *wire.LeafNode) error {
	c := &leaf.Credential
	if c.CredentialType == wire.CredentialTypeBasic {
		if string(c.Identity) != string(r.device) {
			return groups.Errorf(groups.Denied, "its credential is not of %s", r.device)
		}
		return nil
	}
	chain := make([][]byte, 0, len(c.Certificates))
	for _, cert := range c.Certificates {
		chain = append(chain, cert.CertData)
	}
	if r.key == nil || !slices.EqualFunc(chain, r.chain, bytes.Equal) {
		if err := checkChain(chain); err != nil {
			return err
		}
		owner, key, _, err := r.config.Authenticator.Device(chain, r.now)
		if err != nil {
			return err
		}
		if owner != r.device {
			return groups.Errorf(groups.Denied, "its certificate is of %s, not of %s", owner, r.device)
		}
		r.chain, r.key = chain, key
	}
	if !bytes.Equal(keyBytes(r.key), leaf.SignatureKey) {
		return groups.Errorf(groups.Invalid, "its signature key is not the certificate's (RFC 9420, Section 5.3)")
	}
	return nil
}

// keyBytes returns a public key as a SignaturePublicKey (RFC 9420, Section
// 5.1.1), nil for a kind MLS does not use.
func keyBytes(key crypto.PublicKey) []byte {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return k
	case *ecdsa.PublicKey:
		if p, err := k.ECDH(); err == nil {
			return p.Bytes()
		}
	}
	return nil
}
