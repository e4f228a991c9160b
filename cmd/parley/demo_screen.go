package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"parley/client"
	"parley/groups"
)

// A screen is a device that stays online and prints messages as they come:
// parley tail. It is safe for many goroutines.
type screen struct {
	cmd     *exec.Cmd
	problem bytes.Buffer  // standard error; read it when done is closed
	done    chan struct{} // closed when the process has ended
	err     error

	mu       sync.Mutex
	messages []messageJSON // what was printed for the first time, in that order
	moved    chan struct{} // closed and replaced when there is more
}

// watch opens a screen of a person's room.
func (p *person) watch() (*screen, error) {
	words := p.words([]string{"tail", p.room, "--json"})
	p.demo.story.ran(append([]string{"parley"}, words...)...)
	s := &screen{cmd: exec.Command(p.demo.parley, words...), done: make(chan struct{}), moved: make(chan struct{})}
	s.cmd.Dir, s.cmd.Stderr = p.demo.dir, &s.problem
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.done)
		var bad error
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var m messageJSON
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				bad = fmt.Errorf("parley tail --json printed %q: %w", lines.Text(), err)
			}
			s.add(m)
		}
		s.err = errors.Join(bad, s.cmd.Wait())
	}()
	return s, nil
}

// add notes a message.
func (s *screen) add(m messageJSON) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !m.Changed {
		s.messages = append(s.messages, m)
	}
	close(s.moved)
	s.moved = make(chan struct{})
}

// from returns the texts of a device, in the order in which they came.
func (s *screen) from(device groups.DeviceID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []string
	for _, m := range s.messages {
		if m.Device == device && m.Kind == client.KindText.String() {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// until waits until what a device has said, as it came, is good.
func (s *screen) until(ctx context.Context, device groups.DeviceID, good func(texts []string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	for {
		s.mu.Lock()
		moved := s.moved
		s.mu.Unlock()
		if good(s.from(device)) {
			return nil
		}
		select {
		case <-moved:
		case <-s.done:
			return fmt.Errorf("parley tail has ended: %w: %s", s.err, s.problem.String())
		case <-ctx.Done():
			return fmt.Errorf("%w: %d texts of %s have come", ctx.Err(), len(s.from(device)), device)
		}
	}
}

// close ends the process and waits for it.
func (s *screen) close() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-s.done:
	case <-time.After(endTime):
		err = errors.Join(errors.New("parley tail did not stop"), s.cmd.Process.Kill())
		<-s.done
	}
	return errors.Join(err, s.err)
}
