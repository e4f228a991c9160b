// Package client is a device without a screen: the keys of one device, its
// rooms, its outbox and its history.
//
//	person                                                gateway
//	  |  Send, Add, Leave        +--------+   Submit         |
//	  +------------------------> | Device | ---------------> |
//	  |  Subscribe, History      |        | <--------------- |
//	  | <----------------------- +--------+   Tail           |
//	                              |  Store |
//	                              +--------+
//
// A Device works in two halves that meet in its Store. What a person asks for
// is written down first and is done when there is a gateway: a message lies
// sealed in the outbox before it leaves (I7), a person to be added is a wish
// until it is fulfilled. What the room's log says is applied entry by entry,
// each in one transaction with the cursor, the ratchets and the plaintext (I6).
// So a Device may be killed at any instant and goes on where it was.
//
// Open gives a Device that is offline: it reads, and it queues. Run takes it
// online until its context ends:
//
//	home, err := store.Open(store.Config{Dir: dir})
//	d, err := client.Open(client.Config{Store: home})
//	go d.Run(ctx)
//	err = d.CaughtUp(ctx)
//	m, err := d.Send(room, client.Text("hello"))
//
// It knows MLS, the rules of rooms, the log's chain and what messages say. It
// must not know screens, commands, files or databases: it has a Store and a
// Link for that. It must never show a message that it could not verify.
package client
