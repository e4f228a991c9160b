package mls

import (
	"fmt"

	"parley/mls/suite"
)

// epochSecrets are what an epoch's secret is spent on (RFC 9420, Section 8,
// Table 4), and the init secret that leads to the next epoch. The epoch
// secret, the joiner secret and the commit secret are not kept: they are
// consumed in making these (Section 9.2).
type epochSecrets struct {
	senderData    []byte
	encryption    []byte // moves into the secret tree, then nil
	exporter      []byte
	external      []byte
	confirmation  []byte
	membership    []byte
	resumption    []byte
	authenticator []byte
	init          []byte // nil once the epoch is a past one
}

// deriveJoiner computes joiner_secret from the last epoch's init secret, the
// commit secret and the encoded GroupContext of the new epoch.
func deriveJoiner(s *suite.Suite, initSecret, commitSecret, context []byte) []byte {
	return s.ExpandWithLabel(s.Extract(initSecret, commitSecret), "joiner", context, s.HashSize())
}

// deriveMember computes the secret between joiner_secret and epoch_secret, of
// which welcome_secret is derived. A nil psk stands for no PSK.
func deriveMember(s *suite.Suite, joiner, psk []byte) []byte {
	if psk == nil {
		psk = make([]byte, s.HashSize())
	}
	return s.Extract(joiner, psk)
}

// deriveEpoch computes the secrets of an epoch from the member secret and the
// epoch's encoded GroupContext.
func deriveEpoch(s *suite.Suite, member, context []byte) epochSecrets {
	return expandEpoch(s, s.ExpandWithLabel(member, "epoch", context, s.HashSize()))
}

// expandEpoch spends an epoch secret.
func expandEpoch(s *suite.Suite, epochSecret []byte) epochSecrets {
	e := epochSecrets{
		senderData:    s.DeriveSecret(epochSecret, "sender data"),
		encryption:    s.DeriveSecret(epochSecret, "encryption"),
		exporter:      s.DeriveSecret(epochSecret, "exporter"),
		external:      s.DeriveSecret(epochSecret, "external"),
		confirmation:  s.DeriveSecret(epochSecret, "confirm"),
		membership:    s.DeriveSecret(epochSecret, "membership"),
		resumption:    s.DeriveSecret(epochSecret, "resumption"),
		authenticator: s.DeriveSecret(epochSecret, "authentication"),
		init:          s.DeriveSecret(epochSecret, "init"),
	}
	clear(epochSecret)
	return e
}

// welcomeSealing derives how a GroupInfo is sealed in a Welcome (RFC 9420,
// Section 12.4.3.1).
func welcomeSealing(s *suite.Suite, member []byte) suite.Sealing {
	welcome := s.DeriveSecret(member, "welcome")
	return suite.Sealing{
		Key:   s.ExpandWithLabel(welcome, "key", nil, s.KeySize()),
		Nonce: s.ExpandWithLabel(welcome, "nonce", nil, s.NonceSize()),
	}
}

// export is MLS-Exporter (RFC 9420, Section 8.5).
func (e *epochSecrets) export(s *suite.Suite, label string, context []byte, n int) ([]byte, error) {
	if err := s.CheckExpand(n); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return s.ExpandWithLabel(s.DeriveSecret(e.exporter, label), "exported", s.Hash(context), n), nil
}
