package federation

import (
	"errors"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// kindOf returns the kind of what we or a peer found wrong.
func kindOf(err error) groups.Kind {
	if r, ok := errors.AsType[*groups.RemoteError](err); ok {
		return r.Kind
	}
	return groups.KindOf(err)
}

// refusal turns an error into what travels. What is not a refusal is Internal,
// without its words: they are for our own log.
func refusal(err error) *linkv1.Refusal {
	if e, ok := errors.AsType[*groups.Error](err); ok {
		return &linkv1.Refusal{Kind: e.Kind.String(), Text: groups.Words(e.Text), Epoch: uint64(e.Epoch), Seq: uint64(e.Seq)}
	}
	if e, ok := errors.AsType[*groups.RemoteError](err); ok {
		return &linkv1.Refusal{Kind: e.Kind.String(), Text: groups.Words(e.Text), Epoch: uint64(e.Epoch), Seq: uint64(e.Seq)}
	}
	return &linkv1.Refusal{Kind: groups.Internal.String(), Text: "something went wrong here"}
}

// remote turns a peer's refusal into an error that names the peer.
func remote(peer groups.NodeID, r *linkv1.Refusal) error {
	return &groups.RemoteError{Peer: string(peer), Kind: groups.ParseKind(r.GetKind()), Text: groups.Words(r.GetText()),
		Epoch: groups.Epoch(r.GetEpoch()), Seq: groups.Seq(r.GetSeq())}
}
