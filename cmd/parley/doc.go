// Command parley is what people run: it makes a device, and reads, writes and
// keeps rooms with it.
//
//	person --flags, names--> command --> client.Device --> gateway
//	person <--table, JSON---    |            |
//	                            +--chat--> client/tui
//
// It knows how people name things, how they want answers printed, and where a
// device lives on this machine. It must not know MLS, logs or links: what a
// device does is written in client.
package main
