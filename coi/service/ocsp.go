package service

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"parley/coi"
)

// DefaultStatusLife is how long an OCSP answer holds.
const DefaultStatusLife = time.Hour

// An OCSPCA is one CA that a responder answers for.
type OCSPCA struct {
	Name      string         // of its list: /crl/NAME; required
	Responder *coi.Responder // required
	Issued    string         // file issued.jsonl; required
	Revoked   string         // file revoked.jsonl; required
	CRL       string         // file crl.der; empty for none

	// Renew reads the responder's certificate and key again, with the checks of a
	// start, when one of Files has changed; nil never does.
	Renew func() (*coi.Responder, error)
	Files []string
}

// An OCSPConfig is what an OCSP responder runs on.
type OCSPConfig struct {
	CAs    []OCSPCA
	Life   time.Duration    // of an answer; zero is DefaultStatusLife
	Logger *slog.Logger     // nil logs nothing
	Now    func() time.Time // nil is time.Now
}

// An OCSP is a responder of RFC 6960 and RFC 9654 over HTTP: GET and POST, with
// the nonce of the request. It answers for several CAs, for each with a
// responder certificate of its own, and knows a revocation as soon as it is in
// the file. Without the files it says that it can not answer: never good. It is
// safe for many goroutines.
type OCSP struct {
	config OCSPConfig
	cas    []*ocspCA
	calls  chan struct{} // a token for each call being answered
}

// NewOCSP makes a responder. It refuses a responder's certificate that nobody
// would believe, and files that can not be read.
func NewOCSP(c OCSPConfig) (*OCSP, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Life == 0 {
		c.Life = DefaultStatusLife
	}
	if len(c.CAs) == 0 {
		return nil, errors.New("there is no CA to answer for: parley-pki ocsp add makes one known")
	}
	o := &OCSP{config: c, calls: make(chan struct{}, maxCalls)}
	for _, ca := range c.CAs {
		if err := ca.Responder.Check(c.Now()); err != nil {
			return nil, fmt.Errorf("responder of %s: %w", ca.Name, err)
		}
		a := &ocspCA{OCSPCA: ca, good: map[string]bool{}, ended: map[string]revocationAt{}}
		a.signer.Store(ca.Responder)
		a.issued = lines[Record]{path: ca.Issued, each: a.issue}
		a.revoked = lines[RevokedRecord]{path: ca.Revoked, each: a.revoke}
		if err := a.refresh(); err != nil {
			return nil, fmt.Errorf("records of %s: %w", ca.Name, err)
		}
		o.cas = append(o.cas, a)
	}
	return o, nil
}

// answer signs what is known. All certificates of a request must be of one CA.
func (o *OCSP) answer(req *coi.StatusRequest) []byte {
	var ca *ocspCA
	for _, id := range req.Certs {
		of := o.find(id)
		if of == nil || ca != nil && of != ca {
			return coi.StatusUnauthorized.Refusal()
		}
		ca = of
	}
	if err := ca.refresh(); err != nil {
		o.config.Logger.Error("no status is given: the CA's records can not be read", "ca", ca.Name, "err", err)
		return coi.StatusTryLater.Refusal()
	}
	der, err := ca.sign(req, o.config.Now(), o.config.Life)
	if err != nil {
		o.config.Logger.Error("status not signed", "ca", ca.Name, "err", err)
		return coi.StatusInternal.Refusal()
	}
	return der
}

func (o *OCSP) find(id coi.CertID) *ocspCA {
	for _, ca := range o.cas {
		if id.Of(ca.Responder.Issuer) {
			return ca
		}
	}
	return nil
}

// Problems lists what keeps the responder from answering, or soon will.
func (o *OCSP) Problems() []string {
	now := o.config.Now()
	var out []string
	for _, ca := range o.cas {
		if err := ca.refresh(); err != nil {
			out = append(out, fmt.Sprintf("%s: no status is given: %v", ca.Name, err))
		}
		if err := ca.signer.Load().Check(now.Add(o.config.Life)); err != nil {
			out = append(out, fmt.Sprintf("%s: the responder's certificate must be renewed (parley-pki certify responder): %v", ca.Name, err))
		}
		if ca.CRL == "" {
			continue
		}
		if err := checkCRLAge(ca.CRL, now); err != nil {
			out = append(out, fmt.Sprintf("%s: sign the list of revocations anew (parley-pki crl): %v", ca.Name, err))
		}
	}
	return out
}

// checkCRLAge refuses a list of revocations of which more than three quarters
// of its life are over.
func checkCRLAge(path string, now time.Time) error {
	der, err := readSmall(path, coi.MaxCRL)
	if err != nil {
		return err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if left := list.NextUpdate.Sub(now); left < list.NextUpdate.Sub(list.ThisUpdate)/4 {
		return fmt.Errorf("it holds until %s", list.NextUpdate.UTC().Format(time.RFC3339))
	}
	return nil
}
