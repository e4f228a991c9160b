package mls

import (
	"bytes"
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A newcomer is somebody a Welcome is for: a key package, and the path secret
// of the lowest node above both the newcomer and the committer, nil if the
// commit had no path.
type newcomer struct {
	keyPackage *wire.KeyPackage
	pathSecret []byte
}

// A hospitality is what a Welcome is made of: the secrets of the epoch that
// newcomers begin with, and its signed GroupInfo.
type hospitality struct {
	suite          *suite.Suite
	joiner, member []byte
	psks           []wire.PreSharedKeyID
	info           *wire.GroupInfo
	// parallel makes the seals; nil one after the other.
	parallel tree.Parallel
}

// welcome seals a signed GroupInfo and the secrets of its epoch to all
// newcomers (RFC 9420, Section 12.4.3.1). The tree is in it only if that was asked
// for: it travels
// apart. The encrypted GroupInfo is the context of every seal, and is hashed
// once.
func (h *hospitality) welcome(newcomers []newcomer) ([]byte, error) {
	s := h.suite
	sealed := s.Seal(nil, wire.Marshal(h.info), welcomeSealing(s, h.member))
	w := wire.Welcome{
		CipherSuite:        wire.CipherSuite(s.ID()),
		Secrets:            make([]wire.EncryptedGroupSecrets, len(newcomers)),
		EncryptedGroupInfo: sealed,
	}
	sealer := s.NewSealer("Welcome", sealed)
	err := h.parallel.Each(len(newcomers), func(i int) error {
		n := &newcomers[i]
		secrets := wire.GroupSecrets{JoinerSecret: h.joiner, PSKs: h.psks}
		if n.pathSecret != nil {
			secrets.PathSecret = &wire.PathSecret{PathSecret: n.pathSecret}
		}
		kem, ct, err := sealer.Seal(n.keyPackage.InitKey, wire.Marshal(secrets))
		if err != nil {
			return fmt.Errorf("seal welcome: %w", err)
		}
		w.Secrets[i] = wire.EncryptedGroupSecrets{
			NewMember:             s.KeyPackageRef(wire.Marshal(n.keyPackage)),
			EncryptedGroupSecrets: wire.HPKECiphertext{KEMOutput: kem, Ciphertext: ct},
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatWelcome, Welcome: &w}), nil
}

// A welcomed is what a Welcome says to the owner of one key package.
type welcomed struct {
	secrets wire.GroupSecrets
	member  []byte // the secret between joiner and epoch
	info    wire.GroupInfo
}

// openWelcome decrypts a Welcome with the private keys of kp, and the pre-shared
// keys that find gives. The signature of
// the GroupInfo is not checked: the key is in the tree.
func openWelcome(w *wire.Welcome, kp *KeyPackage, find pskFinder) (*welcomed, error) {
	s := kp.suite
	if suite.ID(w.CipherSuite) != s.ID() {
		return nil, fmt.Errorf("open welcome: %w: %v", ErrWelcomeSuite, w.CipherSuite)
	}
	sealed, err := findSecrets(w, kp.Ref())
	if err != nil {
		return nil, err
	}
	b, err := s.Decrypt(kp.init, "Welcome", w.EncryptedGroupInfo, sealed.KEMOutput, sealed.Ciphertext)
	if err != nil {
		return nil, fmt.Errorf("open welcome: secrets: %w", err)
	}
	var o welcomed
	if o.secrets, err = wire.Unmarshal[wire.GroupSecrets](b); err != nil {
		return nil, fmt.Errorf("open welcome: %w", err)
	}
	if err := verifyPSKs(s, o.secrets.PSKs); err != nil {
		return nil, fmt.Errorf("open welcome: %w", err)
	}
	psk, err := pskSecret(s, o.secrets.PSKs, find)
	if err != nil {
		return nil, fmt.Errorf("open welcome: %w", err)
	}
	o.member = deriveMember(s, o.secrets.JoinerSecret, psk)
	if b, err = s.Open(nil, w.EncryptedGroupInfo, welcomeSealing(s, o.member)); err != nil {
		return nil, fmt.Errorf("open welcome: group info: %w", err)
	}
	if o.info, err = wire.Unmarshal[wire.GroupInfo](b); err != nil {
		return nil, fmt.Errorf("open welcome: %w", err)
	}
	if o.info.GroupContext.CipherSuite != w.CipherSuite {
		return nil, fmt.Errorf("open welcome: %w: group of %v", ErrWelcomeSuite, o.info.GroupContext.CipherSuite)
	}
	return &o, nil
}

// findSecrets returns the entry of a Welcome that is for the key package ref.
func findSecrets(w *wire.Welcome, ref []byte) (*wire.HPKECiphertext, error) {
	for i := range w.Secrets {
		if bytes.Equal(w.Secrets[i].NewMember, ref) {
			return &w.Secrets[i].EncryptedGroupSecrets, nil
		}
	}
	return nil, fmt.Errorf("open welcome: %w", ErrNotForUs)
}

// signGroupInfo signs the state of an epoch for those who will join it.
func signGroupInfo(key *suite.SignaturePrivateKey, info *wire.GroupInfo) (err error) {
	if info.Signature, err = key.Sign("GroupInfoTBS", wire.Marshal(wire.GroupInfoTBS(*info))); err != nil {
		return fmt.Errorf("sign group info: %w", err)
	}
	return nil
}
