package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
)

func (t *tool) showCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "show FILE",
		Short: "Explain certificates in words",
		Long: `show says what each certificate in a PEM file is, whose it is, how long it lasts,
and whether the CAs of the PKI directory vouch for it (where there is one).`,
		Example: `  parley-pki show pki/nodes/a1/tls.crt
  parley-pki show --dir pki beta-ca.pem`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &mistake{"name one file: parley-pki show FILE"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read certificates: %w", err)
			}
			certs, err := coi.ParseCertificatesPEM(data)
			if err != nil {
				return fmt.Errorf("read %s: %w", args[0], err)
			}
			trust := t.trusted()
			views := []view{}
			for _, c := range certs {
				views = append(views, look(c, trust, time.Now()))
			}
			if t.json {
				return printJSON(cmd, views)
			}
			for i, v := range views {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				v.print(cmd.OutOrStdout())
			}
			return nil
		},
	})
}

// trusted returns the CAs of the PKI directory, nil where there is none.
func (t *tool) trusted() *coi.Trust {
	dir, err := t.open()
	if err != nil {
		return nil
	}
	sites, err := dir.Sites()
	if err != nil {
		return nil
	}
	trust, err := coi.NewTrust(sites...)
	if err != nil {
		return nil
	}
	return trust
}

// A view is a certificate in words.
type view struct {
	What        string    `json:"what"` // device, node, ordering, service, CA, root CA, other
	Name        string    `json:"name,omitempty"`
	Hosts       []string  `json:"hosts,omitempty"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Key         string    `json:"key"`
	Serial      string    `json:"serial"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"fingerprint"`
	Verdict     string    `json:"verdict"`
	Bot         bool      `json:"bot,omitempty"` // a device that no person holds

	meaning, left string
}

// meanings say what each kind of certificate is good for.
var meanings = map[string]string{
	"device":   "a person's device: it logs in to gateways and is a member of rooms",
	"node":     "a gateway node: devices and other nodes connect to it",
	"ordering": "signs the heads of the room logs a node orders; no use in TLS",
	"service":  "HTTPS of a certificate service",
	"CoI":      "a Community of Interest: keys of rooms are wrapped to it",
	"CA":       "an intermediate CA: it may issue certificates, under a root",
	"root CA":  "a root CA: a site trusts it, and so whatever it issued",
	"other":    "a certificate that Parley has no use for",
}

func look(c *x509.Certificate, trust *coi.Trust, now time.Time) view {
	v := view{
		What: "other", Subject: c.Subject.String(), Issuer: c.Issuer.String(), Key: keyKind(c.PublicKey),
		Serial: c.SerialNumber.Text(16), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		Fingerprint: fmt.Sprintf("%x", coi.FingerprintOf(c)), Hosts: c.DNSNames,
	}
	for _, ip := range c.IPAddresses {
		v.Hosts = append(v.Hosts, ip.String())
	}
	var uris []string
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	v.Name = strings.Join(uris, ", ")
	switch {
	case c.IsCA && len(coi.NewSite("", []*x509.Certificate{c}).Intermediates) == 0:
		v.What, v.Verdict = "root CA", caVerdict(c, trust)
	case c.IsCA:
		v.What, v.Verdict = "CA", caVerdict(c, trust)
	default:
		v.judge(c, trust, now)
	}
	v.meaning = meanings[v.What]
	if v.Bot {
		v.meaning = "a bot or a service, that no person holds: it logs in to gateways and is a member of rooms"
	}
	v.left = remaining(c, now)
	return v
}

// judge says what a certificate that is no CA is, and who vouches for it.
func (v *view) judge(c *x509.Certificate, trust *coi.Trust, now time.Time) {
	name, err := coi.ParseName(v.Name)
	if err != nil {
		v.Verdict = err.Error()
		return
	}
	v.What = name.Purpose.String()
	if trust == nil {
		v.Verdict = "not checked: there is no PKI directory here, give --dir"
		return
	}
	s, err := verify(c, name.Purpose, trust, now)
	if err != nil {
		v.Verdict = "refused: " + err.Error()
		return
	}
	v.Bot = s.Bot
	v.Verdict = "good: a CA of " + s.Site + " vouches for it"
}

func verify(c *x509.Certificate, p coi.Purpose, trust *coi.Trust, now time.Time) (*coi.Subject, error) {
	if p == coi.CoI {
		return trust.VerifyCoI(coi.Chain(c), now)
	}
	return trust.Verify(coi.Chain(c), p, now)
}

func caVerdict(c *x509.Certificate, trust *coi.Trust) string {
	if trust == nil {
		return "not checked: there is no PKI directory here, give --dir"
	}
	for _, s := range trust.Sites() {
		for _, ca := range append(s.Roots[:len(s.Roots):len(s.Roots)], s.Intermediates...) {
			if ca.Equal(c) {
				return "trusted here for " + s.Name
			}
		}
		for _, ca := range s.CoIRoots {
			if ca.Equal(c) {
				return "trusted here for the CoIs of " + s.Name
			}
		}
	}
	return "not trusted here: compare its fingerprint before you add it"
}

func keyKind(key crypto.PublicKey) string {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return "Ed25519"
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	}
	return fmt.Sprintf("%T, which Parley does not accept", key)
}

func remaining(c *x509.Certificate, now time.Time) string {
	left := c.NotAfter.Sub(now)
	switch days := int(left.Hours() / 24); {
	case now.After(c.NotAfter):
		return "ENDED"
	case now.Before(c.NotBefore):
		return "NOT YET VALID"
	case left < renewWithin:
		return fmt.Sprintf("%d days left: renew it", days)
	default:
		return fmt.Sprintf("%d days left", days)
	}
}

func (v *view) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", v.What, v.meaning)
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %-12s %s\n", what, text)
		}
	}
	line("name", v.Name)
	line("hosts", strings.Join(v.Hosts, ", "))
	line("subject", v.Subject)
	line("issuer", v.Issuer)
	line("key", v.Key)
	line("valid", fmt.Sprintf("%s to %s (%s)", when(v.NotBefore), when(v.NotAfter), v.left))
	line("serial", v.Serial)
	line("fingerprint", v.Fingerprint)
	line("verdict", v.Verdict)
}
