package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startTime bounds how long a service may take until it is ready.
	startTime = 20 * time.Second
	// endTime bounds an orderly end; after it a service is killed.
	endTime = 20 * time.Second
	// logTail is how much of a service's log is shown when it has failed.
	logTail = 2 << 10
)

// withAudience returns a context that ends also when the terminal is closed, or
// when nobody reads the output any more: who has started processes has to end
// them then, and must not die of the signal.
func withAudience(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGPIPE)
}

// A service is a program of ours that runs beside this one, with a log file.
type service struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; read it when done is closed
}

// startService starts a program in a folder. It runs until stop or kill, one of
// which the caller has to call.
func startService(dir, name string, args ...string) (*service, error) {
	s := &service{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, log, log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(s.done)
		s.err = s.cmd.Wait()
	}()
	return s, nil
}

// pid returns the process's id.
func (s *service) pid() int { return s.cmd.Process.Pid }

// stop asks the process to end, and waits until it has; if it takes too long it
// is killed.
func (s *service) stop() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, s.kill())
	}
	select {
	case <-s.done:
		if s.err != nil {
			return fmt.Errorf("%s: %w%s", s.name, s.err, s.lastWords())
		}
		return nil
	case <-time.After(endTime):
		return errors.Join(fmt.Errorf("%s did not stop within %v", s.name, endTime), s.kill())
	}
}

// kill ends the process at once (SIGKILL), and waits until it is gone.
func (s *service) kill() error {
	err := s.cmd.Process.Kill()
	<-s.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// until waits until ready says so, for at most startTime, as long as the
// process runs.
func (s *service) until(ctx context.Context, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready(ctx) {
		select {
		case <-tick.C:
		case <-s.done:
			return fmt.Errorf("%s has ended: %w%s", s.name, cmp.Or(s.err, errors.New("exit status 0")), s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w%s", s.name, ctx.Err(), s.lastWords())
		}
	}
	return nil
}

// lastWords returns the end of the service's log, for an error.
func (s *service) lastWords() string {
	b, err := os.ReadFile(s.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	b = b[max(0, len(b)-logTail):]
	if i := bytes.IndexByte(b, '\n'); i >= 0 && len(b) == logTail {
		b = b[i+1:]
	}
	return "\n  " + strings.ReplaceAll(strings.TrimSpace(string(b)), "\n", "\n  ")
}

// startNode starts a gateway node from its config, and waits until it serves.
func startNode(ctx context.Context, dir, program string, n *localNode) (*service, error) {
	s, err := startService(dir, n.Node, program, "--config", n.file())
	if err != nil {
		return nil, err
	}
	err = s.until(ctx, func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Admin+"/readyz", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
	if err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}
