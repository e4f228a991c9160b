package tui

import (
	"slices"

	"parley/client"
	"parley/groups"
)

const (
	// pageMessages is how many messages are read at first, and how many more
	// when the person scrolls to the top.
	pageMessages = 100
	// maxMessages bounds what is kept of a room in memory; what is older is
	// for parley read.
	maxMessages = 5000
	// none is the selection when nothing is selected.
	none = -1
)

// A timeline is a stretch of a room's messages up to the last one, laid out
// in lines.
type timeline struct {
	messages []client.Message
	loaded   bool // something was read
	complete bool // there is nothing older
	want     int  // how many messages to read
	seen     groups.Seq

	selected int // index of a message, or none
	scroll   int // lines hidden below

	blocks [][]string // the lines of each message
	width  int        // they are laid out for; 0 if they have to be laid out again
	height int        // of the window it is seen through
	keep   anchor     // what has to stay in place when new messages are laid out
}

// A messageKey tells messages apart.
type messageKey struct {
	id  client.MessageID
	seq groups.Seq
}

func keyOf(m *client.Message) messageKey {
	if m.ID != (client.MessageID{}) {
		return messageKey{id: m.ID}
	}
	return messageKey{seq: m.Seq}
}

// find returns the index of a message, or none.
func (t *timeline) find(k messageKey) int {
	return slices.IndexFunc(t.messages, func(m client.Message) bool { return keyOf(&m) == k })
}

// byID returns a message that is loaded, or nil.
func (t *timeline) byID(id client.MessageID) *client.Message {
	if i := t.find(messageKey{id: id}); i >= 0 {
		return &t.messages[i]
	}
	return nil
}

// take replaces the messages. The selection stays on its message; a scrolled
// view is moved when the new lines are laid out.
func (t *timeline) take(messages []client.Message, want int) {
	if !t.keep.set {
		t.keep = t.anchor()
	}
	var at *messageKey
	if t.selected != none {
		k := keyOf(&t.messages[t.selected])
		at = &k
	}
	t.width = 0
	t.messages, t.loaded, t.complete = messages, true, len(messages) < want
	t.selected = none
	if at != nil {
		t.selected = t.find(*at)
	}
}

// last returns the place of the last message in the log.
func (t *timeline) last() groups.Seq {
	for _, m := range slices.Backward(t.messages) {
		if m.Seq > 0 {
			return m.Seq
		}
	}
	return 0
}

// lines counts the lines of messages from index on.
func (t *timeline) lines(from int) int {
	n := 0
	for _, b := range t.blocks[min(from, len(t.blocks)):] {
		n += len(b)
	}
	return n
}

// anchor is what stays in place when a scrolled view is laid out again: the
// message at the lower edge and how many of its lines are hidden.
type anchor struct {
	key    messageKey
	hidden int
	set    bool
}

func (t *timeline) anchor() anchor {
	if t.scroll == 0 {
		return anchor{}
	}
	below := 0
	for i, b := range slices.Backward(t.blocks) {
		if below+len(b) > t.scroll {
			return anchor{keyOf(&t.messages[i]), t.scroll - below, true}
		}
		below += len(b)
	}
	return anchor{}
}

// place takes new lines, keeps what was at the lower edge there, and holds the
// scroll to what there is. A view that is not scrolled stays at the end.
func (t *timeline) place(blocks [][]string, height int, a anchor) {
	t.blocks, t.height, t.keep = blocks, height, anchor{}
	if i := t.find(a.key); a.set && i >= 0 {
		t.scroll = t.lines(i+1) + min(a.hidden, len(blocks[i])-1)
	}
	t.scrollBy(0)
}

// scrollBy moves the view up by n lines, and says whether it is at the top.
func (t *timeline) scrollBy(n int) (top bool) {
	most := max(t.lines(0)-t.height, 0)
	t.scroll = min(max(t.scroll+n, 0), most)
	return t.scroll == most
}

// choose moves the selection by n messages that can be selected, and brings it
// into view.
func (t *timeline) choose(n int) {
	step := 1
	if n < 0 {
		step = -1
	}
	at := t.selected
	if at == none {
		at = len(t.messages)
	}
	for i := at + step; i >= 0 && i < len(t.messages); i += step {
		if t.messages[i].Change == nil {
			t.selected = i
			break
		}
	}
	if t.selected == none {
		return
	}
	below := t.lines(t.selected + 1)
	t.scroll = min(t.scroll, below)
	if top := below + len(t.blocks[t.selected]); top > t.scroll+t.height {
		t.scroll = top - t.height
	}
	t.scrollBy(0)
}

// window returns the lines that are seen and the index of the message of each;
// they are fewer than the height if there are no more.
func (t *timeline) window() (lines []string, owner []int) {
	skip := t.scroll
	for i, b := range slices.Backward(t.blocks) {
		for _, l := range slices.Backward(b) {
			if skip > 0 {
				skip--
				continue
			}
			if len(lines) == t.height {
				slices.Reverse(lines)
				slices.Reverse(owner)
				return lines, owner
			}
			lines, owner = append(lines, l), append(owner, i)
		}
	}
	slices.Reverse(lines)
	slices.Reverse(owner)
	return lines, owner
}
