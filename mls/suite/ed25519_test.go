package suite

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// "A signature of RFC 8032 is a function of key and message, so nobody can tell
// which program made it."
func TestSignaturesAreThoseOfTheStandardLibrary(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{8, 0, 3, 2})
	seed := make([]byte, ed25519.SeedSize)
	for n := range 5000 {
		rng.Read(seed)
		switch n { // scalars are clamped, but hashed first: these are keys as any other
		case 0:
			clear(seed)
		case 1:
			copy(seed, bytes.Repeat([]byte{0xff}, len(seed)))
		}
		key := ed25519.NewKeyFromSeed(seed)
		message := make([]byte, n%700)
		rng.Read(message)
		if got, want := signEd25519(key, message), ed25519.Sign(key, message); !bytes.Equal(got, want) {
			t.Fatalf("seed %x, message %x: signed %x, want %x", seed, message, got, want)
		}
	}
}

// RFC 8032, Section 7.1, tests 1 and 2.
func TestRFC8032SignaturesAreMade(t *testing.T) {
	for _, c := range []struct{ seed, message, signature string }{
		{
			"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		},
		{
			"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
		},
	} {
		seed, message := decode(t, c.seed), decode(t, c.message)
		if got := signEd25519(ed25519.NewKeyFromSeed(seed), message); hex.EncodeToString(got) != c.signature {
			t.Errorf("signature of %x is %x, want %s", message, got, c.signature)
		}
	}
}

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
