package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

const defaultOCSP = "127.0.0.1:7447"

func (t *tool) ocspCommand() *cobra.Command {
	var f serviceFlags
	var plain string
	cmd := &cobra.Command{
		Use:   "ocsp [--listen ADDRESS]",
		Short: "Run the OCSP responder: which certificates are revoked",
		Long: `ocsp answers whether certificates are good, revoked or unknown (RFC 6960, RFC 9654:
GET, POST, nonce), and serves the lists of revocations under /crl/NAME. It
answers for the CoI CA and for the device CA, each with a responder certificate
that this CA made; it has no CA's key. A revocation is known at once; without
the records of a CA it gives no answer rather than a wrong one.

Its certificates are renewed while it runs: have the CA certify the same request
again (parley-pki certify responder, certify service) before a third of the life of
the last one is left; the log warns from then on.

It stops on SIGINT or SIGTERM. GET /ready says what is wrong, if anything is.`,
		Example: `  parley-pki ocsp init --dir ocsp --site alpha.example --bundle alpha-ca.pem
  parley-pki ocsp add coi --dir ocsp --ca coi
  parley-pki ocsp add devices --dir ocsp --ca pki
  parley-pki ocsp --dir ocsp
  parley-pki ocsp --dir ocsp --plain 127.0.0.1:7450    # HTTP: answers are signed anyway
  openssl ocsp -issuer coi/root.crt -cert finance.crt -CAfile coi/root.crt -url http://127.0.0.1:7450`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return helpOrMistake(cmd, args)
			}
			if err := f.check(); err != nil {
				return err
			}
			return t.ocsp(cmd, &f, plain)
		},
	}
	f.add(cmd, defaultOCSP)
	cmd.Flags().StringVar(&plain, "plain", "", "also serve without TLS on this address")
	cmd.AddCommand(t.ocspInitCommand(), t.ocspAddCommand())
	return cmd
}

func (t *tool) ocspInitCommand() *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:     "init --site DOMAIN --bundle FILE",
		Short:   "Make the directory of an OCSP responder",
		Example: `  parley-pki ocsp init --dir ocsp --site alpha.example --bundle alpha-ca.pem`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := f.plan(service.RoleOCSP)
			if err != nil {
				return err
			}
			p.Config = []byte("# How long an answer holds.\nlife = \"1h\"\n")
			r, err := service.InitRealm(t.dir, p)
			if err != nil {
				return err
			}
			realmMade(cmd.OutOrStdout(), r, p.Bundle != nil,
				"Make the CAs known: parley-pki ocsp add coi --dir "+quote(t.dir)+" --ca coi, and add devices --ca pki",
				"Run it: parley-pki ocsp --dir "+quote(t.dir))
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func (t *tool) ocspAddCommand() *cobra.Command {
	var ca string
	cmd := &cobra.Command{
		Use:   "add NAME --ca DIRECTORY",
		Short: "Answer for one more CA",
		Long: `add makes a key with which the responder will answer for a CA, and a request for its
certificate. --ca is the CA's directory: its public certificate is copied; of
issued.jsonl, revoked.jsonl and crl.der the responder reads what is there now and
then (give its user the right to read these three, and nothing else).`,
		Example: `  parley-pki ocsp add coi --dir ocsp --ca coi
  parley-pki ocsp add devices --dir ocsp --ca pki`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &mistake{"name the CA, coi or devices for instance: its list will be /crl/NAME"}
			}
			return coi.CheckLabel(args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if ca == "" {
				return &mistake{"where is the CA? give --ca, the directory of the CoI CA or the PKI directory"}
			}
			r, err := service.OpenRealm(t.dir, service.RoleOCSP)
			if err != nil {
				return err
			}
			csr, err := r.AddOCSP(args[0], service.CADirectory(ca))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Have the CA certify it: parley-pki certify responder --dir %s --csr %s --out %s\n",
				quote(ca), quote(csr), quote(r.Path(args[0], "responder.crt")))
			return nil
		},
	}
	cmd.Flags().StringVar(&ca, "ca", "", "the CA's directory")
	return cmd
}

func (t *tool) ocsp(cmd *cobra.Command, f *serviceFlags, plain string) error {
	r, err := service.OpenRealm(t.dir, service.RoleOCSP)
	if err != nil {
		return err
	}
	if err := r.CheckApart(); err != nil {
		return err
	}
	config, err := r.OCSPConfig()
	if err != nil {
		return err
	}
	config.Logger = f.logger(cmd.ErrOrStderr())
	o, err := service.NewOCSP(config)
	if err != nil {
		return err
	}
	return f.run(cmd, running{realm: r, handler: o.Handler(), renewed: o.Renewals(), plain: plain})
}

