package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"parley/client"
	"parley/client/store"
	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
)

// canaries is how many messages flow before memory and disks are searched.
const canaries = 1000

// secrets maps what nobody but members may hold to what it is.
type secrets map[string][]byte

// in lists which of them are in a piece of memory or of a file.
func (s secrets) in(found map[string]bool, b []byte) {
	for name, secret := range s {
		if !found[name] && bytes.Contains(b, secret) {
			found[name] = true
		}
	}
}

// longest is how long the longest is.
func (s secrets) longest() (n int) {
	for _, secret := range s {
		n = max(n, len(secret))
	}
	return n
}

// inMemory searches all memory that a process can read.
func (s secrets) inMemory(t *testing.T, pid int) map[string]bool {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	found, total := map[string]bool{}, 0
	piece := make([]byte, 4<<20)
	keep := s.longest() - 1
	defer clear(piece)
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if rights[0] != 'r' || to > math.MaxInt64 || strings.Contains(lines.Text(), "[v") {
			continue
		}
		// Pieces overlap, so that no secret lies across two of them unseen.
		for at := from; at < to; at += uint64(len(piece) - keep) {
			n, err := mem.ReadAt(piece[:min(uint64(len(piece)), to-at)], int64(at))
			s.in(found, piece[:n])
			total += n
			if err != nil {
				break // what a file that got shorter was mapped to
			}
		}
	}
	if total < 8<<20 {
		t.Fatalf("only %d bytes of process %d could be read", total, pid)
	}
	return found
}

// inFiles searches a folder.
func (s secrets) inFiles(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found, files := map[string]bool{}, 0
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		files++
		s.in(found, b)
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files of %s: %v", files, dir, err)
	}
	return found
}

// roomKeys opens every envelope of a room with a community's key, as it lies in
// the unwrap service's directory.
func (s secrets) roomKeys(t *testing.T, d *demo, who *person, c *demoCoI) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.dir, c.dir("unwrap"), "keys", c.name+".*.key"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the keys of %s: %v, %v", c.name, files, err)
	}
	pem, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	private, _, err := coi.ParseCoIKeyPEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	pem, err = os.ReadFile(strings.TrimSuffix(files[0], ".key") + ".crt")
	if err != nil {
		t.Fatal(err)
	}
	certs, err := coi.ParseCertificatesPEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	var list []groups.ExportedRecord
	if err := who.ask(t.Context(), &list, "keys", "export", who.room); err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		r, err := groups.ParseKeyRecord(e.Record)
		if err != nil {
			t.Fatal(err)
		}
		binding := wrap.Binding{Room: string(r.Room), Epoch: uint64(r.Epoch), KeyID: r.KeyID, Recipients: r.BindingHash()}
		opened, err := wrap.Open(r.Envelope, wrap.Key{Certificate: certs[0], Private: private}, binding)
		if err != nil {
			t.Fatalf("epoch %d: %v", r.Epoch, err)
		}
		key, err := groups.ParseRoomKeyBytes(opened)
		if err != nil {
			t.Fatal(err)
		}
		s[fmt.Sprintf("sender data secret of epoch %d", r.Epoch)] = key.SenderDataSecret
		s[fmt.Sprintf("encryption secret of epoch %d", r.Epoch)] = key.EncryptionSecret
	}
	if len(list) == 0 {
		t.Fatal("the room has no key record")
	}
}

