package mls

import "errors"

// What can be wrong with a message or a call. Every error of this package
// wraps one of these, or one of mls/wire, mls/suite or mls/tree. On any error
// the Group is what it was.
var (
	// ErrReplay says that a message's key has been used, or is no longer kept.
	ErrReplay = errors.New("message key already used or forgotten")
	// ErrGeneration says that a message is further ahead than MaxForward.
	ErrGeneration = errors.New("message generation out of bounds")
)
