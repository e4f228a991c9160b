package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/rogpeppe/go-internal/testscript"

	enrollv1 "parley/api/enroll/v1"
	"parley/api/enroll/v1/enrollv1connect"
	"parley/coi"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"parley-pki": main})
}

// TestScripts runs the program as people do. A script that needs openssl is
// skipped where it is not installed, and says so.
func TestScripts(t *testing.T) {
	_, missing := exec.LookPath("openssl")
	if missing != nil && os.Getenv("CI") == "true" {
		t.Fatal("openssl is not on PATH: in CI the scripts have to check certificates with it")
	}
	if missing != nil {
		t.Log("openssl is not on PATH: the scripts do not check certificates with it")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PARLEY_PKI", "")
			return nil
		},
		Condition: func(c string) (bool, error) { return c == "openssl" && missing == nil, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfile": waitFile,
			"field":    field,
			"device":   device,
			"modes":    modes,
			"word":     word,
			"lookup":   lookup,
			"until":    until,
			"shown":    shown,
			"signed":   signed,
			"copykeys": copyKeys,
		},
	})
}

// waitFile FILE VARIABLE: waits until a file is there and takes its text.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfile FILE VARIABLE")
	}
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if data, err := os.ReadFile(path); err == nil {
			ts.Setenv(args[1], strings.TrimSpace(string(data)))
			return
		}
	}
	ts.Fatalf("%s does not appear", args[0])
}

// field NAME VARIABLE: takes a string field out of the JSON on stdout.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field NAME VARIABLE")
	}
	m := regexp.MustCompile(`"` + regexp.QuoteMeta(args[0]) + `":"([^"]*)"`).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no field %s on stdout", args[0])
	}
	ts.Setenv(args[1], m[1])
}

// modes DIR: fails unless every folder is 0700 and every file 0600.
func modes(ts *testscript.TestScript, neg bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range entries {
		info, err := e.Info()
		ts.Check(err)
		if want := os.FileMode(0o600); !e.IsDir() && info.Mode().Perm() != want || e.IsDir() && info.Mode().Perm() != 0o700 {
			ts.Fatalf("%s/%s has mode %#o", args[0], e.Name(), info.Mode().Perm())
		}
		if e.IsDir() {
			modes(ts, neg, []string{args[0] + "/" + e.Name()})
		}
	}
}

// device URL FINGERPRINT CODE NAME KEYFILE CERTFILE WORDS: enrols as a device
// that knows nothing but these, and verifies what it gets. The key is made
// unless the file is there. With ! it must be refused in these words.
func device(ts *testscript.TestScript, neg bool, args []string) {
	if want := 6; neg && len(args) != want+1 || !neg && len(args) != want {
		ts.Fatalf("usage: device URL FINGERPRINT CODE NAME KEYFILE CERTFILE, with ! also WORDS")
	}
	err := enrolDevice(ts, args)
	if neg != (err != nil) || neg && !strings.Contains(err.Error(), args[6]) {
		ts.Fatalf("enrolment: %v", err)
	}
}

func enrolDevice(ts *testscript.TestScript, args []string) error {
	print, err := hex.DecodeString(args[1])
	ts.Check(err)
	csr, err := coi.NewRequest(deviceKey(ts, ts.MkAbs(args[4])))
	ts.Check(err)
	var site coi.Site
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(s tls.ConnectionState) error {
			chain := coi.Chain(s.PeerCertificates...)
			if site, err = coi.Pin(chain, coi.Fingerprint(print)); err != nil {
				return err
			}
			trust, err := coi.NewTrust(site)
			if err != nil {
				return err
			}
			_, err = trust.Verify(chain, coi.Service, time.Now())
			return err
		},
	}}
	defer transport.CloseIdleConnections()
	client := enrollv1connect.NewEnrollServiceClient(&http.Client{Transport: transport, Timeout: 10 * time.Second}, args[0])
	resp, err := client.Enroll(context.Background(), connect.NewRequest(&enrollv1.EnrollRequest{Code: args[2], Csr: csr, Device: args[3]}))
	if err != nil {
		return err
	}
	trust, err := coi.NewTrust(site)
	ts.Check(err)
	subject, err := trust.Verify(resp.Msg.Chain, coi.Device, time.Now())
	ts.Check(err)
	if subject.URI != resp.Msg.Device {
		ts.Fatalf("the certificate is for %s", subject.URI)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[5]), coi.EncodeCertificatesPEM(subject.Leaf), 0o600))
	return nil
}

func deviceKey(ts *testscript.TestScript, path string) ed25519.PrivateKey {
	if data, err := os.ReadFile(path); err == nil {
		key, err := coi.ParseKeyPEM(data)
		ts.Check(err)
		return key.(ed25519.PrivateKey)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	ts.Check(err)
	data, err := coi.EncodeKeyPEM(key)
	ts.Check(err)
	ts.Check(os.WriteFile(path, data, 0o600))
	return key
}
