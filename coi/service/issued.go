package service

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// maxRecord bounds a line of the log of issued certificates, in bytes.
const maxRecord = 4 << 10

// A Record is a line of the log of issued certificates.
type Record struct {
	Serial    string    `json:"serial"`      // hex
	Name      string    `json:"name"`        // URI
	Key       string    `json:"key"`         // SHA-256 of the public key, hex
	Print     string    `json:"fingerprint"` // SHA-256 of the certificate, hex
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Issued    time.Time `json:"issued"`
	Code      string    `json:"code"` // ID of the code it was issued for
}

// keyID names a public key: SHA-256 of its SubjectPublicKeyInfo, hex.
func keyID(spki []byte) string {
	h := sha256.Sum256(spki)
	return hex.EncodeToString(h[:])
}

func newRecord(cert *x509.Certificate, u *Use, code string) Record {
	print := sha256.Sum256(cert.Raw)
	return Record{
		Serial: hex.EncodeToString(cert.SerialNumber.Bytes()), Name: u.Device, Key: u.Key,
		Print:     hex.EncodeToString(print[:]),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Issued: u.At, Code: code,
	}
}

// A Log is the append-only record of what was issued: one JSON object a line,
// durable when append returns. One process has it open at a time.
type Log struct {
	f       *os.File
	unlock  func()
	size    int64 // of the lines that are whole
	torn    bool  // there is more in the file than that
	serials map[string]bool
	devices map[string]Record // by name, what ends last
}

// OpenLog reads the log, takes it for this process and cuts off a last line
// that a crash left unfinished: what it would have said was never answered.
func OpenLog(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		return nil, fmt.Errorf("open log of issued certificates: %w", err)
	}
	unlock, err := lock(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is in use: is another parley-pki enroll running on this directory? %w", path, err)
	}
	l := &Log{f: f, unlock: unlock, serials: map[string]bool{}, devices: map[string]Record{}}
	l.size, err = readRecords(f, l.index)
	if err == nil {
		err = f.Truncate(l.size)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return l, nil
}

// Close lets another process have the log.
func (l *Log) Close() error {
	l.unlock()
	return l.f.Close()
}

// ReadLog calls each for every record, in the order of issuing. It does not
// disturb a process that has the log open.
func ReadLog(path string, each func(Record)) error {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log of issued certificates: %w", err)
	}
	defer f.Close()
	if _, err := readRecords(f, each); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// readRecords reads whole lines and returns how many bytes they are.
func readRecords(r io.Reader, each func(Record)) (int64, error) {
	in := bufio.NewReaderSize(r, maxRecord)
	var size int64
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if err == io.EOF {
			return size, nil // an unfinished line does not count
		}
		if err != nil {
			return size, fmt.Errorf("line %d: %w", n, err)
		}
		var rec Record
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&rec); err != nil {
			return size, fmt.Errorf("line %d: %w", n, err)
		}
		each(rec)
		size += int64(len(line))
	}
}

func (l *Log) index(r Record) {
	l.serials[r.Serial] = true
	if r.NotAfter.After(l.devices[r.Name].NotAfter) {
		l.devices[r.Name] = r
	}
}

// append makes a record durable; one that is there already is not repeated. A
// line that was not written whole is cut off before the next.
func (l *Log) append(r Record) error {
	if l.serials[r.Serial] {
		return nil
	}
	data, err := json.Marshal(r)
	if err == nil && l.torn {
		err = l.f.Truncate(l.size)
	}
	if err == nil {
		l.torn = true
		_, err = l.f.Write(append(data, '\n'))
	}
	if err == nil {
		err = l.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("log issued certificate: %w", err)
	}
	l.torn = false
	l.size += int64(len(data)) + 1
	l.index(r)
	return nil
}

// holder returns the certificate that has a name at a time.
func (l *Log) holder(name string, now time.Time) (Record, bool) {
	r, ok := l.devices[name]
	return r, ok && !now.After(r.NotAfter)
}

// count returns how many names for which is true are held at a time.
func (l *Log) count(now time.Time, which func(name string) bool) int {
	n := 0
	for name, r := range l.devices {
		if !now.After(r.NotAfter) && which(name) {
			n++
		}
	}
	return n
}
