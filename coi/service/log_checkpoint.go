package service

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxCheckpoint bounds a signed checkpoint, in bytes.
const maxCheckpoint = 4 << 10

// A Checkpoint says how a log stood: how many entries, and the root of their
// tree (RFC 6962, Section 2.1). Signed, it is a C2SP tlog-checkpoint.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// text is what is signed.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// sign makes the signed note.
func (c Checkpoint) sign(s note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.text()}, s)
}

// OpenCheckpoint reads a signed checkpoint and verifies that the log of that
// key signed it.
func OpenCheckpoint(signed []byte, v note.Verifier) (Checkpoint, error) {
	var c Checkpoint
	if len(signed) > maxCheckpoint {
		return c, fmt.Errorf("checkpoint of %d bytes: at most %d", len(signed), maxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != v.Name() {
		return c, errors.New("checkpoint: not one of this log")
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 || strconv.FormatInt(c.Size, 10) != lines[1] {
		return c, fmt.Errorf("checkpoint: size %q", clip(lines[1]))
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return c, errors.New("checkpoint: its root is no hash")
	}
	c.Root = tlog.Hash(root)
	return c, nil
}

// The files of a log's directory.
const (
	auditFile      = "uses.log"
	checkpointFile = "checkpoint"
	logKeyFile     = "log.key"
	logPublicFile  = "log.pub"
	saltFile       = "salt"
)

const (
	maxKeyFile = 4 << 10
	saltSize   = 32
)

// A LogName says whose log it is: alpha.example/unwrap/u1. It stands in each
// checkpoint.
type LogName string

// InitAudit makes the directory of a log with a new key. It returns the public key, for witnesses.
func InitAudit(dir string, name LogName) (public string, err error) {
	private, public, err := note.GenerateKey(rand.Reader, string(name))
	if err != nil {
		return "", fmt.Errorf("make log key: %w", err)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return "", fmt.Errorf("make log: %w", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	for _, f := range []struct {
		name string
		data []byte
	}{{saltFile, salt}, {logPublicFile, []byte(public + "\n")}, {logKeyFile, []byte(private + "\n")}} {
		if err := create(filepath.Join(dir, f.name), f.data); err != nil {
			return "", err
		}
	}
	return public, nil
}

// AuditKey reads the public key of the log in a directory.
func AuditKey(dir string) (note.Verifier, error) {
	public, err := AuditPublic(dir)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("read log key: %w", err)
	}
	return v, nil
}

// AuditPublic reads the public key of the log in a directory, as text.
func AuditPublic(dir string) (string, error) {
	data, err := readSmall(filepath.Join(dir, logPublicFile), maxKeyFile)
	return strings.TrimSpace(string(data)), err
}

// auditSigner reads the private key of the log in a directory.
func auditSigner(dir string) (note.Signer, error) {
	path := filepath.Join(dir, logKeyFile)
	if err := private(path); err != nil {
		return nil, err
	}
	data, err := readSmall(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	s, err := note.NewSigner(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, fmt.Errorf("read log key: %w", err)
	}
	return s, nil
}

// auditSalt reads the salt of the log in a directory.
func auditSalt(dir string) ([]byte, error) {
	salt, err := readSmall(filepath.Join(dir, saltFile), saltSize)
	if err == nil && len(salt) != saltSize {
		err = fmt.Errorf("%s has %d bytes, a salt has %d", filepath.Join(dir, saltFile), len(salt), saltSize)
	}
	return salt, err
}
