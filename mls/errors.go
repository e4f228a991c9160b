package mls

import "errors"

// What can be wrong with a message or a call. Every error of this package
// wraps one of these, or one of mls/wire, mls/suite or mls/tree. On any error
// the Group is what it was.
var (
	// ErrInvalid says that a message breaks a rule of RFC 9420.
	ErrInvalid = errors.New("invalid message")
	// ErrNotMember says that a leaf is blank or not in the tree.
	ErrNotMember = errors.New("not a member")
	// ErrUnsupported says that a message needs a part of RFC 9420 that is not
	// built here: pre-shared keys, external joins, reinitialization.
	ErrUnsupported = errors.New("not supported")
	// ErrNotForUs says that a Welcome does not name our key package.
	ErrNotForUs = errors.New("welcome is not for this key package")
	// ErrOwnMessage says that a message is one this member has sent: its key is
	// gone, and what it said is known already.
	ErrOwnMessage = errors.New("message is our own")
	// ErrReplay says that a message's key has been used, or is no longer kept.
	ErrReplay = errors.New("message key already used or forgotten")
	// ErrRecord says that stored records are not what this package wrote.
	ErrRecord = errors.New("stored records do not fit")
	// ErrGeneration says that a message is further ahead than MaxForward.
	ErrGeneration = errors.New("message generation out of bounds")
)
