package service

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/coi"
)

const (
	// DefaultStatusLife is how long an OCSP answer holds.
	DefaultStatusLife = time.Hour
	// ocspRequestType and ocspResponseType are of RFC 6960, Appendix A.
	ocspRequestType  = "application/ocsp-request"
	ocspResponseType = "application/ocsp-response"
)

// errNoSerial says that a record is of no certificate.
var errNoSerial = errors.New("a record without a serial")

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

// Handler serves POST / and GET /BASE64 (RFC 6960, Appendix A), GET /crl/NAME,
// and GET /ready, which says what is wrong.
func (o *OCSP) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crl/{name}", o.crl)
	mux.HandleFunc("GET /ready", o.ready)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case o.calls <- struct{}{}:
			defer func() { <-o.calls }()
		default:
			o.write(w, coi.StatusTryLater.Refusal())
			return
		}
		if r.Method == http.MethodGet && (strings.HasPrefix(r.URL.Path, "/crl/") || r.URL.Path == "/ready") {
			mux.ServeHTTP(w, r)
			return
		}
		o.status(w, r)
	})
}

func (o *OCSP) write(w http.ResponseWriter, der []byte) {
	w.Header().Set("Content-Type", ocspResponseType)
	w.Header().Set("Cache-Control", "no-store") // a revocation is known at once
	if _, err := w.Write(der); err != nil {
		o.config.Logger.Debug("status not delivered", "err", err)
	}
}

// status answers a request.
func (o *OCSP) status(w http.ResponseWriter, r *http.Request) {
	der, code := readStatusRequest(w, r)
	if code != 0 {
		http.Error(w, http.StatusText(code), code)
		return
	}
	req, err := coi.ParseStatusRequest(der)
	if err != nil {
		o.config.Logger.Debug("status request refused", "from", r.RemoteAddr, "err", err)
		o.write(w, coi.StatusMalformed.Refusal())
		return
	}
	o.write(w, o.answer(req))
}

// readStatusRequest returns the DER of a request, or an HTTP code.
func readStatusRequest(w http.ResponseWriter, r *http.Request) ([]byte, int) {
	switch r.Method {
	case http.MethodPost:
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != ocspRequestType {
			return nil, http.StatusUnsupportedMediaType
		}
		der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, coi.MaxStatusRequest))
		if err != nil {
			return nil, http.StatusRequestEntityTooLarge
		}
		return der, 0
	case http.MethodGet:
		text, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
		if err != nil || text == "" || len(text) > 2*coi.MaxStatusRequest {
			return nil, http.StatusNotFound
		}
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, http.StatusNotFound
		}
		return der, 0
	}
	w.Header().Set("Allow", "GET, POST")
	return nil, http.StatusMethodNotAllowed
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

// crl serves a CA's list of revocations.
func (o *OCSP) crl(w http.ResponseWriter, r *http.Request) {
	for _, ca := range o.cas {
		if ca.Name != r.PathValue("name") || ca.CRL == "" {
			continue
		}
		der, err := readSmall(ca.CRL, coi.MaxCRL)
		if err != nil {
			o.config.Logger.Error("list of revocations not given", "ca", ca.Name, "err", err)
			http.Error(w, "the list of revocations can not be read", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/pkix-crl")
		w.Header().Set("Cache-Control", "no-store")
		if _, err := w.Write(der); err != nil {
			o.config.Logger.Debug("list of revocations not delivered", "err", err)
		}
		return
	}
	http.NotFound(w, r)
}

// ready says in words what is wrong, if anything is.
func (o *OCSP) ready(w http.ResponseWriter, _ *http.Request) {
	for _, problem := range o.Problems() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, problem)
		return
	}
	fmt.Fprintln(w, "ready")
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
