package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/store"
	"parley/client/tui"
	"parley/groups"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams is where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs one command and returns its exit code.
func run(ctx context.Context, args []string, io streams) int {
	a := &app{streams: io}
	cmd := root(a)
	cmd.SetArgs(args)
	cmd.SetIn(io.in)
	cmd.SetOut(io.out)
	cmd.SetErr(io.err)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(io.err, "parley: "+tui.Printable(a.names.Plain(explain(err))))
	if _, usage := errors.AsType[*usageError](err); usage || !a.started {
		fmt.Fprintln(io.err, "See 'parley --help' and 'parley COMMAND --help'.")
		return exitUsage
	}
	return exitFailure
}

// A usageError says that a command was called in a wrong way.
type usageError struct{ err error }

// Error returns what was wrong.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// explain adds to an error what to do about it, where it does not say so
// itself.
func explain(err error) string {
	text := exclusive.ReplaceAllStringFunc(words(err), func(s string) string {
		flags := strings.Fields(exclusive.FindStringSubmatch(s)[1])
		return "--" + strings.Join(flags, " and --") + " do not go together"
	})
	kind := groups.KindOf(err)
	if remote, ok := errors.AsType[*groups.RemoteError](err); ok {
		kind = remote.Kind
	}
	busy, _ := errors.AsType[*store.BusyError](err)
	switch {
	case busy != nil:
	case errors.Is(err, client.ErrNoIdentity):
		text += ": parley login --enroll URL --ca FILE --code CODE"
	case errors.Is(err, context.DeadlineExceeded):
		text = strings.Replace(text, context.DeadlineExceeded.Error(), "no answer in time", 1)
		text += "; give it more time with --timeout, or try again later"
	case errors.Is(err, context.Canceled):
		text = strings.Replace(text, context.Canceled.Error(), "interrupted", 1)
	case kind == groups.Unavailable && strings.Contains(text, " is not reachable"):
		text += "; see whether it runs, and try again"
	case kind == groups.Busy:
		text += "; try again in a moment"
	}
	return text
}

// exclusive is how cobra says that flags exclude each other.
var exclusive = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`)

// arguments puts names on what a command takes, for when they are missing.
func arguments(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s needs %s: %s", cmd.CommandPath(), names, cmd.UseLine())
		case most >= 0 && len(args) > most:
			advice := ""
			if strings.HasSuffix(names, "text") {
				advice = " (quote a text of several words)"
			}
			return usagef("%s takes %s, %q is too much: %s%s", cmd.CommandPath(), names, args[most], cmd.UseLine(), advice)
		}
		return nil
	}
}
