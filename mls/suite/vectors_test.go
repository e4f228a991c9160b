package suite

import (
	"bytes"
	"encoding/hex"
	"flag"
	"slices"
	"testing"

	"parley/mls/internal/vectors"
)

var update = flag.Bool("update", false, "write the project's own vectors anew")

type basicsCase struct {
	Suite   ID `json:"cipher_suite"`
	RefHash struct {
		Label string      `json:"label"`
		Out   vectors.Hex `json:"out"`
		Value vectors.Hex `json:"value"`
	} `json:"ref_hash"`
	ExpandWithLabel struct {
		Secret  vectors.Hex `json:"secret"`
		Label   string      `json:"label"`
		Context vectors.Hex `json:"context"`
		Length  int         `json:"length"`
		Out     vectors.Hex `json:"out"`
	} `json:"expand_with_label"`
	DeriveSecret struct {
		Secret vectors.Hex `json:"secret"`
		Label  string      `json:"label"`
		Out    vectors.Hex `json:"out"`
	} `json:"derive_secret"`
	DeriveTreeSecret struct {
		Secret     vectors.Hex `json:"secret"`
		Label      string      `json:"label"`
		Generation uint32      `json:"generation"`
		Length     int         `json:"length"`
		Out        vectors.Hex `json:"out"`
	} `json:"derive_tree_secret"`
	SignWithLabel struct {
		Priv      vectors.Hex `json:"priv"`
		Pub       vectors.Hex `json:"pub"`
		Content   vectors.Hex `json:"content"`
		Label     string      `json:"label"`
		Signature vectors.Hex `json:"signature"`
	} `json:"sign_with_label"`
	EncryptWithLabel struct {
		Priv       vectors.Hex `json:"priv"`
		Pub        vectors.Hex `json:"pub"`
		Label      string      `json:"label"`
		Context    vectors.Hex `json:"context"`
		Plaintext  vectors.Hex `json:"plaintext"`
		KEMOutput  vectors.Hex `json:"kem_output"`
		Ciphertext vectors.Hex `json:"ciphertext"`
	} `json:"encrypt_with_label"`
}

func TestVectorsCryptoBasics(t *testing.T) {
	ran, skipped := map[ID]int{}, map[ID]int{}
	vectors.Each(t, "crypto-basics.json", func(t *testing.T, c basicsCase) {
		if c.Suite == 4 || c.Suite == 6 {
			skipped[c.Suite]++
			return
		}
		s, err := Lookup(c.Suite)
		if err != nil {
			t.Fatal(err)
		}
		ran[c.Suite]++
		t.Run(s.String(), func(t *testing.T) { checkBasics(t, s, c) })
	})
	if len(ran) != len(IDs()) || skipped[4] > 1 || skipped[6] > 1 {
		t.Errorf("ran %v, skipped %v", ran, skipped)
	}
	t.Logf("checked by suite: %v, skipped: %v", ran, skipped)
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

// TestGenerateVectors adds to mls/testdata/crypto-basics.json what is missing:
//
//	go test ./mls/suite -run TestGenerateVectors -update
func TestGenerateVectors(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	var cases []basicsCase
	vectors.EachOwn(t, "crypto-basics.json", func(_ *testing.T, c basicsCase) { cases = append(cases, c) })
	for _, id := range IDs() {
		if slices.ContainsFunc(cases, func(c basicsCase) bool { return c.Suite == id }) {
			continue
		}
		s, _ := Lookup(id)
		cases = append(cases, makeBasics(t, s))
	}
	vectors.WriteOwn(t, "crypto-basics.json", cases)
}

func makeBasics(t *testing.T, s *Suite) (c basicsCase) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n := s.HashSize()
	c.Suite = s.ID()
	c.RefHash.Label, c.RefHash.Value = "RefHash", Random(n)
	c.RefHash.Out = s.RefHash(c.RefHash.Label, c.RefHash.Value)
	ex := &c.ExpandWithLabel
	ex.Secret, ex.Label, ex.Context, ex.Length = Random(n), "ExpandWithLabel", Random(n), 16
	ex.Out = s.ExpandWithLabel(ex.Secret, ex.Label, ex.Context, ex.Length)
	c.DeriveSecret.Secret, c.DeriveSecret.Label = Random(n), "DeriveSecret"
	c.DeriveSecret.Out = s.DeriveSecret(c.DeriveSecret.Secret, c.DeriveSecret.Label)
	dt := &c.DeriveTreeSecret
	dt.Secret, dt.Label, dt.Generation, dt.Length = Random(n), "DeriveTreeSecret", 0xa0b0c0d0, n
	dt.Out = s.DeriveTreeSecret(nil, dt.Secret, dt.Label, dt.Generation, dt.Length)

	key, err := s.GenerateSignatureKey()
	must(err)
	sg := &c.SignWithLabel
	sg.Pub, sg.Content, sg.Label = key.PublicKey(), Random(n), "SignWithLabel"
	sg.Priv, err = key.Bytes()
	must(err)
	sg.Signature, err = key.Sign(sg.Label, sg.Content)
	must(err)

	priv, err := s.GenerateKeyPair()
	must(err)
	en := &c.EncryptWithLabel
	en.Pub, en.Label, en.Context, en.Plaintext = priv.PublicKey(), "EncryptWithLabel", Random(n), Random(n)
	en.Priv, err = priv.Bytes()
	must(err)
	kem, ct, err := s.Encrypt(en.Pub, en.Label, en.Context, en.Plaintext)
	must(err)
	en.KEMOutput, en.Ciphertext = kem, ct
	return c
}
