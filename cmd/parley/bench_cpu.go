package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ticksPerSecond is the unit of a process's times in /proc on Linux, whatever
// the kernel counts in itself.
const ticksPerSecond = 100

// cpuTime is the time, user and system, that a process has had, 0 where there
// is no /proc.
func cpuTime(process string) time.Duration {
	b, err := os.ReadFile(filepath.Join("/proc", process, "stat"))
	if err != nil {
		return 0
	}
	_, after, ok := bytes.Cut(b, []byte(") ")) // the name before may hold anything else
	fields := strings.Fields(string(after))
	const user, system = 11, 12
	if !ok || len(fields) <= system {
		return 0
	}
	var ticks int64
	for _, f := range []int{user, system} {
		n, err := strconv.ParseInt(fields[f], 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// A cpuMeter tells what a message costs: timings of two runs differ with what
// else a machine does, the time of its processors much less.
type cpuMeter struct {
	services       []*service
	load, gateways time.Duration // at the start
}

// meter starts to measure the load, which is this process, and its gateways.
func (r *rig) meter() *cpuMeter {
	m := &cpuMeter{services: r.services}
	m.load, m.gateways = m.read()
	return m
}

func (m *cpuMeter) read() (load, gateways time.Duration) {
	for _, s := range m.services {
		gateways += cpuTime(strconv.Itoa(s.pid()))
	}
	return cpuTime("self"), gateways
}

// note puts what each of n messages has cost into r, in microseconds.
func (m *cpuMeter) note(r *result) {
	load, gateways := m.read()
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(max(r.N, 1)) }
	r.LoadCPU, r.GatewayCPU = each(load-m.load), each(gateways-m.gateways)
}

// profileTo writes where this process and the gateways spend their time while a
// load is measured, one file each, and returns what waits for the files.
func (r *rig) profileTo(dir, op string, length time.Duration) (wait func() error) {
	if dir == "" {
		return func() error { return nil }
	}
	var done sync.WaitGroup
	errs := make([]error, len(r.sites)+1)
	done.Go(func() { errs[0] = profileSelf(filepath.Join(dir, op+".load.pprof"), length) })
	for i, s := range r.sites {
		done.Go(func() {
			errs[i+1] = profileNode(s.node.Admin, filepath.Join(dir, op+"."+s.node.Node+".pprof"), length)
		})
	}
	return func() error {
		done.Wait()
		return errors.Join(errs...)
	}
}

func profileSelf(file string, length time.Duration) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	time.Sleep(length) // what is profiled
	pprof.StopCPUProfile()
	return nil
}

func profileNode(admin, file string, length time.Duration) error {
	resp, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, max(1, int(length.Seconds()))))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
