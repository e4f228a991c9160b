package service

import (
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"parley/coi"
)

// errNoSerial says that a record is of no certificate.
var errNoSerial = errors.New("a record without a serial")

// An ocspCA is what is known of one CA's certificates.
type ocspCA struct {
	OCSPCA
	signer  atomic.Pointer[coi.Responder] // Responder, or a newer one
	issued  lines[Record]
	revoked lines[RevokedRecord]

	mu    sync.Mutex              // guards the rest
	good  map[string]bool         // serials that were issued, hex
	ended map[string]revocationAt // serials that were revoked, hex
}

type revocationAt struct {
	at  time.Time
	why coi.Revocation
}

// issue takes a line of issued.jsonl.
func (a *ocspCA) issue(r Record) error {
	if r.Serial == "" {
		return errNoSerial
	}
	a.good[r.Serial] = true
	return nil
}

// revoke takes a line of revoked.jsonl. A reason that can not be read does not
// make the certificate good.
func (a *ocspCA) revoke(r RevokedRecord) error {
	if r.Serial == "" {
		return errNoSerial
	}
	if _, again := a.ended[r.Serial]; again {
		return nil
	}
	why, err := coi.ParseRevocation(r.Reason)
	if err != nil {
		why = coi.Unspecified
	}
	a.ended[r.Serial] = revocationAt{r.At, why}
	return nil
}

// refresh reads what was appended to the files since.
func (a *ocspCA) refresh() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.revoked.refresh(); err != nil {
		return err
	}
	return a.issued.refresh()
}

func (a *ocspCA) sign(req *coi.StatusRequest, now time.Time, life time.Duration) ([]byte, error) {
	signer := a.signer.Load()
	if err := signer.Check(now); err != nil {
		return nil, err
	}
	this := now.UTC().Truncate(time.Second)
	v := coi.Validity{This: this, Next: this.Add(life)}
	if end := signer.Cert.NotAfter; end.Before(v.Next) {
		v.Next = end
	}
	answers := make([]coi.Answer, 0, len(req.Certs))
	for _, id := range req.Certs {
		answers = append(answers, a.known(id))
	}
	return signer.SignStatus(answers, v, req.Nonce)
}

// known says what is known of a certificate.
func (a *ocspCA) known(id coi.CertID) coi.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	serial := hex.EncodeToString(id.Serial.Bytes())
	if r, revoked := a.ended[serial]; revoked {
		return coi.Answer{ID: id, State: coi.Revoked, RevokedAt: r.at, Why: r.why}
	}
	if a.good[serial] {
		return coi.Answer{ID: id, State: coi.Good}
	}
	return coi.Answer{ID: id, State: coi.Unknown}
}
