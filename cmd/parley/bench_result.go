package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A result is one measurement.
type result struct {
	Op        string  `json:"op"`
	N         int64   `json:"n"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Bytes     int64   `json:"bytes"` // of one message, commit, ... as it travels

	// What one message, delivery, ... costs, in microseconds of a processor: the
	// devices of the load together, and the gateways together.
	LoadCPU    float64 `json:"load_cpu_us,omitempty"`
	GatewayCPU float64 `json:"gateway_cpu_us,omitempty"`

	Members    int    `json:"members,omitempty"`
	Devices    int    `json:"devices,omitempty"`
	Rooms      int    `json:"rooms,omitempty"`
	Recipients int    `json:"recipients,omitempty"` // certificates of an envelope
	Size       int    `json:"size,omitempty"`       // of a message's text
	Suite      string `json:"suite,omitempty"`
	Note       string `json:"note,omitempty"`

	environment
}

// what says what was asked for.
func (r *result) what() string {
	var parts []string
	for _, p := range []struct {
		n    int
		noun string
	}{{r.Members, "member"}, {r.Devices, "device"}, {r.Rooms, "room"}, {r.Recipients, "recipient"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.noun))
		}
	}
	if r.Note != "" {
		parts = append(parts, r.Note)
	}
	return strings.Join(parts, ", ")
}

// longest is the longest time a stopwatch tells from a longer one.
const longest = 10 * time.Minute

// A stopwatch gathers how long acts took. It belongs to one goroutine.
type stopwatch struct {
	times *hdrhistogram.Histogram // nanoseconds, 3 digits
	total time.Duration
	bytes int64
}

func newStopwatch() *stopwatch {
	return &stopwatch{times: hdrhistogram.New(1, int64(longest), 3)}
}

// lap notes an act that made that many bytes.
func (w *stopwatch) lap(d time.Duration, bytes int) {
	if err := w.times.RecordValue(int64(min(max(d, 1), longest))); err != nil {
		panic(fmt.Sprintf("BUG: time %v: %v", d, err))
	}
	w.total += d
	w.bytes += int64(bytes)
}

// time notes how long fn takes; fn returns the bytes it made.
func (w *stopwatch) time(fn func() (int, error)) error {
	start := time.Now()
	n, err := fn()
	if err != nil {
		return err
	}
	w.lap(time.Since(start), n)
	return nil
}

// result is what was gathered, one act after the other.
func (w *stopwatch) result(op string) *result {
	r := &result{Op: op, N: w.times.TotalCount(), Seconds: w.total.Seconds()}
	w.spread(r)
	if r.N > 0 {
		r.Bytes = w.bytes / r.N
		r.PerSecond = float64(r.N) / r.Seconds
	}
	return r
}

// spread puts the median and the 99th percentile into r.
func (w *stopwatch) spread(r *result) {
	at := func(q float64) float64 { return float64(w.times.ValueAtQuantile(q)) / float64(time.Millisecond) }
	r.P50, r.P99 = at(50), at(99)
}
