// Package tui is the screen of a device: rooms, what is said in one of them,
// and a place to write.
//
//	+-----------+--------------------------------------+----------+
//	| rooms     | # ops  suite, epoch, age, code       | members  |
//	|           +--------------------------------------+          |
//	|           | timeline                             |          |
//	|           +--------------------------------------+          |
//	|           | composer                             |          |
//	+-----------+--------------------------------------+----------+
//	              keys in -> Model -> View out; what takes time is a tea.Cmd
//
// The Model changes by messages alone, so a test can play a terminal: it sends
// what a person and a device would send, and reads the View. Nothing in Update
// or View touches a disk, the network or the clock.
//
// It knows what a device can do, and how to show what strangers have written
// without letting them write to the terminal. It must not know keys, links or
// where things are stored, and never decides what is true: it shows what the
// client has verified.
package tui
