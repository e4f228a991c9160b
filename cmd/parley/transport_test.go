package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// Whatever listens for devices, for other nodes or for people's programs speaks
// TLS 1.3 and nothing below; what is in the clear is told so. The admin port of a
// gateway is plain HTTP and on loopback alone, and so is what parley-pki ocsp
// --plain opens, whose answers are signed.
func TestE1_EveryHopRefusesPlaintextAndOldTLS(t *testing.T) {
	d := startedSites(t)
	hops := map[string]string{
		"devices of a1": d.alpha.nodes[0].Devices, "devices of a2": d.alpha.nodes[1].Devices, "devices of b1": d.beta.nodes[0].Devices,
		"enrolment": d.alpha.listen, "lookup": d.finance.lookup, "unwrap": d.finance.unwrap, "OCSP": d.finance.ocsp,
	}
	for name, address := range hops {
		if err := handshake(t, address, tls.VersionTLS13); err != nil {
			t.Errorf("%s at %s does not speak TLS 1.3: %v", name, address, err)
		}
		if err := handshake(t, address, tls.VersionTLS12); err == nil {
			t.Errorf("%s at %s speaks TLS 1.2", name, address)
		}
		if answer := plain(t, address); answer != "" && !strings.Contains(answer, " 400 ") {
			t.Errorf("%s at %s answers in the clear: %q", name, address, answer)
		}
	}
	for _, n := range append(d.alpha.nodes, d.beta.nodes...) {
		if err := stranger(t, n.Nodes); err == nil {
			t.Errorf("the link of %s lets in who shows no certificate", n.Node)
		}
		if host, _, err := net.SplitHostPort(n.Admin); err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("the admin port of %s is at %s", n.Node, n.Admin)
		}
	}
}

// handshake makes a handshake of one version; whose certificate it is does not
// matter here.
func handshake(t *testing.T, address string, version uint16) error {
	t.Helper()
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: commandTime}, Config: &tls.Config{
		MinVersion: version, MaxVersion: version, InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"},
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// plain says something in the clear and returns the answer.
func plain(t *testing.T, address string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, commandTime)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(commandTime))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return ""
	}
	answer := make([]byte, 256)
	n, _ := conn.Read(answer) // an end without a word is an answer, too
	return string(answer[:n])
}

// stranger opens a link without a certificate. QUIC has no TLS below 1.3 (RFC
// 9001, Section 4.2).
func stranger(t *testing.T, address string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	conn, err := quic.DialAddr(ctx, address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"parley/1"}}, nil)
	if err != nil {
		return err
	}
	defer conn.CloseWithError(0, "")
	_, err = conn.AcceptStream(ctx) // the refusal of a certificate comes after the client's handshake
	return err
}

// The services that hold certificates are programs apart from the gateway, each
// with a directory and a certificate that serve for nothing else: a gateway does
// not start as one of them, nor one of them as a gateway or as another one.
func TestJ5_NoServiceStartsAsAnother(t *testing.T) {
	b := builtPrograms(t)
	d := &demo{app: &app{streams: streams{nil, io.Discard, io.Discard}}, binaries: b, dir: t.TempDir()}
	d.story = newStory(d.app)
	if err := d.newSites(); err != nil {
		t.Fatal(err)
	}
	if err := d.newCommunities(); err != nil {
		t.Fatal(err)
	}
	for _, do := range []act{d.makePKI(d.alpha), d.makePKI(d.beta), d.makeCommunity(d.finance), d.exchangeTrust} {
		if _, err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	refuses := func(what string, program string, words ...string) {
		t.Helper()
		if _, err := d.quietly(t.Context(), program, words...); err == nil || strings.Contains(err.Error(), "killed") {
			t.Errorf("%s: %v", what, err)
		}
	}
	lookup, unwrap := d.finance.dir("lookup"), d.finance.dir("unwrap")
	if _, err := d.quietly(t.Context(), d.parleyd, "config", "check", "--config", "a1.toml"); err != nil {
		t.Fatalf("the gateway's own configuration: %v", err)
	}
	config, err := os.ReadFile(filepath.Join(d.dir, "a1.toml"))
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.ReplaceAll(config, []byte("alpha/nodes/a1/tls."), []byte(lookup+"/tls."))
	if bytes.Equal(other, config) {
		t.Fatal("the configuration was not changed")
	}
	if err := os.WriteFile(filepath.Join(d.dir, "wrong.toml"), other, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses("a gateway with the certificate of a lookup service", d.parleyd, "config", "check", "--config", "wrong.toml")
	refuses("a lookup service in the directory of an unwrap service", d.pki, "lookup", "--dir", unwrap, "--listen", "127.0.0.1:0")
	refuses("an unwrap service in the directory of a lookup service", d.pki, "unwrap", "--dir", lookup, "--listen", "127.0.0.1:0")
	refuses("enrolment in the directory of an unwrap service", d.pki, "enroll", "--dir", unwrap, "--listen", "127.0.0.1:0")
	for _, ext := range []string{".crt", ".key"} {
		b, err := os.ReadFile(filepath.Join(d.dir, "alpha/nodes/a1/tls"+ext))
		if err == nil {
			err = os.WriteFile(filepath.Join(d.dir, lookup, "tls"+ext), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	refuses("a lookup service with the certificate of a gateway", d.pki, "lookup", "--dir", lookup, "--listen", "127.0.0.1:0")
}
