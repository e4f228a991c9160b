package groups

import (
	"crypto/sha256"

	"parley/mls/wire"
)

// BindingHash is what the envelope of a record is bound to beside room, epoch
// and key id: for whom it is, and in which epoch's GroupContext. Who holds the
// envelope alone can then pass it off under no other policy and no other tree,
// also where each CoI opens but a share, of which no key id can be computed.
//
//	SHA-256(CoIRecipient recipients<V> || opaque group_context_hash[32])
func (r *KeyRecord) BindingHash() Hash {
	w := wire.NewWriter(nil)
	encodeRecipients(w, r.Recipients)
	w.Raw(r.ContextHash[:])
	return sha256.Sum256(w.Bytes())
}
