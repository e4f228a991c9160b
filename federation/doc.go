// Package federation is a node's face to other nodes: those of other sites and
// the siblings of its own.
//
//	           submissions            entries                  +--------+
//	gateway --Relay--> link ====== lanes 0 1 2, datagrams ==== | a node |
//	                    |                                      +--------+
//	store  <-Replicate- follower <--entries-- link
//	store  --Read-----> server   --entries--> link  <--acks--
//
// Two nodes have one link: a QUIC connection under mutual TLS on which three
// streams live as long as it does. Whoever holds a room's log serves it to who
// may follow it, from a cursor; a follower checks every entry by giving it to
// its store, and acknowledges what is durable. A submission is relayed to the
// node that orders its room. Gossip finds siblings and decides nothing.
//
// It knows peers, links, lanes, cursors and request numbers. It must not know
// what a body says, how a log is stored, or what a device is told; it never
// imports mls, storage or gateway.
package federation
