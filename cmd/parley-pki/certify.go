package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

func (t *tool) certifyCommand() *cobra.Command {
	return group("certify", "Turn requests of other services into certificates", t.certifyServiceCommand(), t.certifyResponderCommand())
}

// certifyFlags are where a request is read and a certificate written.
type certifyFlags struct{ csr, out string }

func (f *certifyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.csr, "csr", "", "the certification request, PEM; its key stays where it was made")
	cmd.Flags().StringVar(&f.out, "out", "", "file for the certificate, PEM")
}

func (f *certifyFlags) read() ([]byte, error) {
	if f.csr == "" || f.out == "" {
		return nil, errors.New("which request, and where to? give --csr FILE and --out FILE")
	}
	return service.ReadRequest(f.csr)
}

func (t *tool) certifyServiceCommand() *cobra.Command {
	var f certifyFlags
	var hosts []string
	var keyFile string
	cmd := &cobra.Command{
		Use:   "service NAME --csr FILE --out FILE [--host NAME-OR-ADDRESS ...]",
		Short: "Make the HTTPS certificate of lookup, ocsp or unwrap",
		Long: `service makes the HTTPS certificate of a service that runs from a directory of its
own, for the request that its init made. The service's key never comes here. It
needs the root's key.`,
		Example: `  parley-pki certify service lookup --dir pki --csr lookup/tls.csr --out lookup/tls.crt
  parley-pki certify service unwrap --dir pki --csr tls.csr --out tls.crt --host unwrap.alpha.example`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &mistake{"name one service: parley-pki certify service lookup --csr FILE --out FILE"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			csr, err := f.read()
			if err != nil {
				return err
			}
			dir, err := t.open()
			if err != nil {
				return err
			}
			root, err := dir.Root(keyFile)
			if err != nil {
				return fmt.Errorf("the root's key is needed to certify a service (--root-key says where it is): %w", err)
			}
			key, err := coi.ParseRequest(csr)
			if err != nil {
				return err
			}
			if len(hosts) == 0 {
				hosts = service.DefaultHosts()
			}
			cert, err := root.CertifyService(args[0], key, hosts, time.Now())
			if err != nil {
				return err
			}
			return certified(cmd, f.out, cert, root.Cert)
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a DNS name or IP address of the service (default this machine alone)")
	cmd.Flags().StringVar(&keyFile, "root-key", "", "where the root's key is (default root.key in the directory)")
	return cmd
}

func (t *tool) certifyResponderCommand() *cobra.Command {
	var f certifyFlags
	cmd := &cobra.Command{
		Use:   "responder --csr FILE --out FILE",
		Short: "Let an OCSP responder answer for this CA",
		Long: `responder makes the certificate with which parley-pki ocsp signs its answers, for
the request that ocsp add made. --dir is the CA it is to answer for: the CoI CA's
directory, or the PKI directory for devices. It lasts 30 days: do it again before.`,
		Example: `  parley-pki certify responder --dir coi --csr ocsp/coi/responder.csr --out ocsp/coi/responder.crt
  parley-pki certify responder --dir pki --csr ocsp/devices/responder.csr --out ocsp/devices/responder.crt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			csr, err := f.read()
			if err != nil {
				return err
			}
			issuer, err := t.issuer()
			if err != nil {
				return err
			}
			cert, err := issuer.CertifyResponder(csr, time.Now())
			if err != nil {
				return err
			}
			return certified(cmd, f.out, cert)
		},
	}
	f.add(cmd)
	return cmd
}

// certified writes a certificate and says so.
func certified(cmd *cobra.Command, out string, certs ...*x509.Certificate) error {
	if err := service.WriteFile(out, coi.EncodeCertificatesPEM(certs...)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Made %s: %s, until %s.\n", out, certs[0].Subject, when(certs[0].NotAfter))
	return nil
}
