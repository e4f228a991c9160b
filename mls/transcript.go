package mls

import (
	"parley/mls/suite"
	"parley/mls/wire"
)

// confirmedHash extends the transcript by a commit and its signature
// (RFC 9420, Section 8.2).
func confirmedHash(s *suite.Suite, interim []byte, commit *wire.AuthenticatedContent) []byte {
	w := wire.NewWriter(append(make([]byte, 0, 4096), interim...))
	wire.ConfirmedTranscriptHashInput{
		WireFormat: commit.WireFormat,
		Content:    commit.Content,
		Signature:  commit.Auth.Signature,
	}.Encode(w)
	return s.Hash(w.Bytes())
}

// interimHash extends a confirmed transcript hash by the confirmation tag of
// its commit.
func interimHash(s *suite.Suite, confirmed, confirmationTag []byte) []byte {
	w := wire.NewWriter(append(make([]byte, 0, 160), confirmed...))
	w.Opaque(confirmationTag)
	return s.Hash(w.Bytes())
}
