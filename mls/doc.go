// Package mls is the private side of RFC 9420: what a member of a group does
// with its secrets. A Group is one epoch; a commit gives the next.
//
//	          Seal, Open               Seal, Open
//	Create      | |                      | |
//	   |      +-------+  Commit, Handle +-------+
//	   +----> | Group | --------------> | Group | ---> ...
//	   |      +-------+     (next)      +-------+
//	 Join         |                         |
//	JoinExternal  TakeChanges -> records -> Load
//
// It knows the key schedule, the secret tree, the private keys of a member's
// path, and which messages are valid. It must not know rooms, sites, networks,
// files, clocks or people: time is given to it, records are taken from it, and
// what a credential means is asked of the application.
package mls
