package service

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/coi"
)

func TestInitDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pki")
	dir, err := InitDirectory(path, Plan{Site: "alpha.example", Nodes: []string{"a1", "a2"}, Hosts: []string{"127.0.0.1", "localhost"}}, then)
	must(t, err)
	must(t, filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		must(t, err)
		info, err := e.Info()
		must(t, err)
		want := os.FileMode(fileMode)
		if e.IsDir() {
			want = dirMode
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %#o, want %#o", p, info.Mode().Perm(), want)
		}
		return nil
	}))
	sites, err := dir.Sites()
	must(t, err)
	trust, err := coi.NewTrust(sites...)
	must(t, err)
	for _, c := range []struct {
		as   coi.Purpose
		elem []string
	}{{coi.Node, []string{"nodes", "a1", "tls"}}, {coi.Ordering, []string{"nodes", "a2", "ordering"}}, {coi.Service, []string{"enroll", "tls"}}} {
		base := dir.Path(c.elem...)
		pair, err := readPair(base+".crt", base+".key")
		must(t, err)
		_, err = trust.Verify(coi.Chain(pair.Cert), c.as, then)
		must(t, err)
	}
	if nodes, err := dir.Nodes(); err != nil || strings.Join(nodes, " ") != "a1 a2" {
		t.Errorf("nodes %v, %v", nodes, err)
	}
	root, err := dir.Root("")
	must(t, err)
	must(t, dir.AddNode(root, "a3", nil, then))
	for _, bad := range []string{"a3", "A4", "../a4", ""} {
		if err := dir.AddNode(root, bad, nil, then); err == nil {
			t.Errorf("node %q is added", bad)
		}
	}
}

// TestInitLeavesWhatIsThere: "refuses to overwrite".
func TestInitLeavesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pki")
	_, err := InitDirectory(path, Plan{Site: "alpha.example"}, then)
	must(t, err)
	before, err := os.ReadFile(filepath.Join(path, "root.key"))
	must(t, err)
	if _, err := InitDirectory(path, Plan{Site: "alpha.example"}, then); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("overwrites: %v", err)
	}
	after, err := os.ReadFile(filepath.Join(path, "root.key"))
	must(t, err)
	if string(before) != string(after) {
		t.Error("the root key changed")
	}
	bad := filepath.Join(t.TempDir(), "bad")
	for _, plan := range []Plan{{Site: "Alpha"}, {Site: "alpha.example", Nodes: []string{"a1", "a1"}}, {Site: "alpha.example", Hosts: []string{"no such host"}}} {
		if _, err := InitDirectory(bad, plan, then); err == nil {
			t.Errorf("%+v is made", plan)
		}
		if left, _ := os.ReadDir(filepath.Dir(bad)); len(left) > 0 {
			t.Errorf("%+v leaves %v", plan, left)
		}
	}
}

func TestDirectoryRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pki")
	dir, err := InitDirectory(path, Plan{Site: "alpha.example"}, then)
	must(t, err)
	must(t, os.Chmod(dir.Path("device-ca.key"), 0o644))
	if _, err := dir.DeviceCA(); err == nil || !strings.Contains(err.Error(), "read by others") {
		t.Errorf("a key that others can read: %v", err)
	}
	if _, err := dir.Root(dir.Path("enroll", "tls.key")); err == nil || !strings.Contains(err.Error(), "is not the key of") {
		t.Errorf("another key: %v", err)
	}
	own, err := dir.Own()
	must(t, err)
	if err := dir.Trust(own); err == nil {
		t.Error("a site trusts itself as a peer")
	}
	own.Name = "beta.example"
	if err := dir.Trust(own); coi.ReasonOf(err) != coi.BadName {
		t.Errorf("own CA as a peer's: %v", err)
	}
	if _, err := OpenDirectory(t.TempDir()); err == nil || !strings.Contains(err.Error(), "parley-pki init") {
		t.Errorf("an empty folder: %v", err)
	}
}
