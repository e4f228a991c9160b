package federation

import (
	"time"

	"parley/groups"
)

// ALPN names the protocol of a link (protocol.md, section 6).
const ALPN = "parley/1"

// The limits of a link. protocol.md, section 9, has the ones that both ends
// agree on; these follow from them.
const (
	handshakeTime = 10 * time.Second // then a dial or an incoming connection is given up
	idleTime      = 60 * time.Second // then a silent link is dead
	keepAlive     = 20 * time.Second
	maxLife       = 24 * time.Hour // then a link is closed and dialled again, or with its certificate
	youngLink     = 15 * time.Second
	maxHalfOpen   = 32 // connections of one site that have not said hello: more are closed as busy
	maxSiteLinks  = 64 // nodes of another site that may be linked: more are closed as busy

	maxChain      = 3        // certificates a peer may show
	maxChainBytes = 12 << 10 // and their size
	maxStreams    = 256      // a peer may have open
	quietRefusals = 10       // log lines about refused nodes in a row, then one a second
	quietFaults   = 100      // log lines about what a peer sends on one link, then one a second
	quietDials    = 200      // handshakes a second, above which addresses are validated

	// Windows: three lanes and the blob streams together fit the connection's,
	// so that no lane takes another's credit.
	streamWindow    = 512 << 10
	maxStreamWindow = 2 << 20
	connWindow      = 2 << 20
	maxConnWindow   = 16 << 20

	firstBuffer   = 4 << 10   // what an unread length buys
	idleBuffer    = 512 << 10 // a reader's buffer above this is given back between frames
	writePiece    = 64 << 10  // a peer that takes this much within writeTime is slow, not gone
	coalesce      = 256 << 10 // what waits for a lane goes out in frames of about this
	waitOutbox    = 1 << 20   // bytes waiting for a lane: then the server waits
	maxOutbox     = 4 << 20   // then relays are Busy
	hardOutbox    = 64 << 20  // of small control pieces: then the peer is not reading and is cut off
	writeTime     = 60 * time.Second
	maxParts      = 1 << 16 // of a frame: more than acks of coalesce
	maxPiece      = 1 << 13 // entries sent together: more than any of pageBytes
	maxRooms      = 1 << 17 // a peer may offer or follow: more offers are ignored, and counted
	minQueue      = 64      // subscriptions in the server's queue before it is looked through
	pageBytes     = 256 << 10
	windowBytes   = 8 << 20 // sent and not acknowledged, of one room
	windowLink    = 32 << 20
	maxJoin       = 2*windowBytes + 2*groups.MaxFrame // entries that wait for others, of one room
	maxWaiting    = 2*windowLink + groups.MaxFrame    // entries of one link that are not stored: then the peer ignores acks
	batchEntries  = 1024
	batchBytes    = 2 << 20
	maxInFlight   = 16 << 10 // submissions a link has not answered: then Busy
	inFlightBytes = 16 << 20
	relayTime     = 30 * time.Second // then a relayed submission is Unavailable
	maxHops       = 2                // links a submission travels

	callTime      = 5 * time.Second
	maxCalls      = 64      // a peer may have running: then Busy
	maxUsers      = 256     // of one claim
	maxClaimBytes = 2 << 20 // of the key packages in one answer
	claimBurst    = 30      // claims of one user by one site, then one in claimEvery
	claimEvery    = 30 * time.Second
	maxClaimants  = 1 << 16 // site and user pairs remembered; then the memory starts anew

	blobWorkers  = 4       // fetches from one site at a time
	maxBlobServe = 16      // streams of one peer that are served at once: then refused as Busy
	maxBlobQueue = 1 << 16 // blobs wanted: more are dropped, and counted
	maxBlobTries = 40      // answers without the blob, then it is given up; unreachable peers do not count
	blobTime     = 30 * time.Second

	signalRate  = 2000 // a second from one peer; more are dropped
	signalBurst = 4000

	stallTime  = 30 * time.Second // entries that wait for others this long are asked for again
	tickTime   = 5 * time.Second
	firstRetry = 250 * time.Millisecond
	lastRetry  = time.Minute
)
