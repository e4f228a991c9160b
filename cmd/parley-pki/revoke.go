package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

// A revoker revokes certificates of a CA: a *service.Issuer or a
// *service.Authority, which also publishes.
type revoker interface {
	Revoke(what string, why coi.Revocation, now time.Time) ([]service.RevokedRecord, error)
}

// isAuthority says whether --dir is a CoI CA and not a PKI directory.
func (t *tool) isAuthority() bool {
	_, err := os.Stat(filepath.Join(t.dir, "realm.json"))
	return err == nil
}

// issuer opens the CA of --dir: a CoI CA, or the device CA of a PKI directory.
func (t *tool) issuer() (*service.Issuer, error) {
	if t.isAuthority() {
		a, err := service.OpenAuthority(t.dir)
		if err != nil {
			return nil, err
		}
		return a.Issuer, nil
	}
	dir, err := t.open()
	if err != nil {
		return nil, err
	}
	return dir.Issuer()
}

func (t *tool) revokeCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke NAME|SERIAL|DEVICE [--reason WHY]",
		Short: "Revoke a certificate, for ever",
		Long: `revoke ends a certificate before its time. It is durable when the command returns,
and the OCSP responder says "revoked" from that instant. There is no way back:
issue a new certificate.

--dir is the CA that issued it: the CoI CA's directory for a CoI, the PKI
directory for devices. A device is named user/device; a person's URI stands for
all of that person's devices.`,
		Example: `  parley-pki revoke finance --dir coi --reason key-compromise
  parley-pki revoke alice/laptop --dir pki
  parley-pki revoke mimi://alpha.example/u/alice --dir pki --reason affiliation-changed
  parley-pki revoke 5f0c2a... --dir coi --reason superseded`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("what is to be revoked? name one CoI, device, person or serial: parley-pki revoke alice/laptop")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			why, err := coi.ParseRevocation(reason)
			if err != nil {
				return err
			}
			var ca revoker
			if t.isAuthority() {
				ca, err = service.OpenAuthority(t.dir)
			} else {
				ca, err = t.issuer()
			}
			if err != nil {
				return err
			}
			revoked, err := ca.Revoke(args[0], why, time.Now())
			for _, r := range revoked {
				fmt.Fprintf(cmd.OutOrStdout(), "Revoked %s, serial %s, at %s: %s.\n", r.Name, r.Serial, when(r.At), r.Reason)
				if n, err := coi.ParseName(r.Name); err == nil && n.Purpose == coi.CoI && why == coi.KeyCompromise {
					fmt.Fprintf(cmd.OutOrStdout(), "Whoever has its key and the rooms' logs reads what was wrapped to it, also from now on: members list it with\n"+
						"  parley keys history ROOM --serial %s\n", r.Serial)
				}
			}
			if err == nil && len(revoked) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%s was revoked before: nothing was changed.\n", args[0])
			}
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "unspecified", "unspecified, key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation or privilege-withdrawn")
	cmd.AddCommand(t.revokeListCommand())
	return cmd
}

func (t *tool) revokeListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List what was revoked",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			issuer, err := t.issuer()
			if err != nil {
				return err
			}
			revoked, err := issuer.Revoked()
			if err != nil {
				return err
			}
			if t.json {
				return printJSON(cmd, append([]service.RevokedRecord{}, revoked...))
			}
			var rows []string
			for _, r := range revoked {
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", r.Name, r.Serial, when(r.At), r.Reason))
			}
			return printTable(cmd.OutOrStdout(), "NAME\tSERIAL\tREVOKED\tREASON", rows)
		},
	})
}

func (t *tool) crlCommand() *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "crl [--life DURATION]",
		Short: "Sign the list of revocations anew",
		Long: `crl signs the list of revocations (crl.der) of the CA in --dir. Every revocation
does so too; without one the list ends after its life, and then proves nothing:
run this daily. The OCSP service's /ready says when it is due.`,
		Example: `  parley-pki crl --dir coi
  parley-pki crl --dir pki --life 48h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if life <= 0 {
				return &mistake{"--life must be more than nothing, such as 168h"}
			}
			issuer, err := t.issuer()
			if err != nil {
				return err
			}
			now := time.Now()
			if err := issuer.SignCRL(life, now); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Signed %s, until %s.\n", filepath.Join(t.dir, "crl.der"), when(now.Add(life)))
			return nil
		},
	}
	cmd.Flags().DurationVar(&life, "life", service.DefaultCRLLife, "how long the list holds")
	return cmd
}
