package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"parley/coi/service"
)

// shown URL FILE: connects until the server shows the certificate in a file.
func shown(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: shown URL FILE")
	}
	want, err := readFirst(ts.MkAbs(args[1]))
	ts.Check(err)
	p := &preflight{keys: map[string]string{}}
	var got *x509.Certificate
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		got, err = p.peer(args[0])
		ts.Check(err) // it answers all the time
		if got.Equal(want) {
			return
		}
	}
	ts.Fatalf("%s shows serial %x, want %x", args[0], got.SerialNumber, want.SerialNumber)
}

// copykeys FROM TO: copies a folder of private keys, as the administrator of two
// instances does.
func copyKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copykeys FROM TO")
	}
	files, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(ts.MkAbs(args[0]), f.Name()))
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[1]), f.Name()), data, 0o600))
	}
}

// signed URL CERT ISSUER RESPONDER: asks for the status of a certificate until the
// answer is signed with the responder's certificate in a file. All checks of a
// device are made each time.
func signed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: signed URL CERT ISSUER RESPONDER")
	}
	cert, err := readFirst(ts.MkAbs(args[1]))
	ts.Check(err)
	issuer, err := readFirst(ts.MkAbs(args[2]))
	ts.Check(err)
	want, err := readFirst(ts.MkAbs(args[3]))
	ts.Check(err)
	client := &http.Client{Timeout: callWithin, Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}}
	defer client.CloseIdleConnections()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		der, _, err := service.AskStatus(context.Background(), client, service.StatusQuestion{URL: args[0], Cert: cert, Issuer: issuer})
		ts.Check(err)
		if bytes.Contains(der, want.Raw) {
			return
		}
	}
	ts.Fatalf("%s does not answer with serial %x", args[0], want.SerialNumber)
}
