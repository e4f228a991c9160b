package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

func (t *tool) coiCommand() *cobra.Command {
	cmd := group("coi", "The CoI CA: certificates of Communities of Interest", t.coiInitCommand(), t.coiRequestCommand(),
		t.coiIssueCommand(), t.coiRetireCommand(), t.coiListCommand(), t.coiPublishCommand())
	cmd.Long = `The CoI CA is a root of its own, in a directory of its own, run by somebody who
runs neither the site's PKI nor the unwrap service. A CoI's private key is made
in the unwrap service's directory and never leaves it:

  parley-pki coi init    --dir coi --site alpha.example --publish lookup/cois.json
  parley-pki coi request --dir unwrap finance --key-type p256        # unwrap's administrator
  parley-pki coi issue   --dir coi finance --csr finance.csr --out finance.crt`
	return cmd
}

func (t *tool) coiInitCommand() *cobra.Command {
	var site string
	var publish []string
	cmd := &cobra.Command{
		Use:   "init --site DOMAIN [--publish FILE ...]",
		Short: "Make a CoI CA",
		Long: `init makes a CoI CA in a new directory, which --dir names: a root that vouches for
CoIs and for nothing else. --publish names files, the lookup service's cois.json
for instance, to which the list of certificates is copied whenever it changes.`,
		Example: `  parley-pki coi init --dir coi --site alpha.example --publish lookup/cois.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if site == "" {
				return &mistake{"whose CoI CA is this? give --site, a domain such as alpha.example"}
			}
			a, err := service.InitAuthority(t.dir, service.AuthorityPlan{Site: site, Publish: publish}, time.Now())
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "The CoI CA of %s is in %s, until %s.\n\nFingerprint of its root:\n  %x\n\nNext:\n", site, t.dir, when(a.CA.Cert.NotAfter), coi.FingerprintOf(a.CA.Cert))
			fmt.Fprintf(w, "  1. Give %s to the site's administrator, for parley-pki trust coi. It is no secret.\n", a.Realm().Path("root.crt"))
			fmt.Fprintf(w, "  2. Certify a CoI: parley-pki coi issue finance --dir %s --csr finance.csr --out finance.crt\n", quote(t.dir))
			return nil
		},
	}
	cmd.Flags().StringVar(&site, "site", "", "the site's domain, in lower case")
	cmd.Flags().StringArrayVar(&publish, "publish", nil, "a file to which the list of certificates is copied (repeat for several)")
	return cmd
}

// oneCoI takes the local name of a CoI as the only argument.
func oneCoI(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &mistake{"name one CoI, finance for instance"}
	}
	return nil
}

func (t *tool) coiRequestCommand() *cobra.Command {
	var plan service.CoIKeyPlan
	var out string
	cmd := &cobra.Command{
		Use:   "request NAME [--key-type p256|p384|rsa3072] [--pq] [--out FILE]",
		Short: "Make a CoI's private key in the unwrap directory, and a request",
		Long: `request makes a new private key of a CoI in the unwrap service's directory, which
--dir names, and a certification request for the CoI CA. The key never leaves.
With --pq it also makes an X-Wing key, for rooms that ask for post-quantum
envelopes. Older keys stay, to open what was wrapped to them.`,
		Example: `  parley-pki coi request finance --dir unwrap --out finance.csr
  parley-pki coi request legal --dir unwrap --key-type rsa3072
  parley-pki coi request finance --dir unwrap --pq`,
		Args: oneCoI,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			plan.CoI = args[0]
			k, csr, err := r.MakeCoIKey(plan, time.Now())
			if err != nil {
				return err
			}
			if out != "" {
				data, err := os.ReadFile(csr)
				if err != nil {
					return fmt.Errorf("read request: %w", err)
				}
				if err := service.WriteFile(out, data); err != nil {
					return err
				}
				csr = out
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Made the key of %s in %s.\nGive the request to the CoI CA: parley-pki coi issue %s --dir coi --csr %s --out %s\n",
				k.Name, k.File, args[0], quote(csr), quote(strings.TrimSuffix(k.File, ".key")+".crt"))
			return nil
		},
	}
	cmd.Flags().StringVar(&plan.Kind, "key-type", "p256", "p256, p384 or rsa3072")
	cmd.Flags().BoolVar(&plan.PostQuantum, "pq", false, "also make an X-Wing key")
	cmd.Flags().StringVar(&out, "out", "", "file for the request (default beside the key)")
	return cmd
}

// coiIssueFlags is what the flags of coi issue say.
type coiIssueFlags struct {
	csr, out, keyType, keyOut, ocsp, crl string
	days                                 int
}

func (t *tool) coiIssueCommand() *cobra.Command {
	var f coiIssueFlags
	cmd := &cobra.Command{
		Use:   "issue NAME --csr FILE [--out FILE] [--days 7]",
		Short: "Certify a CoI's key",
		Long: `issue makes a certificate for a CoI, retires the one it had, and publishes the list
to the lookup service. With --csr the CoI CA never sees the private key.

Without --csr it makes the key itself and writes it to --key-out (0600): carry
that file to the unwrap service's administrator and destroy every copy.`,
		Example: `  parley-pki coi issue finance --dir coi --csr finance.csr --out finance.crt
  parley-pki coi issue finance --dir coi --csr finance.csr --days 30
  parley-pki coi issue legal --dir coi --key-type rsa3072 --key-out legal.key`,
		Args: oneCoI,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := service.OpenAuthority(t.dir)
			if err != nil {
				return err
			}
			if err := coi.CheckLabel(args[0]); err != nil {
				return err
			}
			req, key, err := f.request()
			if err != nil {
				return err
			}
			name := coi.Name{Purpose: coi.CoI, Site: a.CA.Site, Local: args[0]}
			plan := coi.CoIPlan{Request: req, Life: time.Duration(f.days) * 24 * time.Hour, OCSP: f.ocsp, CRL: f.crl}
			cert, err := a.Issue(name, plan, time.Now())
			if err != nil {
				return err
			}
			return f.issued(cmd, cert, key)
		},
	}
	cmd.Flags().StringVar(&f.csr, "csr", "", "the certification request that coi request made")
	cmd.Flags().StringVar(&f.out, "out", "", "file for the certificate, PEM (default standard output)")
	cmd.Flags().IntVar(&f.days, "days", 7, "how long it lasts")
	cmd.Flags().StringVar(&f.keyType, "key-type", "", "without --csr: p256, p384 or rsa3072")
	cmd.Flags().StringVar(&f.keyOut, "key-out", "", "without --csr: file for the private key")
	cmd.Flags().StringVar(&f.ocsp, "ocsp", "", "the OCSP responder's URL, to stand in the certificate")
	cmd.Flags().StringVar(&f.crl, "crl", "", "the URL of the list of revocations, to stand in the certificate")
	return cmd
}

