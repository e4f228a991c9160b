package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// An environment is where and when something was measured.
type environment struct {
	Go         string `json:"go"`
	Version    string `json:"version"`
	OS         string `json:"os"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	Date       string `json:"date"`
}

// here describes this machine, now.
func here() environment {
	v := version()
	e := environment{
		Go: v.Go, Version: v.Version, OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: cpuModel(),
		Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0), Date: time.Now().UTC().Format(time.RFC3339),
	}
	if len(v.Revision) >= shortRevision {
		e.Version += " " + v.Revision[:shortRevision]
	}
	return e
}

// shortRevision is how many digits of a commit's name are shown.
const shortRevision = 12

// String writes the environment on one line.
func (e environment) String() string {
	return fmt.Sprintf("%s, %s, %s, %s (GOMAXPROCS %d), %s, parley %s",
		e.Date, e.OS, e.CPU, count(e.Cores, "core"), e.GOMAXPROCS, e.Go, e.Version)
}

// cpuModel is what Linux calls the processor; elsewhere only its kind is known.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return runtime.GOARCH
}
