package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

// messageHelp documents messageJSON in the help of commands that print it.
const messageHelp = `A message is {"room","seq","id","device","user","epoch","time","kind","text","target",
"state","edited","deleted","reactions":[{"user","emoji"}],"file":{"name","type","size",
"sha256"},"change":{"epoch","added","removed","policy"},"problem"}; what does not apply
is left out. seq is 0 until there is a receipt. kind is text, reply, edit, delete, reaction,
unreaction, file or change; state is queued, sent, accepted, failed or received.`

// A messageJSON is a message as --json prints it.
type messageJSON struct {
	Room      groups.RoomID   `json:"room"`
	Seq       groups.Seq      `json:"seq"`
	ID        string          `json:"id,omitempty"`
	Device    groups.DeviceID `json:"device,omitempty"`
	User      groups.UserID   `json:"user,omitempty"`
	Epoch     groups.Epoch    `json:"epoch"`
	Time      time.Time       `json:"time"`
	Kind      string          `json:"kind"`
	Text      string          `json:"text,omitempty"`
	Target    string          `json:"target,omitempty"`
	State     string          `json:"state"`
	Edited    bool            `json:"edited,omitempty"`
	Deleted   bool            `json:"deleted,omitempty"`
	Reactions []reactionJSON  `json:"reactions,omitempty"`
	File      *fileJSON       `json:"file,omitempty"`
	Change    *changeJSON     `json:"change,omitempty"`
	Problem   string          `json:"problem,omitempty"`
	Changed   bool            `json:"changed,omitempty"` // tail: it was printed before
}

type reactionJSON struct {
	User  groups.UserID `json:"user"`
	Emoji string        `json:"emoji"`
}

type fileJSON struct {
	Name   string `json:"name"`
	Type   string `json:"type,omitempty"`
	Size   uint64 `json:"size"`
	SHA256 string `json:"sha256"`
}

type changeJSON struct {
	Epoch   groups.Epoch      `json:"epoch"`
	Added   []groups.DeviceID `json:"added,omitempty"`
	Removed []groups.DeviceID `json:"removed,omitempty"`
	Policy  bool              `json:"policy,omitempty"`
}

// toJSON is a message as --json prints it.
func toJSON(m *client.Message) messageJSON {
	out := messageJSON{
		Room: m.Room, Seq: max(m.Seq, m.Receipt), Device: m.Device, Epoch: m.Epoch, Time: m.Time.UTC(), Text: m.Content.Text,
		State: m.State.String(), Edited: m.Edited, Deleted: m.Deleted, Problem: m.Problem,
	}
	if m.Device != "" {
		out.User = m.Device.User()
	}
	if m.ID != (client.MessageID{}) {
		out.ID = m.ID.String()
	}
	if m.Content.Target != (client.MessageID{}) {
		out.Target = m.Content.Target.String()
	}
	if m.Content.Kind != 0 {
		out.Kind = m.Content.Kind.String()
	}
	for _, r := range m.Reactions {
		out.Reactions = append(out.Reactions, reactionJSON{r.User, r.Emoji})
	}
	if f := m.Content.File; f != nil {
		out.File = &fileJSON{f.Name, f.Type, f.Size, hex.EncodeToString(f.SHA256[:])}
	}
	if c := m.Change; c != nil {
		out.Kind, out.Change = "change", &changeJSON{c.Epoch, c.Added, c.Removed, c.Policy}
	}
	return out
}

// line writes a message for a person: time, id, author and what was said, the
// lines after the first indented.
func (s *session) line(m *client.Message) string {
	if m.Change != nil {
		return fmt.Sprintf("%s  %s\n", faint(clock(m.Time)), faint("-- "+s.names.What(m.Device, m.Change)))
	}
	head := fmt.Sprintf("%s  %s  %s  ", faint(clock(m.Time)), faint(shortID(m.ID)), bold(s.names.Device(m.Device)))
	return head + strings.ReplaceAll(said(m), "\n", "\n    ") + reactions(m) + outcome(m) + "\n"
}

// said writes what a message says.
func said(m *client.Message) string {
	c, text := &m.Content, tui.Printable(m.Content.Text)
	switch {
	case m.Deleted:
		return faint("(deleted)")
	case c.Kind == 0:
		return bad("(" + tui.PrintableLine(m.Problem) + ")")
	case c.Kind == client.KindReply:
		text = faint("> "+shortID(c.Target)) + " " + text
	case c.Kind == client.KindEdit:
		text = faint("edit "+shortID(c.Target)+":") + " " + text
	case c.Kind == client.KindDelete:
		text = faint("delete " + shortID(c.Target))
	case c.Kind == client.KindReaction, c.Kind == client.KindUnreact:
		text = faint(c.Kind.String()+" on "+shortID(c.Target)+":") + " " + text
	case c.File != nil:
		text = strings.TrimSpace(fmt.Sprintf("[%s, %s] %s", tui.PrintableLine(c.File.Name), tui.Size(c.File.Size), text))
	}
	if m.Edited {
		text += faint(" (edited)")
	}
	return text
}

// reactions writes the emoji on a message, each with how many put it there.
func reactions(m *client.Message) string {
	var out strings.Builder
	for _, t := range tui.Tally(m.Reactions) {
		out.WriteString("  " + tui.PrintableLine(t.Emoji))
		if t.Count > 1 {
			fmt.Fprintf(&out, " %d", t.Count)
		}
	}
	return out.String()
}

// outcome writes how far a message of our own has come, if that is not yet
// all the way.
func outcome(m *client.Message) string {
	switch m.State {
	case client.Queued, client.Sent:
		return "  " + warn("("+m.State.String()+")")
	case client.Failed:
		return "  " + bad("(failed: "+tui.PrintableLine(m.Problem)+")")
	}
	return ""
}

// shortID is enough of an id to name a message in its room.
func shortID(id client.MessageID) string { return id.String()[:8] }
