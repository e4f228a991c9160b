package gateway

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// errNoSession is the refusal of a call without a valid session. It is Denied,
// with a Connect code of its own so that a device knows to log in again.
var errNoSession = &groups.Error{Kind: groups.Denied, Text: "no session, or it has ended: log in again"}

// errDraining is the refusal of calls while the node stops.
var errDraining = &groups.Error{Kind: groups.Unavailable, Text: "this node is stopping: connect again"}

// errStalled is why a stream ends whose reader takes nothing.
var errStalled = &groups.Error{Kind: groups.Unavailable, Text: "nothing was read for too long: resume from your cursor"}

// codes maps kinds to Connect codes. What a device acts on is the kind in the
// Refusal; the code is for proxies and strangers.
var codes = [...]connect.Code{
	groups.Internal:       connect.CodeInternal,
	groups.Invalid:        connect.CodeInvalidArgument,
	groups.Denied:         connect.CodePermissionDenied,
	groups.NotFound:       connect.CodeNotFound,
	groups.Conflict:       connect.CodeAlreadyExists,
	groups.StaleEpoch:     connect.CodeAborted,
	groups.KeyStale:       connect.CodeFailedPrecondition,
	groups.TooLarge:       connect.CodeOutOfRange,
	groups.Busy:           connect.CodeResourceExhausted,
	groups.NoSpace:        connect.CodeResourceExhausted,
	groups.Unavailable:    connect.CodeUnavailable,
	groups.CoIRevoked:     connect.CodeFailedPrecondition,
	groups.CoIUnavailable: connect.CodeUnavailable,
}

// kindOfCode says which kind a refusal of the protocol stack itself is, which
// carries no Refusal: a body that does not decode, one that is too large.
func kindOfCode(c connect.Code) groups.Kind {
	switch c {
	case connect.CodeInvalidArgument, connect.CodeUnimplemented, connect.CodeOutOfRange:
		return groups.Invalid
	case connect.CodeResourceExhausted:
		return groups.TooLarge
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return groups.Denied
	case connect.CodeNotFound:
		return groups.NotFound
	case connect.CodeCanceled, connect.CodeDeadlineExceeded, connect.CodeUnavailable:
		return groups.Unavailable
	}
	return groups.Internal
}

// refusalOf puts an error into the words that may leave the node; known is
// false for what only our log may say.
func refusalOf(err error) (r *devicev1.Refusal, kind groups.Kind, known bool) {
	if e, ok := errors.AsType[*groups.Error](err); ok && e.Kind != groups.Internal {
		return &devicev1.Refusal{Kind: e.Kind.String(), Text: groups.Words(e.Text), Epoch: uint64(e.Epoch), Seq: uint64(e.Seq)}, e.Kind, true
	}
	if e, ok := errors.AsType[*groups.RemoteError](err); ok && e.Kind != groups.Internal {
		return &devicev1.Refusal{Kind: e.Kind.String(), Text: groups.Words(e.Peer + " says: " + e.Text), Epoch: uint64(e.Epoch), Seq: uint64(e.Seq)}, e.Kind, true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &devicev1.Refusal{Kind: groups.Unavailable.String(), Text: "the call ended before its answer"}, groups.Unavailable, true
	}
	return &devicev1.Refusal{Kind: groups.Internal.String(), Text: "internal error: the node's log says more"}, groups.Internal, false
}

// connectError turns any error into a Connect error with a Refusal. What the
// protocol stack found itself keeps its code and words.
func connectError(err error) (*connect.Error, groups.Kind, bool) {
	if ce, ok := errors.AsType[*connect.Error](err); ok {
		kind := kindOfCode(ce.Code())
		if len(ce.Details()) == 0 {
			attach(ce, &devicev1.Refusal{Kind: kind.String(), Text: groups.Words(ce.Message())})
		}
		return ce, kind, true
	}
	r, kind, known := refusalOf(err)
	code := codes[kind]
	if errors.Is(err, errNoSession) {
		code = connect.CodeUnauthenticated
	}
	ce := connect.NewError(code, errors.New(r.Text))
	attach(ce, r)
	return ce, kind, known
}

func attach(ce *connect.Error, r *devicev1.Refusal) {
	d, err := connect.NewErrorDetail(r)
	if err != nil {
		panic("BUG: encode refusal: " + err.Error())
	}
	ce.AddDetail(d)
}