// statusFlags is what the flags of status say.
type statusFlags struct{ url, issuer, bundle string }

func (t *tool) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := t.jsonFlag(&cobra.Command{
		Use:   "status FILE --issuer FILE --url URL",
		Short: "Ask an OCSP responder about a certificate, and check all it says",
		Long: `status asks with a nonce and believes the answer only after every check that a
device makes: signer, purpose, certificate asked for, time, nonce. It exits with
an error unless the certificate is good.`,
		Example: `  parley-pki status finance.crt --issuer coi/root.crt --url http://127.0.0.1:7450
  parley-pki status finance.crt --issuer coi/root.crt --url https://127.0.0.1:7447 --bundle alpha-ca.pem`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &mistake{"name one certificate: parley-pki status FILE --issuer FILE --url URL"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return t.status(cmd, args[0], &f) },
	})
	cmd.Flags().StringVar(&f.url, "url", "https://"+defaultOCSP, "the responder's URL")
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "the certificate of the CA that issued it")
	cmd.Flags().StringVar(&f.bundle, "bundle", "", "the site's trust bundle, to know the responder's HTTPS by")
	return cmd
}

// A statusLine is what status prints.
type statusLine struct {
	State     string    `json:"state"`
	This      time.Time `json:"this_update"`
	Next      time.Time `json:"next_update"`
	Revoked   time.Time `json:"revoked_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
	Responder string    `json:"responder"`
	EndsSoon  []string  `json:"ends_soon,omitempty"` // certificates with less than a third of their life left
}

func (t *tool) status(cmd *cobra.Command, file string, f *statusFlags) error {
	if f.issuer == "" {
		return &mistake{"who issued it? give --issuer FILE"}
	}
	cert, err := readFirst(file)
	if err != nil {
		return err
	}
	issuer, err := readFirst(f.issuer)
	if err != nil {
		return err
	}
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	_, s, err := service.AskStatus(cmd.Context(), client, service.StatusQuestion{URL: f.url, Cert: cert, Issuer: issuer})
	if err != nil {
		return err
	}
	l := statusLine{State: s.State.String(), This: s.ThisUpdate, Next: s.NextUpdate, Revoked: s.RevokedAt, Responder: s.Responder}
	if s.State == coi.Revoked {
		l.Reason = s.Why.String()
	}
	now := time.Now()
	if service.EndsSoon(cert.NotBefore, cert.NotAfter, now) {
		l.EndsSoon = append(l.EndsSoon, fmt.Sprintf("%s ends at %s", file, when(cert.NotAfter)))
	}
	if service.EndsSoon(s.Certified[0], s.Certified[1], now) {
		l.EndsSoon = append(l.EndsSoon, fmt.Sprintf("the certificate of who answers, %s, ends at %s: parley-pki certify responder", s.Responder, when(s.Certified[1])))
	}
	if t.json {
		err = printJSON(cmd, l)
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, known since %s, to be asked again before %s\n", file, l.State, when(l.This), when(l.Next))
		for _, soon := range l.EndsSoon {
			fmt.Fprintf(cmd.OutOrStdout(), "warning: %s\n", soon)
		}
	}
	if err == nil && s.State != coi.Good {
		err = fmt.Errorf("%s is %s", file, s.State)
	}
	return err
}

func readFirst(file string) (*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	certs, err := coi.ParseCertificatesPEM(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return certs[0], nil
}

// client talks to the site's own services, or to anybody over plain HTTP: the
// answer is signed.
func (f *statusFlags) client() (*http.Client, error) {
	if f.bundle == "" {
		if strings.HasPrefix(f.url, "https:") {
			return nil, errors.New("an https responder is known by the site's trust bundle: give --bundle FILE")
		}
		return &http.Client{Timeout: callWithin, Transport: &http.Transport{}}, nil
	}
	data, err := os.ReadFile(f.bundle)
	if err != nil {
		return nil, fmt.Errorf("read trust bundle: %w", err)
	}
	site, err := service.BundleSite(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.bundle, err)
	}
	trust, err := coi.NewTrust(site)
	if err != nil {
		return nil, err
	}
	return service.PeerClient(trust, site.Name, nil), nil
}
