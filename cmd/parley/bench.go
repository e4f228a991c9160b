package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// benchHelp is what all benchmarks print.
const benchHelp = `With --json each measurement is one JSON object on a line: {"op","n","seconds",
"per_second","p50_ms","p99_ms","bytes"}, what was asked for ("members","devices","rooms",
"recipients","size","suite","note"), and where it was measured ("go","version","os","cpu","cores",
"gomaxprocs","date").`

func benchCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: real gateways, real encryption, synced receipts",
		Long: `Bench measures what parley does on this machine. Send, federate, fanout and history start gateways
(parleyd) of their own in a temporary directory, with their own keys, on free loopback
ports, and share the machine's cores with them; nothing else is touched.

` + benchHelp,
	}
	cmd.AddCommand(benchSendCommand(a), benchFederateCommand(a), benchFanoutCommand(a), benchMLSCommand(a), benchWrapCommand(a), benchUnwrapCommand(a), benchHistoryCommand(a))
	return cmd
}

// A bench is one run of a benchmark: how it shows how far it is, and prints
// what it has found.
type bench struct {
	*app
	where environment
	table *table
}

// newBench begins a run.
func newBench(a *app) *bench {
	return &bench{app: a, where: here(), table: newTable("OP", "WHAT", "N", "PER SECOND", "P50", "P99", "BYTES")}
}

// stage tells on a terminal what is being done.
func (b *bench) stage(format string, args ...any) {
	if isTerminal(b.err) {
		fmt.Fprintf(b.err, "\r\x1b[K%s", faint(fmt.Sprintf(format, args...)))
	}
}

// report prints one measurement.
func (b *bench) report(r *result) error {
	r.environment = b.where
	if b.json {
		return b.printLine(r)
	}
	b.table.add(bold(r.Op), r.what(), fmt.Sprint(r.N), perSecond(r.PerSecond), millis(r.P50), millis(r.P99), fmt.Sprint(r.Bytes))
	return nil
}

// end prints the table of all measurements.
func (b *bench) end() error {
	b.stage("")
	if b.json {
		return nil
	}
	if err := b.table.print(b.app, "nothing was measured"); err != nil {
		return err
	}
	return b.print("%s\n", faint(b.where.String()))
}

// perSecond writes a rate with as many digits as mean something.
func perSecond(rate float64) string {
	if rate < 100 {
		return fmt.Sprintf("%.3g", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// millis writes a duration given in milliseconds, in the unit that fits.
func millis(ms float64) string {
	if ms == 0 {
		return "-"
	}
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", ms*1000)
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.2f s", ms/1000)
}
