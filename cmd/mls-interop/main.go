package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mls-interop:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It prints one line when it is ready.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mls-interop", flag.ContinueOnError)
	host := flags.String("host", "127.0.0.1", "the `address` to listen on")
	port := flags.Uint("port", 50001, "the TCP `port` to listen on; 0 means any")
	draft := flags.Bool("draft", false, "offer the post-quantum suites of the draft too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	l, err := net.Listen("tcp", net.JoinHostPort(*host, strconv.FormatUint(uint64(*port), 10)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Fprintln(out, "ready: mls-interop at", l.Addr())
	return serve(ctx, l, newService(offered(*draft)))
}
