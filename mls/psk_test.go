package mls

import (
	"bytes"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/wire"
)

type pskCase struct {
	Suite suite.ID `json:"cipher_suite"`
	PSKs  []struct {
		ID    vectors.Hex `json:"psk_id"`
		PSK   vectors.Hex `json:"psk"`
		Nonce vectors.Hex `json:"psk_nonce"`
	} `json:"psks"`
	Secret vectors.Hex `json:"psk_secret"`
}

// psk_secret is chained over all PSKs, in their order (RFC 9420, Section 8.4).
func TestVectorsPSKSecret(t *testing.T) {
	skipped := map[suite.ID]int{}
	for i, c := range vectors.Load[pskCase](t, "psk_secret.json") {
		s := suiteOf(t, c.Suite, skipped)
		if s == nil {
			continue
		}
		psks := make(purse)
		var ids []wire.PreSharedKeyID
		for _, p := range c.PSKs {
			id := ExternalPSK(p.ID)
			id.PSKNonce = p.Nonce
			ids, psks[string(p.ID)] = append(ids, id), p.PSK
		}
		got, err := pskSecret(s, ids, (&Policy{PSKs: psks}).find)
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			got = make([]byte, s.HashSize())
		}
		if !bytes.Equal(got, c.Secret) {
			t.Errorf("case %d: psk_secret is %x, want %x", i, got, c.Secret)
		}
	}
	t.Logf("skipped by suite: %v", skipped)
}
