package coi

import (
	"errors"
	"fmt"
)

// A Reason is why a certificate, a chain, a name or a signature was refused.
type Reason uint8

// The reasons of refusal.
const (
	Malformed    Reason = iota + 1 // not what it should be at all
	TooLarge                       // over MaxChain, MaxChainBytes or another limit
	BadName                        // no URI, several, or not of the required form
	UnknownSite                    // the name's site is not trusted here
	WrongPurpose                   // sound, but not for this use
	Untrusted                      // no path to a CA of the name's own site
	NotYetValid                    // starts in the future, by more than Skew
	Expired                        // it, or a CA above it, has ended
	WrongKey                       // a kind of key that is not accepted
	BadSignature                   // the signature is not by this key over this
	Stale                          // a status that is no longer, or not yet, true
	Mismatch                       // an answer to another question
	Unanswered                     // the responder says that it can not answer
)

var reasonNames = [...]string{
	"", "malformed", "too large", "bad name", "unknown site", "wrong purpose",
	"untrusted", "not yet valid", "expired", "wrong key", "bad signature",
	"stale", "mismatch", "unanswered",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// An Error is a refusal: its reason, for a program, and words for a person. What
// a function of this package finds wrong with what it was given is an *Error;
// any other error is that of a signer, or of making a key.
type Error struct {
	Reason Reason
	Text   string
	Err    error // what another package found, may be nil
}

// Error returns the reason and the words.
func (e *Error) Error() string { return e.Reason.String() + ": " + e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, &Error{Reason: r}) ask for the reason alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason && t.Text == ""
}

// ReasonOf returns the reason of the first Error in err's chain, 0 if there is
// none.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return 0
}

// refuse makes an Error; %w keeps its cause.
func refuse(r Reason, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Reason: r, Text: wrapped.Error(), Err: errors.Unwrap(wrapped)}
}
