package wrap

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// unhex decodes a vector.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeyWrapVectors: RFC 3394, Section 4.
func TestKeyWrapVectors(t *testing.T) {
	for _, v := range []struct{ name, kek, key, wrapped string }{
		{
			"4.1", "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
			"1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
		},
		{
			"4.3", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF",
			"64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7",
		},
		{
			"4.5", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
			"00112233445566778899AABBCCDDEEFF0001020304050607",
			"A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1",
		},
		{
			"4.6", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
			"00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
			"28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
		},
	} {
		kek, key, wrapped := unhex(t, v.kek), unhex(t, v.key), unhex(t, v.wrapped)
		if got := wrapKey(kek, key); !bytes.Equal(got, wrapped) {
			t.Errorf("%s: wrapped to %x", v.name, got)
		}
		if got, ok := unwrapKey(kek, wrapped); ok != 1 || !bytes.Equal(got, key) {
			t.Errorf("%s: unwrapped to %x, %d", v.name, got, ok)
		}
		for i := range wrapped {
			wrapped[i] ^= 1
			if _, ok := unwrapKey(kek, wrapped); ok != 0 {
				t.Errorf("%s: byte %d changed: accepted", v.name, i)
			}
			wrapped[i] ^= 1
		}
	}
}