// request returns what is to be certified, and a new private key in PEM where
// there is no request.
func (f *coiIssueFlags) request() (*coi.CoIRequest, []byte, error) {
	if f.days < 1 {
		return nil, nil, errors.New("--days must be at least 1")
	}
	if f.csr != "" {
		if f.keyType != "" || f.keyOut != "" {
			return nil, nil, errors.New("--csr brings a key of its own: leave out --key-type and --key-out")
		}
		der, err := service.ReadRequest(f.csr)
		if err != nil {
			return nil, nil, err
		}
		req, err := coi.ParseCoIRequest(der)
		return req, nil, err
	}
	if f.keyType == "" || f.keyOut == "" {
		return nil, nil, errors.New("whose key is to be certified? give --csr FILE, which parley-pki coi request makes in the unwrap directory (or --key-type and --key-out, and carry the key there)")
	}
	key, err := coi.NewCoIKey(f.keyType)
	if err != nil {
		return nil, nil, err
	}
	data, err := coi.EncodeCoIKeyPEM(key, nil)
	return &coi.CoIRequest{Key: key.Public()}, data, err
}

// issued writes what was made.
func (f *coiIssueFlags) issued(cmd *cobra.Command, cert *x509.Certificate, key []byte) error {
	if key != nil {
		if err := service.WriteFile(f.keyOut, key); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "The private key is in %s: carry it to the unwrap service's administrator and destroy every copy.\n", f.keyOut)
	}
	if f.out == "" {
		_, err := cmd.OutOrStdout().Write(coi.EncodeCertificatesPEM(cert))
		return err
	}
	if err := service.WriteFile(f.out, coi.EncodeCertificatesPEM(cert)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Made %s: %s, serial %x, until %s.\n", f.out, cert.URIs[0], cert.SerialNumber, when(cert.NotAfter))
	return nil
}

func (t *tool) coiRetireCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retire SERIAL",
		Short: "Stop wrapping to a certificate that is not compromised",
		Long: `retire ends the use of a CoI certificate for new keys. It is still shown, and what
was wrapped to it still opens. A compromised one is revoked instead. Issuing a
new certificate retires the old one by itself.`,
		Example: `  parley-pki coi retire 5f0c2a... --dir coi`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &mistake{"name one serial: parley-pki coi ls prints them"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := service.OpenAuthority(t.dir)
			if err != nil {
				return err
			}
			if err := a.Retire(args[0], time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Retired %s.\n", args[0])
			return nil
		},
	}
}

func (t *tool) coiListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List the certificates of CoIs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := service.OpenAuthority(t.dir)
			if err != nil {
				return err
			}
			list, err := a.List(time.Now())
			if err != nil {
				return err
			}
			if t.json {
				return printJSON(cmd, list)
			}
			var rows []string
			for _, c := range list {
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", c.Name, c.State, c.Serial, when(c.NotAfter)))
			}
			return printTable(cmd.OutOrStdout(), "COI\tSTATE\tSERIAL\tUNTIL", rows)
		},
	})
}

func (t *tool) coiPublishCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "publish",
		Short: "Copy the list of certificates to the lookup service again",
		Long: `publish writes cois.json here and to the files that config.toml names. Every change
does so too; this is for after a change of config.toml, or a full disk.`,
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			a, err := service.OpenAuthority(t.dir)
			if err != nil {
				return err
			}
			return a.Publish(time.Now())
		},
	}
}
