package service

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"time"

	"parley/coi"
)

// statusWithin bounds a question to an OCSP responder from its first octet to
// its last.
const statusWithin = 10 * time.Second

// PeerClient makes an HTTP client that talks to certificate services of a site
// alone, as trust vouches for them: names of hosts do not count. The caller
// closes its idle connections at the end. now may be nil: then it is time.Now.
func PeerClient(trust *coi.Trust, site string, now func() time.Time) *http.Client {
	if now == nil {
		now = time.Now
	}
	return &http.Client{Timeout: statusWithin, Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS13,
			InsecureSkipVerify: true, // VerifyConnection does it, by our own rules
			VerifyConnection: func(cs tls.ConnectionState) error {
				subject, err := trust.Verify(coi.Chain(cs.PeerCertificates...), coi.Service, now())
				if err == nil && subject.Site != site {
					err = fmt.Errorf("%s is not of %s", subject.URI, site)
				}
				return err
			},
		},
	}}
}

// A StatusQuestion is what an OCSP responder is asked.
type StatusQuestion struct {
	URL          string            // of the responder
	Cert, Issuer *x509.Certificate // the certificate, and the CA that signed it
	Now          func() time.Time  // nil is time.Now
}

// AskStatus asks an OCSP responder about a certificate, with a nonce, and
// returns its answer and what it says, after all checks of coi.CheckStatus.
func AskStatus(ctx context.Context, client *http.Client, q StatusQuestion) ([]byte, coi.Status, error) {
	if q.Now == nil {
		q.Now = time.Now
	}
	nonce := make([]byte, coi.NonceSize)
	rand.Read(nonce)
	der, err := coi.NewStatusRequest(q.Cert, q.Issuer, nonce)
	if err != nil {
		return nil, coi.Status{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.URL, bytes.NewReader(der))
	if err != nil {
		return nil, coi.Status{}, fmt.Errorf("ask for status: %w", err)
	}
	req.Header.Set("Content-Type", ocspRequestType)
	resp, err := client.Do(req)
	if err != nil {
		return nil, coi.Status{}, fmt.Errorf("ask for status: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, coi.Status{}, fmt.Errorf("ask for status: %s answers %s", q.URL, resp.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, coi.MaxStatus+1))
	if err != nil {
		return nil, coi.Status{}, fmt.Errorf("ask for status: %w", err)
	}
	status, err := coi.CheckStatus(answer, q.Cert, q.Issuer, coi.StatusOptions{Now: q.Now(), Nonce: nonce})
	if err != nil {
		return nil, coi.Status{}, fmt.Errorf("status from %s: %w", q.URL, err)
	}
	return answer, status, nil
}
