package tui

import (
	"context"
	"slices"
	"time"

	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/groups"
)

// A Model is what the screen shows. It belongs to the one goroutine that calls
// Update and View.
type Model struct {
	ctx   context.Context // of acts; ends with the program
	cfg   Config
	names Home
	now   time.Time // as the last tick said

	width, height int
	focus         pane
	away          bool // the terminal has lost the focus
	help          bool
	showMembers   bool

	rooms   []client.RoomInfo
	room    groups.RoomID // the one shown; empty if there is none
	line    timeline
	members []client.Member
	wishes  []client.Wish
	marked  map[groups.RoomID]groups.Seq // what MarkRead was asked for

	input  textarea.Model
	about  *about // what the composer's text is about; nil if it is new
	drafts map[groups.RoomID]draft
	outbox []send // acts that must keep their order; the first is under way

	connection client.Connection
	lost       error // why the connection was lost
	down       error // why the device has given up
	notice     notice
	loads      loads
}

// A pane is a part of the screen that keys go to.
type pane int

const (
	paneComposer pane = iota
	paneRooms
	paneTimeline
	panes
)

// An about is the message that the composer's text answers or replaces.
type about struct {
	message client.Message
	edit    bool // it is replaced
}

// A draft is what was typed in a room that is not shown.
type draft struct {
	text  string
	about *about
}

// A notice is one line about the last act.
type notice struct {
	text string
	bad  bool
}

// New makes the screen; acts end with ctx.
func New(ctx context.Context, cfg Config) *Model {
	cfg = cfg.complete()
	return &Model{
		ctx: ctx, cfg: cfg, names: Home(cfg.Device.ID().Site()), now: cfg.Now(),
		width: 80, height: 24,
		room: cfg.Room, line: timeline{want: pageMessages, selected: none},
		marked: make(map[groups.RoomID]groups.Seq), drafts: make(map[groups.RoomID]draft),
		input: newInput(), connection: cfg.Device.Connection(),
	}
}

// Init begins to listen and to read.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.listen(), m.tick(), m.load(loadRooms), m.input.Focus()}
	if m.cfg.Down != nil {
		cmds = append(cmds, func() tea.Msg { return downMsg{m.cfg.Down(m.ctx)} })
	}
	return tea.Batch(cmds...)
}

// Update takes one message.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.FocusMsg:
		m.away = false
		cmd = m.markRead()
	case tea.BlurMsg:
		m.away = true
	case tea.KeyPressMsg:
		cmd = m.key(msg)
	case tickMsg:
		m.now = time.Time(msg)
		cmd = m.tick()
	case eventsMsg:
		cmd = tea.Batch(m.events(msg), m.listen())
	case roomsMsg:
		cmd = m.takeRooms(msg)
	case historyMsg:
		cmd = m.takeHistory(msg)
	case membersMsg:
		cmd = m.takeMembers(msg)
	case doneMsg:
		cmd = m.done(msg)
	case sentMsg:
		cmd = m.sent(msg)
	case downMsg:
		if msg.err != nil {
			m.down = msg.err
		}
	default:
		m.input, cmd = m.input.Update(msg)
	}
	m.layout()
	return m, cmd
}

// info returns what is known of the room shown, or nil.
func (m *Model) info() *client.RoomInfo {
	if i := m.index(m.room); i >= 0 {
		return &m.rooms[i]
	}
	return nil
}

func (m *Model) index(room groups.RoomID) int {
	return slices.IndexFunc(m.rooms, func(r client.RoomInfo) bool { return r.Room == room })
}

// show shows another room.
func (m *Model) show(room groups.RoomID) tea.Cmd {
	if room == m.room {
		return nil
	}
	m.drafts[m.room] = draft{m.input.Value(), m.about}
	d := m.drafts[room]
	delete(m.drafts, room)
	m.input.SetValue(d.text)
	m.about, m.room, m.members, m.wishes, m.notice = d.about, room, nil, nil, notice{}
	m.line = timeline{want: pageMessages, selected: none}
	m.loads.forget(loadHistory | loadMembers)
	return m.load(loadAll)
}

// tell shows a notice.
func (m *Model) tell(text string) { m.notice = notice{text: text} }

// fail shows what went wrong.
func (m *Model) fail(text string) { m.notice = notice{m.names.Plain(text), true} }

// words is an error without its kind, if it is one of ours: the kind is for
// programs.
func words(err error) string {
	if e, ours := err.(*groups.Error); ours {
		return e.Text
	}
	return err.Error()
}
