package mls

import (
	"bytes"
	"errors"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/wire"
)

type welcomeCase struct {
	Suite      suite.ID    `json:"cipher_suite"`
	InitPriv   vectors.Hex `json:"init_priv"`
	KeyPackage vectors.Hex `json:"key_package"`
	SignerPub  vectors.Hex `json:"signer_pub"`
	Welcome    vectors.Hex `json:"welcome"`
}

func TestVectorsWelcome(t *testing.T) {
	skipped := map[suite.ID]int{}
	vectors.Each(t, "welcome.json", func(t *testing.T, c welcomeCase) {
		if s := suiteOf(t, c.Suite, skipped); s != nil {
			t.Run(s.String(), func(t *testing.T) { checkWelcome(t, s, c) })
		}
	})
	t.Logf("skipped by suite: %v", skipped)
}

// parts decodes the key package and the Welcome of the vector.
func (c *welcomeCase) parts(t *testing.T, s *suite.Suite) (*KeyPackage, *wire.Welcome) {
	t.Helper()
	kp, err := wire.Unmarshal[wire.MLSMessage](c.KeyPackage)
	if err != nil {
		t.Fatal(err)
	}
	welcome, err := wire.Unmarshal[wire.MLSMessage](c.Welcome)
	if err != nil {
		t.Fatal(err)
	}
	init, err := s.NewHPKEPrivateKey(c.InitPriv)
	if err != nil {
		t.Fatal(err)
	}
	return &KeyPackage{Public: *kp.KeyPackage, suite: s, init: init}, welcome.Welcome
}

func checkWelcome(t *testing.T, s *suite.Suite, c welcomeCase) {
	kp, welcome := c.parts(t, s)
	o, err := openWelcome(welcome, kp, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(c.SignerPub, "GroupInfoTBS", wire.Marshal(wire.GroupInfoTBS(o.info)), o.info.Signature); err != nil {
		t.Error(err)
	}
	secrets := deriveEpoch(s, o.member, wire.Marshal(o.info.GroupContext))
	if !s.VerifyMAC(secrets.confirmation, o.info.GroupContext.ConfirmedTranscriptHash, o.info.ConfirmationTag) {
		t.Error("confirmation tag differs")
	}
	h := hospitality{suite: s, joiner: o.secrets.JoinerSecret, member: o.member, info: &o.info}
	again, err := h.welcome([]newcomer{{keyPackage: &kp.Public}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Unmarshal[wire.MLSMessage](again)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openWelcome(m.Welcome, kp, nil)
	if err != nil || !bytes.Equal(wire.Marshal(p.info), wire.Marshal(o.info)) {
		t.Errorf("our own welcome: %v", err)
	}
}

func TestWelcomeRefused(t *testing.T) {
	c := vectors.Load[welcomeCase](t, "welcome.json")[0]
	kp, welcome := c.parts(t, testSuite(t))
	other := *welcome
	other.CipherSuite = 2
	if _, err := openWelcome(&other, kp, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("other suite: %v", err)
	}
	other = *welcome
	other.Secrets = nil
	if _, err := openWelcome(&other, kp, nil); !errors.Is(err, ErrNotForUs) {
		t.Errorf("not for us: %v", err)
	}
	other = *welcome
	other.EncryptedGroupInfo = append(bytes.Clone(welcome.EncryptedGroupInfo), 0)
	if _, err := openWelcome(&other, kp, nil); !errors.Is(err, suite.ErrDecrypt) {
		t.Errorf("changed group info: %v", err)
	}
}
