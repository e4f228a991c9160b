package gateway

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

const (
	// maxChain and maxChainBytes bound a login's certificates.
	maxChain      = 3
	maxChainBytes = 12 << 10
	// maxSignature bounds a login's signature; an ASN.1 P-521 one has 139.
	maxSignature = 256
)

// Challenge returns a nonce for a device of this site.
func (s *service) Challenge(_ context.Context, req *connect.Request[devicev1.ChallengeRequest]) (*connect.Response[devicev1.ChallengeResponse], error) {
	device, err := s.ownDevice(req.Msg.Device)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&devicev1.ChallengeResponse{
		Nonce: s.challenges.issue(device, s.config.Now()),
		Node:  string(s.config.Node),
		Site:  string(s.config.Site),
	}), nil
}

// Login gives a session to who signs the challenge with the key of a
// certificate of the device. What costs least is checked first; the nonce is
// used up by a good signature only.
func (s *service) Login(_ context.Context, req *connect.Request[devicev1.LoginRequest]) (*connect.Response[devicev1.LoginResponse], error) {
	m, now := req.Msg, s.config.Now()
	device, err := s.ownDevice(m.Device)
	if err != nil {
		return nil, err
	}
	if err := s.challenges.check(m.Nonce, device, now); err != nil {
		return nil, err
	}
	if err := checkChain(m.Chain); err != nil {
		return nil, err
	}
	owner, key, notAfter, err := s.config.Authenticator.Device(m.Chain, now)
	if err != nil {
		return nil, err
	}
	if owner != device {
		return nil, groups.Errorf(groups.Denied, "login: the certificate is of %s, not of %s", owner, device)
	}
	if !now.Before(notAfter) {
		return nil, groups.Errorf(groups.Denied, "login: the certificate ended on %s: renew it", notAfter.UTC().Format("2006-01-02 15:04 MST"))
	}
	if len(m.Signature) > maxSignature || !signedBy(key, loginTBS(s.config.Node, device, m.Nonce), m.Signature) {
		return nil, groups.Errorf(groups.Denied, "login: the signature is not by the certificate's key")
	}
	if err := s.challenges.spend(m.Nonce, now); err != nil {
		return nil, err
	}
	token, session, err := s.sessions.open(device, notAfter, now)
	if err != nil {
		return nil, err
	}
	s.config.Registry.SawDevice(device, now)
	s.metrics.logins.Inc()
	answer := &devicev1.LoginResponse{Session: token, ExpiresUnix: session.expires.Unix()}
	if s.config.OrderingCertificates != nil {
		answer.OrderingCertificates = s.config.OrderingCertificates()
	}
	return connect.NewResponse(answer), nil
}

// ownDevice reads the name of a device of this site.
func (s *Server) ownDevice(name string) (groups.DeviceID, error) {
	device, err := groups.ParseDeviceID(name)
	if err != nil {
		return "", err
	}
	if device.Site() != s.config.Site {
		return "", groups.Errorf(groups.Denied, "%s is a device of another site: log in at a gateway of %s", device, device.Site())
	}
	return device, nil
}

func checkChain(chain [][]byte) error {
	size := 0
	for _, c := range chain {
		size += len(c)
	}
	if len(chain) == 0 || len(chain) > maxChain || size > maxChainBytes {
		return groups.Errorf(groups.Invalid, "login: %d certificates of %d bytes: send one to %d, of at most %d bytes together", len(chain), size, maxChain, maxChainBytes)
	}
	return nil
}

// loginTBS is what a device signs to log in.
func loginTBS(node groups.NodeID, device groups.DeviceID, nonce []byte) []byte {
	b := append([]byte("Parley 1 login\x00"), node...)
	b = append(b, 0)
	b = append(b, device...)
	b = append(b, 0)
	return append(b, nonce...)
}

// signedBy verifies by the kind of key: Ed25519 over the message itself, ECDSA
// in ASN.1 over the hash that goes with its curve.
func signedBy(key crypto.PublicKey, message, signature []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, signature)
	case *ecdsa.PublicKey:
		var digest []byte
		switch k.Curve.Params().BitSize {
		case 256:
			h := sha256.Sum256(message)
			digest = h[:]
		case 384:
			h := sha512.Sum384(message)
			digest = h[:]
		case 521:
			h := sha512.Sum512(message)
			digest = h[:]
		default:
			return false
		}
		return ecdsa.VerifyASN1(k, digest, signature)
	}
	return false
}
