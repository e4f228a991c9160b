package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"parley/coi"
)

func (t *tool) trustCoICommand() *cobra.Command {
	var c coi.Community
	var root string
	cmd := &cobra.Command{
		Use:   "coi NAME --root FILE --lookup URL --unwrap URL [--ocsp URL] [--officer USER]",
		Short: "Tell devices and peers of a CoI: its root, and where its services are",
		Long: `coi puts a CoI of this site into the site's trust bundle: the root that vouches for
it, which the CoI CA made, and where its services are. Devices learn it from the
enrolment service, peers from export-ca. A root that also vouches for devices is
refused.`,
		Example: `  parley-pki trust coi finance --dir pki --root coi/root.crt --lookup https://127.0.0.1:7445 \
      --unwrap https://127.0.0.1:7446 --ocsp https://127.0.0.1:7447 --officer mimi://alpha.example/u/carol`,
		Args: oneCoI,
		RunE: func(cmd *cobra.Command, args []string) error {
			if root == "" || c.Lookup == "" || len(c.Unwrap) == 0 {
				return &mistake{"which root vouches for it, and where are its services? give --root FILE, --lookup URL and --unwrap URL"}
			}
			dir, err := t.open()
			if err != nil {
				return err
			}
			cert, err := readFirst(root)
			if err != nil {
				return err
			}
			c.Name = coi.Name{Purpose: coi.CoI, Site: dir.Site(), Local: args[0]}.URI()
			if err := dir.SetCoI(cert, c); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is in the trust bundle, %s. Peers need it anew: parley-pki export-ca --dir %s\n", c.Name, dir.Path("ca.pem"), quote(t.dir))
			return nil
		},
	}
	cmd.Flags().StringVar(&root, "root", "", "the CoI CA's root.crt")
	cmd.Flags().StringVar(&c.Lookup, "lookup", "", "the lookup service's URL")
	cmd.Flags().StringArrayVar(&c.Unwrap, "unwrap", nil, "an unwrap service's URL (repeat for several)")
	cmd.Flags().StringVar(&c.OCSP, "ocsp", "", "the OCSP responder's URL")
	cmd.Flags().StringVar(&c.Officer, "officer", "", "the site's security officer, mimi://alpha.example/u/carol")
	return cmd
}
