// Command parleyd is a gateway node: config, wiring, signals.
//
//	devices --gateway--> storage <--federation-- other nodes
//
// It knows which parts a node has and how they meet; what they do is written in
// their packages. It must never hold a key that opens a message (I1): it does
// not import mls or coi/wrap.
package main
