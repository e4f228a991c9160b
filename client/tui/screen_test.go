package tui

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"parley/client"
	"parley/groups"
)

// A screen plays the terminal: it gives keys and events to a Model, does what
// its commands say, at once, and reads the View.
type screen struct {
	t    *testing.T
	m    *Model
	d    *fake
	quit bool
}

// noon is when all tests happen.
var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

func newScreen(t *testing.T, d *fake, width, height int) *screen {
	events := make(chan client.Event)
	close(events)
	s := &screen{t: t, d: d}
	s.m = New(t.Context(), Config{
		Device: d, Events: events, Now: func() time.Time { return noon }, Zone: time.UTC,
		Attach: func(room groups.RoomID, path, caption string) error {
			return d.did("attach %s %s %q", room.Name(), path, caption)
		},
		Save: func(_ context.Context, m *client.Message, path string) (string, error) {
			return "saved-here", d.did("save %s %q", m.Content.File.Name, path)
		},
	})
	s.do(s.m.input.Focus())
	s.send(tea.WindowSizeMsg{Width: width, Height: height})
	s.do(s.m.load(loadRooms))
	return s
}

// send gives a message to the model and does what follows.
func (s *screen) send(msg tea.Msg) {
	s.t.Helper()
	_, cmd := s.m.Update(msg)
	s.do(cmd)
}

// do carries out a command and what follows from it.
func (s *screen) do(cmd tea.Cmd) {
	s.t.Helper()
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			s.do(c)
		}
	case tea.QuitMsg:
		s.quit = true
	default:
		s.send(msg)
	}
}

// event tells the model what has happened to the device.
func (s *screen) event(events ...client.Event) {
	s.t.Helper()
	s.do(s.m.events(events))
	s.m.layout()
}

// press presses keys by name, or types text.
func (s *screen) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		code, known := map[string]rune{
			"enter": tea.KeyEnter, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "esc": tea.KeyEscape,
			"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd,
		}[k]
		switch {
		case known:
			s.send(tea.KeyPressMsg{Code: code})
		case k == "shift+tab":
			s.send(tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift})
		case k == "alt+enter":
			s.send(tea.KeyPressMsg{Code: tea.KeyEnter, Mod: tea.ModAlt})
		case strings.HasPrefix(k, "ctrl+"):
			s.send(tea.KeyPressMsg{Code: rune(k[5]), Mod: tea.ModCtrl})
		default:
			for _, r := range k {
				s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
		}
	}
}

// colours is what styles write: nothing else may write escapes.
var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// rows returns what is on the screen, without colours. It fails unless every
// row is as wide as the screen, there are as many as it has, and nothing could
// steer the terminal.
func (s *screen) rows() []string {
	s.t.Helper()
	rows := strings.Split(colours.ReplaceAllString(s.m.View().Content, ""), "\n")
	if small := s.m.width < minWidth || s.m.height < minHeight; !small && len(rows) != s.m.height {
		s.t.Errorf("%d rows on a screen of %d", len(rows), s.m.height)
	}
	for i, r := range rows {
		if w := lipgloss.Width(r); w > s.m.width {
			s.t.Errorf("row %d is %d wide on a screen of %d: %q", i, w, s.m.width, r)
		}
		if j := strings.IndexFunc(r, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }); j >= 0 {
			s.t.Errorf("row %d holds a control character: %q", i, r)
		}
	}
	return rows
}

// golden compares the screen with testdata; UPDATE_GOLDEN=1 writes it.
func (s *screen) golden(name string) {
	s.t.Helper()
	rows := s.rows()
	for i := range rows {
		rows[i] = strings.TrimRight(rows[i], " ")
	}
	have := strings.Join(rows, "\n") + "\n"
	if c := s.m.View().Cursor; c != nil {
		have += fmt.Sprintf("cursor %d,%d\n", c.X, c.Y)
	}
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(have), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if have != string(want) {
		s.t.Errorf("%s is\n%s\nwant\n%s", name, have, want)
	}
}

// shows fails unless the screen holds a text.
func (s *screen) shows(text string) {
	s.t.Helper()
	if rows := s.rows(); !slices.ContainsFunc(rows, func(r string) bool { return strings.Contains(r, text) }) {
		s.t.Errorf("the screen does not show %q:\n%s", text, strings.Join(rows, "\n"))
	}
}

// hides fails if the screen holds a text.
func (s *screen) hides(text string) {
	s.t.Helper()
	if rows := s.rows(); slices.ContainsFunc(rows, func(r string) bool { return strings.Contains(r, text) }) {
		s.t.Errorf("the screen shows %q:\n%s", text, strings.Join(rows, "\n"))
	}
}
