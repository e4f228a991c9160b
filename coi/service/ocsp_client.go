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
// closes its idle connections at the end.
func PeerClient(trust *coi.Trust, site string, now func() time.Time) *http.Client {
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

// AskStatus asks an OCSP responder about a certificate that issuer signed, with
// a nonce, and returns its answer and what it says: checked, and not older than
// the question.
func AskStatus(ctx context.Context, client *http.Client, url string, cert, issuer *x509.Certificate) ([]byte, coi.Status, error) {
	return askStatus(ctx, client, statusQuestion{url, cert, issuer, time.Now})
}

type statusQuestion struct {
	url          string
	cert, issuer *x509.Certificate
	now          func() time.Time
}

func askStatus(ctx context.Context, client *http.Client, q statusQuestion) ([]byte, coi.Status, error) {
	nonce := make([]byte, coi.NonceSize)
	rand.Read(nonce)
	der, err := coi.NewStatusRequest(q.cert, q.issuer, nonce)
	if err != nil {
		return nil, coi.Status{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.url, bytes.NewReader(der))
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
		return nil, coi.Status{}, fmt.Errorf("ask for status: %s answers %s", q.url, resp.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, coi.MaxStatus+1))
	if err != nil {
		return nil, coi.Status{}, fmt.Errorf("ask for status: %w", err)
	}
	status, err := coi.CheckStatus(answer, q.cert, q.issuer, coi.StatusOptions{Now: q.now(), Nonce: nonce})
	if err != nil {
		return nil, coi.Status{}, fmt.Errorf("status from %s: %w", q.url, err)
	}
	return answer, status, nil
}
