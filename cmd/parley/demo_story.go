package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// A story is what the demonstration prints: chapters of steps, each with a
// tick when it was verified, how long it took, and the commands that a person
// would have typed.
type story struct {
	*app
	start    time.Time
	steps    int
	commands []string // of the step that is under way
}

func newStory(a *app) *story { return &story{app: a, start: time.Now()} }

// stepWidth is where the times stand.
const stepWidth = 76

// chapter begins a chapter.
func (s *story) chapter(title string) error { return s.print("\n%s\n", bold(title)) }

// ran notes a command, to be shown with the step.
func (s *story) ran(words ...string) {
	for i, w := range words {
		if strings.ContainsAny(w, " \t\"'$*") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	s.commands = append(s.commands, strings.Join(words, " "))
}

// A act does one step and verifies it. It returns what there is to say about
// it.
type act func(context.Context) (string, error)

// step runs one step and prints what became of it.
func (s *story) step(ctx context.Context, title string, do act) error {
	if isTerminal(s.out) {
		if err := s.print("  %s %s", faint("·"), title); err != nil {
			return err
		}
	}
	s.commands = nil
	began := time.Now()
	detail, err := do(ctx)
	took := fmt.Sprintf("%6.2f s", time.Since(began).Seconds())
	mark := good("✓")
	if err != nil {
		mark = bad("✗")
	}
	if isTerminal(s.out) {
		if err := s.print("\r\x1b[K"); err != nil {
			return err
		}
	}
	pad := strings.Repeat(" ", max(1, stepWidth-lipgloss.Width(title)))
	if err := s.print("  %s %s%s%s\n", mark, title, pad, faint(took)); err != nil {
		return err
	}
	for _, c := range s.commands {
		if err := s.print("    %s\n", faint("$ "+c)); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	s.steps++
	if detail == "" {
		return nil
	}
	return s.print("    %s\n", strings.ReplaceAll(detail, "\n", "\n    "))
}

// end says that all is well.
func (s *story) end() error {
	return s.print("\n%s\n", good(fmt.Sprintf("All %d steps were verified, in %.1f s.", s.steps, time.Since(s.start).Seconds())))
}
