package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

func (t *tool) initCommand() *cobra.Command {
	var plan service.Plan
	cmd := &cobra.Command{
		Use:   "init --site DOMAIN [--node NAME ...] [--host NAME-OR-ADDRESS ...]",
		Short: "Make a site's CAs and certificates",
		Long: `init makes a site's PKI in a new directory: a root CA, a CA for devices, for each
node a TLS and an ordering certificate, and an HTTPS certificate for the
enrolment service. A directory that is not empty is left alone.

Hosts are the DNS names and addresses under which nodes and the service are
reached. Without --host that is this machine alone (localhost, 127.0.0.1, ::1).`,
		Example: `  parley-pki init --dir pki --site alpha.example --node a1 --node a2
  parley-pki init --dir pki --site alpha.example --node a1 --host chat.alpha.example --host 192.0.2.7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if plan.Site == "" {
				return &mistake{"whose PKI is this? give --site, a domain such as alpha.example"}
			}
			dir, err := service.InitDirectory(t.dir, plan, time.Now())
			if err != nil {
				return err
			}
			return t.made(cmd.OutOrStdout(), dir, plan)
		},
	}
	cmd.Flags().StringVar(&plan.Site, "site", "", "the site's domain, in lower case")
	cmd.Flags().StringArrayVar(&plan.Nodes, "node", nil, "a gateway node's name (repeat for several)")
	cmd.Flags().StringArrayVar(&plan.Hosts, "host", nil, "a DNS name or IP address of the nodes and the service (repeat for several)")
	return cmd
}

// made says what init made and what to do next.
func (t *tool) made(w io.Writer, dir *service.Directory, plan service.Plan) error {
	own, err := dir.Own()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "The PKI of %s is in %s:\n\n", dir.Site(), t.dir)
	rows := []string{
		"root.crt, root.key\troot CA, until " + when(own.Roots[0].NotAfter),
		"device-ca.crt, device-ca.key\tissues device certificates, until " + when(own.Intermediates[0].NotAfter),
		"enroll/tls.crt, tls.key\tHTTPS of parley-pki enroll",
		"ca.pem\tthe CA bundle: no secret, nodes and peers need it",
	}
	for _, n := range plan.Nodes {
		rows = append(rows, "nodes/"+n+"/\tTLS and ordering certificates of node "+n)
	}
	if err := printTable(w, "FILE\tWHAT", rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nFingerprint of the root, which devices are told:\n  %x\n\nNext:\n", coi.FingerprintOf(own.Roots[0]))
	fmt.Fprintf(w, "  1. Take %s to a safe place: it is needed to add nodes, not to enrol devices.\n", dir.Path("root.key"))
	if len(plan.Nodes) > 0 {
		fmt.Fprintf(w, "  2. Give each gateway its folder under %s, and ca.pem; nothing else.\n", dir.Path("nodes"))
	} else {
		fmt.Fprintf(w, "  2. Make certificates for a gateway: parley-pki node add --dir %s a1\n", quote(t.dir))
	}
	fmt.Fprintf(w, "  3. Run the enrolment service: parley-pki enroll --dir %s --gateway https://HOST:8443\n", quote(t.dir))
	fmt.Fprintf(w, "  4. Let somebody in: parley-pki code new --dir %s --user alice --device laptop\n", quote(t.dir))
	return nil
}

func (t *tool) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export-ca",
		Short: "Print the site's CA bundle, to give to a peer",
		Long: `export-ca prints the site's CA certificates in PEM. There is no secret in it; but
the peer must be sure that it is yours: compare the root's fingerprint, which
init and show print, over another channel.`,
		Example: `  parley-pki export-ca --dir pki > alpha-ca.pem`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := t.open()
			if err != nil {
				return err
			}
			own, err := dir.Own()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(own.PEM())
			return err
		},
	}
}
