package groups

import (
	"errors"
	"fmt"
	"strings"
)

// A Kind is why something was refused: the closed list that crosses machines.
// New kinds are appended, none is renumbered.
type Kind uint8

// The kinds of refusal.
const (
	Internal       Kind = iota // our fault; details are in our log
	Invalid                    // malformed or breaks a rule; do not send it again
	Denied                     // not allowed to the asker
	NotFound                   // unknown room, device, blob
	Conflict                   // exists, or something else took its place
	StaleEpoch                 // another commit won; rebase on the epoch given
	KeyStale                   // the room's key is too old or worn; make a new one
	TooLarge                   // over a limit of protocol.md, section 9
	Busy                       // over a rate or a queue bound; try later
	NoSpace                    // disk below its low-water mark
	Unavailable                // not reachable now; try later
	CoIRevoked                 // the certificate that a key would be wrapped to is revoked
	CoIUnavailable             // whether it is good can not be found out now; try later
)

var kindNames = [...]string{
	"internal", "invalid", "denied", "not_found", "conflict", "stale_epoch",
	"key_stale", "too_large", "busy", "no_space", "unavailable",
	"coi_revoked", "coi_unavailable",
}

// String returns the kind's name on the wire and in logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Internal]
}

// ParseKind returns the kind named s; an unknown name is Internal.
func ParseKind(s string) Kind {
	for k, name := range kindNames {
		if name == s {
			return Kind(k)
		}
	}
	return Internal
}

// Temporary says whether the same request may succeed later.
func (k Kind) Temporary() bool {
	return k == Busy || k == NoSpace || k == Unavailable || k == CoIUnavailable
}

// An Error is what we refuse and why, in words for a person. For StaleEpoch it
// carries where the room is, so that the sender can rebase.
type Error struct {
	Kind  Kind
	Text  string
	Epoch Epoch // current epoch, for StaleEpoch
	Seq   Seq   // the room's last sequence number, for StaleEpoch
	Err   error // what was found wrong, if another package found it
}

// Errorf makes an Error; %w keeps its cause.
func Errorf(k Kind, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Kind: k, Text: wrapped.Error(), Err: errors.Unwrap(wrapped)}
}

// Error returns the kind and the words.
func (e *Error) Error() string { return e.Kind.String() + ": " + e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, &Error{Kind: k}) ask for the kind alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Text == ""
}

// KindOf returns the kind of the first Error in err's chain, else Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// A RemoteError is a refusal that a peer told us, kept apart from what we
// found ourselves: its words are the peer's.
type RemoteError struct {
	Peer  string // who said it
	Kind  Kind
	Text  string
	Epoch Epoch
	Seq   Seq
}

// Error returns the peer, the kind and the peer's words.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("%s says %s: %s", e.Peer, e.Kind, e.Text)
}

// Words makes text fit to travel as the words of a refusal: at most MaxRefusal bytes
// of UTF-8. What is cut off, or is no UTF-8, may have come from anybody.
func Words(text string) string {
	if len(text) > MaxRefusal {
		text = text[:MaxRefusal]
	}
	return strings.ToValidUTF8(text, "")
}
