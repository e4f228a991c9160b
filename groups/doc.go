// Package groups holds the nouns of a room and the rules of what may come next
// in its log.
//
//	Submission --Ledger.Accept--> Entry, next Ledger     (hub)
//	Entry      --Ledger.Verify--> next Ledger            (follower, device, repair)
//
// It knows names, entries, the hash chain, heads, receipts, policy and the
// public state of a room's group. It must not know how an entry is stored or
// sent, nor any key that opens a message.
package groups
