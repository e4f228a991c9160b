package service

import (
	"path/filepath"
	"sync"
)

// Revocations says which certificates of a CA were revoked, as of now: the file
// is looked at with each question. It is safe for many goroutines.
type Revocations struct {
	mu    sync.Mutex // guards the rest
	lines lines[RevokedRecord]
	ended map[string]bool // by serial, hex
}

// Revocations follows what is revoked from now on.
func (i *Issuer) Revocations() *Revocations {
	r := &Revocations{ended: map[string]bool{}}
	r.lines = lines[RevokedRecord]{path: filepath.Join(i.dir, revokedFile), each: func(rec RevokedRecord) error {
		if rec.Serial == "" {
			return errNoSerial
		}
		r.ended[rec.Serial] = true
		return nil
	}}
	return r
}

// Has says whether a certificate was revoked, by its serial in hex. Without the
// record it is an error.
func (r *Revocations) Has(serial string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.lines.refresh(); err != nil {
		return false, err
	}
	return r.ended[serial], nil
}
