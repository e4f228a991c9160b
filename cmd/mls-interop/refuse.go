package main

import (
	"errors"

	"connectrpc.com/connect"
)

// What can be wrong with a call beside what package mls says of it.
var (
	errUnknown = errors.New("no such id")
	errFull    = errors.New("too many are held")
	errOrder   = errors.New("not now")
	errRequest = errors.New("malformed request")
)

// code is how an error of the service is classed for gRPC.
func code(err error) connect.Code {
	switch {
	case errors.Is(err, errUnknown):
		return connect.CodeNotFound
	case errors.Is(err, errFull):
		return connect.CodeResourceExhausted
	case errors.Is(err, errOrder):
		return connect.CodeFailedPrecondition
	}
	return connect.CodeInvalidArgument
}
