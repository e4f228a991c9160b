package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/coi"
	"parley/coi/hsm"
	"parley/coi/wrap"
)

// A rig is a token in software, the program built for it, and a folder for both.
type rig struct {
	t                   *testing.T
	dir, module, binary string
	pin                 string
}

// missing ends a test that needs what is not installed. The build server
// installs it, so there it is a failure.
func missing(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v: .ci/run installs it", what, err)
	}
	t.Skipf("NOT TESTED with a token: %s: %v", what, err)
}

// newRig makes an empty token and builds the program.
func newRig(t *testing.T) *rig {
	t.Helper()
	for _, program := range []string{"softhsm2-util", "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program, err)
		}
	}
	var module string
	for _, pattern := range []string{"/usr/lib/softhsm", "/usr/lib/*/softhsm", "/usr/lib64/*", "/usr/local/lib/softhsm", "/opt/homebrew/lib/softhsm"} {
		if found, err := filepath.Glob(filepath.Join(pattern, "libsofthsm2.so")); err == nil && len(found) > 0 {
			module = found[0]
		}
	}
	if module == "" {
		missing(t, "libsofthsm2.so", os.ErrNotExist)
	}
	dir, err := os.MkdirTemp("", "hsm") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &rig{t: t, dir: dir, module: module, binary: filepath.Join(dir, "parley-hsm"), pin: "0000-a pin"}
	r.write("softhsm2.conf", "directories.tokendir = "+dir+"/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf"))
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.write("pin", r.pin+"\n")
	r.run("softhsm2-util", "--init-token", "--free", "--label", "parley", "--pin", r.pin, "--so-pin", "officer")
	t.Setenv("CGO_ENABLED", "1")
	r.run("go", "build", "-o", r.binary, ".")
	return r
}

func (r *rig) write(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *rig) run(name string, args ...string) string {
	r.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// made lets the program make a key, and returns its public half as the request
// for its certificate has it.
func (r *rig) made(coiName, id, kind string) crypto.PublicKey {
	r.t.Helper()
	block, _ := pem.Decode([]byte(r.run(r.binary, r.flags("make", "--coi", coiName, "--id", id, "--kind", kind)...)))
	if block == nil {
		r.t.Fatal("no request is printed")
	}
	request, err := coi.ParseCoIRequest(block.Bytes) // which it must have signed
	if err != nil {
		r.t.Fatal(err)
	}
	return request.Key
}

// flags are those of every command.
func (r *rig) flags(command string, more ...string) []string {
	return append([]string{command, "--module", r.module, "--token", "parley", "--pin-file", filepath.Join(r.dir, "pin")}, more...)
}

// serve runs the program until stop.
func (r *rig) serve(socket string) (stop func()) {
	r.t.Helper()
	cmd := exec.Command(r.binary, r.flags("serve", "--socket", socket)...)
	log := &bytes.Buffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the program, below
	stop = sync.OnceFunc(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			r.t.Error(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				r.t.Errorf("parley-hsm: %v", err)
			}
			r.t.Logf("parley-hsm says:\n%s", log)
		case <-time.After(time.Minute):
			r.t.Error("parley-hsm does not end")
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	r.t.Cleanup(stop)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return stop
		}
		if time.Now().After(end) {
			stop()
			r.t.Fatalf("parley-hsm does not serve:\n%s", log)
		}
	}
}

// dial asks the program for its keys.
func (r *rig) dial(socket string) *hsm.Client {
	r.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var c *hsm.Client
		if c, err = hsm.Dial(socket); err == nil {
			return c
		}
	}
	r.t.Fatal(err)
	return nil
}

// sealed makes an envelope for a key, and what opens it.
func sealed(t *testing.T, k hsm.Key) (envelope []byte, key wrap.Key, b wrap.Binding) {
	t.Helper()
	cert := &x509.Certificate{PublicKey: k.Public, SubjectKeyId: k.SPKI[:20]}
	b = wrap.Binding{Room: "mimi://alpha.example/r/plans", Epoch: 1}
	envelope, err := wrap.Seal([]byte("room key"), []wrap.Recipient{{Name: k.Name, Certificate: cert}}, b, wrap.SealOptions{Mode: wrap.Any})
	if err != nil {
		t.Fatal(err)
	}
	return envelope, wrap.Key{Certificate: cert, Private: k.Private}, b
}

// TestATokenOpensEnvelopes: the CoI's private key is in a token and stays there.
func TestATokenOpensEnvelopes(t *testing.T) {
	r := newRig(t)
	finance := "mimi://alpha.example/c/finance"
	want := []crypto.PublicKey{
		r.made(finance, "01", "p256"), r.made(finance, "02", "p384"), r.made("mimi://alpha.example/c/legal", "03", "p256"),
	}
	listed := r.run(r.binary, r.flags("list")...)
	if n := strings.Count(listed, "mimi://alpha.example/c/"); n != len(want) {
		t.Errorf("%d keys are listed, want %d:\n%s", n, len(want), listed)
	}
	socket := filepath.Join(r.dir, "s")
	stop := r.serve(socket)
	c := r.dial(socket)
	defer c.Close()
	keys := c.Keys()
	if len(keys) != len(want) {
		t.Fatalf("%d keys are served, want %d", len(keys), len(want))
	}
	for i, k := range keys {
		if !want[i].(*ecdsa.PublicKey).Equal(k.Public) {
			t.Errorf("key %d is %s, not the one that was put there", i, k.Name)
		}
		envelope, key, b := sealed(t, k)
		got, err := wrap.Open(envelope, key, b)
		if err != nil || string(got) != "room key" {
			t.Errorf("%s opens to %q, %v", k.Name, got, err)
		}
	}
	for range 32 { // leading zeros of some
		agrees(t, keys[0].Private.(ecdh.KeyExchanger))
	}
	stop()
	envelope, key, b := sealed(t, keys[0])
	if _, err := wrap.Open(envelope, key, b); err == nil || errors.Is(err, wrap.ErrOpen) {
		t.Errorf("the program has ended: %v, want to be told that", err)
	}
	r.serve(socket)
	if got, err := wrap.Open(envelope, key, b); err != nil || string(got) != "room key" {
		t.Errorf("it is started again: opens to %q, %v", got, err)
	}
	r.refuses()
}