// deviceKey takes the private key out of a device's home.
func (s secrets) deviceKey(t *testing.T, p *person) {
	t.Helper()
	home, err := store.Open(store.Config{Dir: filepath.Join(p.demo.dir, p.home), Wait: commandTime})
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	var row struct{ Key []byte }
	err = home.View(func(tx client.Tx) error {
		b, err := tx.Get(client.TableIdentity, []byte("self"))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &row)
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(row.Key)
	if err != nil {
		t.Fatal(err)
	}
	what := "private key of " + string(p.id())
	switch key := key.(type) {
	case ed25519.PrivateKey:
		s[what] = key.Seed()
	case *ecdsa.PrivateKey:
		if s[what], err = key.Bytes(); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("the device has a %T", key)
	}
}

// startedSites makes two sites with a community each, and starts all services.
func startedSites(t *testing.T) *demo {
	t.Helper()
	b := builtPrograms(t)
	d := &demo{app: &app{streams: streams{nil, io.Discard, io.Discard}}, binaries: b, dir: t.TempDir()}
	d.story = newStory(d.app)
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := d.newSites(); err != nil {
		t.Fatal(err)
	}
	if err := d.newCommunities(); err != nil {
		t.Fatal(err)
	}
	for _, n := range append(d.alpha.nodes, d.beta.nodes...) {
		n.Limits = "messages_per_second = 2000.0\nmessage_burst = 4000\n"
	}
	for _, do := range []act{
		d.makePKI(d.alpha), d.makePKI(d.beta), d.makeCommunity(d.finance), d.makeCommunity(d.legal), d.exchangeTrust,
		d.startNodes, d.seeEachOther, d.startEnrolment, d.startCommunities, d.preflight,
	} {
		if _, err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// A gateway and a lookup service through which a room's messages went hold
// neither a word of them nor a key that opens one, in memory or on disk: what a
// dump of such a process, or its disk, would give away.
func TestE2E6_GatewaysAndLookupHoldNeitherTextNorKeys(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("NOT CHECKED: another process's memory is read by way of /proc, which only Linux has")
	}
	d := startedSites(t)
	d.laptop, d.bob = d.person(d.alpha, "alice", "laptop"), d.person(d.beta, "bob", "laptop")
	for _, p := range []*person{d.laptop, d.bob} {
		if err := p.enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	alice, bob := d.inVault(d.laptop), d.inVault(d.bob)
	if _, err := alice.run(t.Context(), "room", "create", vault, "--coi", d.finance.name, "--coi", d.legal.name+"@"+string(d.beta.name),
		"--history", "all", "--member", "bob@"+string(d.beta.name)); err != nil {
		t.Fatal(err)
	}
	hidden := secrets{"canary": []byte("canary-" + hex.EncodeToString(random(8)))}
	if err := alice.say(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	if err := bob.hears(t.Context(), alice, "hello"); err != nil {
		t.Fatal(err)
	}
	hidden.deviceKey(t, alice)
	hidden.deviceKey(t, bob)
	watch, err := startService(d.dir, "watch", append([]string{d.parley}, bob.words([]string{"tail", bob.room})...)...)
	if err != nil {
		t.Fatal(err)
	}
	d.services = append(d.services, watch)
	var lines bytes.Buffer
	for i := range canaries {
		fmt.Fprintf(&lines, "%s number %d.\n", hidden["canary"], i)
	}
	cmd := exec.Command(d.parley, alice.words([]string{"send", vault, "-"})...)
	cmd.Dir, cmd.Stdin = d.dir, &lines
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	err = eventually(t.Context(), func(context.Context) (bool, error) {
		b, err := os.ReadFile(watch.log)
		return bytes.Count(b, hidden["canary"]) == canaries, err
	})
	if err != nil {
		t.Fatalf("bob has not all of it: %v%s", err, watch.lastWords())
	}
	hidden.roomKeys(t, d, alice, d.finance)

	// The search finds what is there.
	if !hidden.inMemory(t, watch.pid())["canary"] {
		t.Error("the search does not find the canary in the process that prints it")
	}
	if found := hidden.inMemory(t, os.Getpid()); len(found) != len(hidden) {
		t.Errorf("of %d secrets the search finds only %v in the process that has all", len(hidden), found)
	}
	searched := 0
	for _, s := range d.services {
		if s == watch || strings.Contains(s.name, "-unwrap") {
			continue
		}
		searched++
		if found := hidden.inMemory(t, s.pid()); len(found) > 0 {
			t.Errorf("the memory of %s holds: %v", s.name, found)
		}
		if found := hidden.inFiles(t, filepath.Dir(s.log)+"/"+filepath.Base(s.log)); len(found) > 0 {
			t.Errorf("the log of %s holds: %v", s.name, found)
		}
	}
	if searched != 3+2+4 {
		t.Errorf("%d processes were searched, not 3 gateways, 2 enrolment, 2 OCSP and 2 lookup services", searched)
	}
	for _, dir := range []string{"data-a1", "data-a2", "data-b1", d.finance.dir("lookup"), d.legal.dir("lookup")} {
		if found := hidden.inFiles(t, filepath.Join(d.dir, dir)); len(found) > 0 {
			t.Errorf("%s holds: %v", dir, found)
		}
	}
}
