package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// A mlsResult is one measurement of bench mls.
type mlsResult struct {
	*result
	Shape      string  `json:"shape,omitempty"`
	Processors int     `json:"processors"`
	CPU        float64 `json:"cpu_ms"` // of one, on all processors together
}

// A measure says what is measured and how.
type measure struct {
	op         string
	room       mlsRoom
	processors int // zero: all
	most       int // times; zero: as often as there is time
	act        func() (bytes int, err error)
}

// measure repeats an act for as long as was asked for, and reports it.
func (b *mlsBench) measure(ctx context.Context, m measure) error {
	if m.room.shape != "" {
		b.stage("%s, %d members: %s", m.room.shape, m.room.members, m.op)
	}
	all := runtime.GOMAXPROCS(0)
	if m.processors == 0 {
		m.processors = all
	}
	runtime.GOMAXPROCS(m.processors)
	defer runtime.GOMAXPROCS(all)
	runtime.GC() // what was there before is not this act's
	w, cpu := newStopwatch(), cpuTime("self")
	for ok := true; ok; ok = int(w.times.TotalCount()) != m.most && w.total.Seconds() < b.seconds && ctx.Err() == nil {
		if err := w.time(m.act); err != nil {
			return fmt.Errorf("%s: %w", m.op, err)
		}
	}
	cpu = cpuTime("self") - cpu
	if err := ctx.Err(); err != nil {
		return err
	}
	r := w.result("mls_" + m.op)
	return b.tell(r, m, float64(cpu)/float64(time.Millisecond)/float64(r.N))
}

// sizeOf reports what is a number of bytes and no act.
func (b *mlsBench) sizeOf(op string, room mlsRoom, bytes int) error {
	return b.tell(&result{Op: "mls_" + op, N: 1, Bytes: int64(bytes)}, measure{room: room}, 0)
}

// tell reports one result.
func (b *mlsBench) tell(r *result, m measure, cpu float64) error {
	r.Members, r.Suite, r.environment = m.room.members, b.suite.String(), b.where
	if m.op == "seal" || m.op == "open" {
		r.Size = b.size
	}
	full := &mlsResult{r, m.room.shape, m.processors, cpu}
	b.results = append(b.results, full)
	if b.json {
		return b.printLine(full)
	}
	r.Note = m.room.shape
	if m.processors == 1 && r.Note != "" {
		r.Note += ", 1 processor"
	}
	b.table.add(bold(r.Op), r.what(), fmt.Sprint(r.N), perSecond(r.PerSecond), millis(r.P50), millis(r.P99), fmt.Sprint(r.Bytes))
	return nil
}

// progress tells that a part of a run begins: of a long one always.
func (b *mlsBench) progress(format string, args ...any) {
	if b.long && !isTerminal(b.err) {
		fmt.Fprintf(b.err, format+"\n", args...)
		return
	}
	b.stage(format, args...)
}