func agrees(t *testing.T, k ecdh.KeyExchanger) {
	t.Helper()
	other, err := k.Curve().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.ECDH(other.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if want, err := other.ECDH(k.PublicKey()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("agreed on %x, want %x, %v", got, want, err)
	}
}

// refuses starts the program with what it must not run with.
func (r *rig) refuses() {
	r.t.Helper()
	open := r.write("open", r.pin)
	if err := os.Chmod(open, 0o644); err != nil {
		r.t.Fatal(err)
	}
	wrong := r.write("wrong", "1111-a pin")
	for name, v := range map[string]struct {
		words string
		args  []string
	}{
		"another PIN":            {"log in to token", r.flags("list", "--pin-file", wrong)},
		"a PIN for all to read":  {"chmod 600", r.flags("list", "--pin-file", open)},
		"a token that is absent": {"0 tokens are labelled", r.flags("list", "--token", "other")},
		"no library":             {"not a PKCS #11 library", r.flags("list", "--module", open)},
		"an id that is taken":    {"has a key with id 01", r.flags("make", "--coi", "mimi://alpha.example/c/finance", "--id", "01")},
		"a name of no CoI":       {"names no CoI", r.flags("make", "--coi", "mimi://alpha.example/d/alice/laptop", "--id", "09")},
		"a kind of no key":       {"the kinds are p256 and p384", r.flags("make", "--coi", "mimi://alpha.example/c/finance", "--kind", "p521")},
		"no socket":              {"--socket is missing", r.flags("serve")},
		"a socket in use":        {"another program serves there", r.flags("serve", "--socket", filepath.Join(r.dir, "s"))},
	} {
		out, err := exec.Command(r.binary, v.args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), v.words) {
			r.t.Errorf("%s: %v, %s, want %q", name, err, out, v.words)
		}
	}
}

// TestWithoutCgoTheProgramSaysSo instead of not building.
func TestWithoutCgoTheProgramSaysSo(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "parley-hsm")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.Command(binary).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CGO_ENABLED=1") {
		t.Errorf("%v, %s", err, out)
	}
}

// An RSA key was served by any token, also by one that can not open with it what
// envelopes hold, and that was told when somebody wanted to read.
func TestARSAKeyThatTheTokenCanNotUseIsToldAtTheStart(t *testing.T) {
	r := newRig(t)
	finance := "mimi://alpha.example/c/finance"
	r.made(finance, "01", "p256")
	r.imported(finance, "0a", 2048)
	r.fails("2048 bits", "serve", "--socket", filepath.Join(r.dir, "s"))
	if out := r.run(r.binary, r.flags("list")...); strings.Count(out, "\n") != 2 || strings.Count(out, "can not be used") != 1 {
		t.Errorf("what is listed does not say which can be used:\n%s", out)
	}
	r.made(finance, "0b", "p384") // is not held up by that

	r = newRig(t)
	r.imported(finance, "0a", 3072)
	out := r.run(r.binary, r.flags("list")...)
	if strings.Contains(out, "can not be used") {
		if !strings.Contains(out, "RSA-OAEP with SHA-256") || !strings.Contains(out, "make an EC key") {
			t.Errorf("what is listed does not say why, and what to do:\n%s", out)
		}
		t.Logf("%s", out)
		r.fails("RSA-OAEP with SHA-256", "serve", "--socket", filepath.Join(r.dir, "s"))
		return
	}
	t.Log("this token has OAEP with SHA-256")
	r.serve(filepath.Join(r.dir, "s"))
	c := r.dial(filepath.Join(r.dir, "s"))
	defer c.Close()
	envelope, key, b := sealed(t, c.Keys()[0])
	if got, err := wrap.Open(envelope, key, b); err != nil || string(got) != "room key" {
		t.Errorf("opens to %q, %v", got, err)
	}
}

// imported puts an RSA key of so many bits into the token.
func (r *rig) imported(label, id string, bits int) {
	r.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		r.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	file := r.write("rsa.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	r.run("softhsm2-util", "--import", file, "--token", "parley", "--label", label, "--id", id, "--pin", r.pin)
}

// fails runs a command that must end by itself, with these words.
func (r *rig) fails(words, command string, more ...string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, r.binary, r.flags(command, more...)...).CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), words) {
		r.t.Errorf("%s: %v, %s, want %q", command, err, out, words)
	}
}
