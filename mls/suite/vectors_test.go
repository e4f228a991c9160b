package suite

import (
	"bytes"
	"encoding/hex"
	"testing"

	"parley/mls/internal/vectors"
)

type basicsCase struct {
	Suite   ID `json:"cipher_suite"`
	RefHash struct {
		Label      string
		Out, Value vectors.Hex
	} `json:"ref_hash"`
	ExpandWithLabel struct {
		Secret, Context, Out vectors.Hex
		Label                string
		Length               int
	} `json:"expand_with_label"`
	DeriveSecret struct {
		Secret, Out vectors.Hex
		Label       string
	} `json:"derive_secret"`
	DeriveTreeSecret struct {
		Secret, Out vectors.Hex
		Label       string
		Generation  uint32
		Length      int
	} `json:"derive_tree_secret"`
	SignWithLabel struct {
		Priv, Pub, Content, Signature vectors.Hex
		Label                         string
	} `json:"sign_with_label"`
	EncryptWithLabel struct {
		Priv, Pub, Context, Plaintext, Ciphertext vectors.Hex
		KEMOutput                                 vectors.Hex `json:"kem_output"`
		Label                                     string
	} `json:"encrypt_with_label"`
}

func TestVectorsCryptoBasics(t *testing.T) {
	ran, skipped := 0, map[ID]int{}
	for _, c := range vectors.Load[basicsCase](t, "crypto-basics.json") {
		if c.Suite == 4 || c.Suite == 6 {
			skipped[c.Suite]++
			continue
		}
		s, err := Lookup(c.Suite)
		if err != nil {
			t.Fatal(err)
		}
		ran++
		t.Run(s.String(), func(t *testing.T) { checkBasics(t, s, c) })
	}
	if ran != len(IDs()) || skipped[4] > 1 || skipped[6] > 1 {
		t.Errorf("ran %d suites of %d, skipped %v", ran, len(IDs()), skipped)
	}
	t.Logf("%d suites checked, skipped by id: %v", ran, skipped)
}

func checkBasics(t *testing.T, s *Suite, c basicsCase) {
	equal := func(what string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", what, got, want)
		}
	}
	equal("ref_hash", s.RefHash(c.RefHash.Label, c.RefHash.Value), c.RefHash.Out)
	ex := c.ExpandWithLabel
	equal("expand_with_label", s.ExpandWithLabel(ex.Secret, ex.Label, ex.Context, ex.Length), ex.Out)
	equal("derive_secret", s.DeriveSecret(c.DeriveSecret.Secret, c.DeriveSecret.Label), c.DeriveSecret.Out)
	dt := c.DeriveTreeSecret
	equal("derive_tree_secret", s.DeriveTreeSecret(nil, dt.Secret, dt.Label, dt.Generation, dt.Length), dt.Out)

	sg := c.SignWithLabel
	if err := s.Verify(sg.Pub, sg.Label, sg.Content, sg.Signature); err != nil {
		t.Errorf("verify: %v", err)
	}
	key, err := s.NewSignaturePrivateKey(sg.Priv)
	if err != nil {
		t.Fatal(err)
	}
	equal("signature public key", key.PublicKey(), sg.Pub)
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	equal("signature private key", raw, sg.Priv)
	signature, err := key.Sign(sg.Label, sg.Content)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(sg.Pub, sg.Label, sg.Content, signature); err != nil {
		t.Errorf("verify our own: %v", err)
	}

	en := c.EncryptWithLabel
	priv, err := s.NewHPKEPrivateKey(en.Priv)
	if err != nil {
		t.Fatal(err)
	}
	equal("HPKE public key", priv.PublicKey(), en.Pub)
	plaintext, err := s.Decrypt(priv, en.Label, en.Context, en.KEMOutput, en.Ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	equal("decrypt_with_label", plaintext, en.Plaintext)
	kem, ciphertext, err := s.Encrypt(en.Pub, en.Label, en.Context, en.Plaintext)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err = s.Decrypt(priv, en.Label, en.Context, kem, ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	equal("decrypt our own", plaintext, en.Plaintext)
}

// RFC 5869, Appendix A.1: the three-block output goes by the general path.
func TestExpandLong(t *testing.T) {
	s, _ := Lookup(X25519AES128SHA256Ed25519)
	unhex := func(x string) []byte { b, _ := hex.DecodeString(x); return b }
	prk := s.Extract(unhex("000102030405060708090a0b0c"), bytes.Repeat([]byte{0x0b}, 22))
	got := s.Expand(prk, unhex("f0f1f2f3f4f5f6f7f8f9"), 42)
	want := unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
