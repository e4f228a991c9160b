package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"parley/mls"
	"parley/mls/suite"
)

// held is what a process that holds one member says of its memory, in bytes.
type held struct {
	Idle      int64  `json:"idle"`      // VmRSS before
	Resident  int64  `json:"resident"`  // VmRSS: what is mapped from its file included
	Anonymous int64  `json:"anonymous"` // RssAnon: without that
	Live      uint64 `json:"live"`      // of the heap
}

// The files by which a member is handed to a process of its own.
const (
	treeFile       = "tree"
	welcomeFile    = "welcome"
	keyPackageFile = "keypackage"
	signerFile     = "signer"
)

// resident measures a process that is the third joiner and nothing else.
func (b *mlsBench) resident(r mlsRoom, d *doorway) error {
	b.stage("%s, %d members: resident", r.shape, r.members)
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p := d.joiners[2]
	kp, err := p.kp.Marshal()
	if err != nil {
		return err
	}
	signer, err := p.signer.Bytes()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{treeFile: d.tree, welcomeFile: d.welcome, keyPackageFile: kp, signerFile: signer} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	var errs bytes.Buffer
	cmd := exec.Cmd{Path: own, Args: []string{os.Args[0], "bench", "mls", "--hold", dir}, Stderr: &errs}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("a process of one member: %w: %s", err, errs.String())
	}
	var h held
	if err := json.Unmarshal(out, &h); err != nil {
		return err
	}
	if h.Resident > 0 { // elsewhere than on Linux it is not known
		for _, m := range []struct {
			op   string
			size int64
		}{{"idle", h.Idle}, {"resident", h.Resident}, {"anonymous", h.Anonymous}} {
			if err := b.sizeOf(m.op, r, int(m.size)); err != nil {
				return err
			}
		}
	}
	return b.sizeOf("live", r, int(h.Live))
}

// holdMember joins as the member in dir, and tells what is left in memory when
// the join is over.
func holdMember(a *app, dir string) error {
	debug.FreeOSMemory()
	idle := statusBytes("VmRSS")
	g, err := memberIn(dir)
	if err != nil {
		return err
	}
	g.TakeChanges()
	runtime.GC() // empties what pools still hold
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h := held{Idle: idle, Resident: statusBytes("VmRSS"), Anonymous: statusBytes("RssAnon"), Live: m.HeapAlloc}
	runtime.KeepAlive(g)
	return a.printLine(h)
}

// memberIn joins as the member in dir.
func memberIn(dir string) (*mls.Group, error) {
	var files [4][]byte
	for i, name := range []string{treeFile, welcomeFile, keyPackageFile, signerFile} {
		var err error
		if files[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	kp, err := mls.LoadKeyPackage(files[2])
	if err != nil {
		return nil, err
	}
	s, err := suite.Lookup(suite.ID(kp.Public.CipherSuite))
	if err != nil {
		return nil, err
	}
	signer, err := s.NewSignaturePrivateKey(files[3])
	if err != nil {
		return nil, err
	}
	return mls.Join(mls.JoinOptions{
		Welcome: files[1], KeyPackage: kp, Signer: signer, RatchetTree: files[0],
		Credentials: anyone{}, Parallel: processors,
	})
}

// statusBytes reads a size of this process from what Linux tells about it; 0
// where it does not.
func statusBytes(name string) int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ":")
		if field != name {
			continue
		}
		kB, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0
		}
		return kB << 10
	}
	return 0
}
