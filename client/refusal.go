package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// kindOf returns the kind of a refusal, whoever found it.
func kindOf(err error) groups.Kind {
	if e, ok := errors.AsType[*groups.RemoteError](err); ok {
		return e.Kind
	}
	return groups.KindOf(err)
}

// remoteError turns what Connect reports into our kinds of error: what the peer
// has said, that it is somebody else, or that it can not be reached.
func remoteError(peer string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if u, ok := errors.AsType[*untrustedError](err); ok {
		return groups.Errorf(groups.Denied, "%s is not trusted: %w", peer, u)
	}
	ce, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return unreachable(peer, err)
	}
	for _, detail := range ce.Details() {
		if value, err := detail.Value(); err == nil {
			if r, ok := value.(*devicev1.Refusal); ok {
				return refusalError(peer, r)
			}
		}
	}
	kind := kindOfCode(ce.Code())
	if kind == groups.Unavailable && !connect.IsWireError(ce) {
		return unreachable(peer, err)
	}
	return &groups.RemoteError{Peer: peer, Kind: kind, Text: ce.Message()}
}

// unreachable says that nobody answers for a peer, and why without how Go came to
// know it: connection refused.
func unreachable(peer string, err error) error {
	why := err.Error()
	if ce, ok := errors.AsType[*connect.Error](err); ok {
		why = ce.Message()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		why = op.Err.Error()
		if call, ok := errors.AsType[*os.SyscallError](op.Err); ok {
			why = call.Err.Error()
		}
	}
	return &groups.Error{Kind: groups.Unavailable, Text: peer + " is not reachable: " + why, Err: err}
}

// refusalError is a Refusal as an error.
func refusalError(peer string, r *devicev1.Refusal) *groups.RemoteError {
	return &groups.RemoteError{
		Peer: peer, Kind: groups.ParseKind(r.GetKind()), Text: r.GetText(),
		Epoch: groups.Epoch(r.GetEpoch()), Seq: groups.Seq(r.GetSeq()),
	}
}

// kindOfCode is for answers without a Refusal: from proxies, or from the
// transport.
func kindOfCode(c connect.Code) groups.Kind {
	switch c {
	case connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodeFailedPrecondition:
		return groups.Invalid
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return groups.Denied
	case connect.CodeNotFound, connect.CodeUnimplemented:
		return groups.NotFound
	case connect.CodeAlreadyExists, connect.CodeAborted:
		return groups.Conflict
	case connect.CodeResourceExhausted:
		return groups.Busy
	case connect.CodeInternal, connect.CodeDataLoss:
		return groups.Internal
	}
	return groups.Unavailable
}

// unauthenticated marks the end of a session: logging in again helps.
var errSession = errors.New("the session has ended")

// offlineError says that an act needs a gateway.
func offlineError(act string) error {
	return groups.Errorf(groups.Unavailable, "%s: this device is offline", act)
}

// quoted names a room for a person.
func notIn(room groups.RoomID) error {
	return groups.Errorf(groups.NotFound, "this device is not in %s", room)
}

// closedError says that a room is over for this device.
func closedError(room groups.RoomID, why string) *groups.Error {
	if why == "" {
		why = "this device was removed"
	}
	return groups.Errorf(groups.Denied, "%s is closed here: %s", room, why)
}

// wrongArgument is for callers.
func wrongArgument(format string, args ...any) error {
	return groups.Errorf(groups.Invalid, "%w", fmt.Errorf(format, args...))
}

// textOf returns the words of a refusal without its kind.
func textOf(err error) string {
	if e, ok := errors.AsType[*groups.Error](err); ok {
		return e.Text
	}
	return err.Error()
}

// readingError says that only members do that.
func readingError(room groups.RoomID) *groups.Error {
	return groups.Errorf(groups.Denied, "this device reads %s without being a member of it", room)
}
