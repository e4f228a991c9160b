// Package tree holds the public side of an MLS group: its ratchet tree, and
// what can be known of the group without any of its secrets.
//
//	Tree --Edit--> draft --Tree--> next Tree        a value; the old one stays
//	State --Stage(proposals)--> Staged --Path--> next State
//	Observer --Handle(handshake)--> next Observer, Change
//
// A Tree is immutable. Its nodes carry their tree hash and are shared between
// the trees of successive epochs, so that a commit costs what it changes: the
// paths it touches, not the members there are.
//
// It knows Sections 7, 12 and Appendix C of RFC 9420, and every rule by which a
// commit is invalid that can be checked from the outside. It must not know
// private keys, secrets of an epoch, policy, or who may do what.
package tree
