package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
)

func (t *tool) trustCommand() *cobra.Command {
	return group("trust", "Which CAs vouch for other sites", t.trustAddCommand(), t.trustCoICommand(), t.trustListCommand())
}

func (t *tool) trustAddCommand() *cobra.Command {
	var site, file string
	cmd := &cobra.Command{
		Use:   "add --site DOMAIN --ca FILE",
		Short: "Trust a peer's CAs for the peer's own names",
		Long: `add takes the CA bundle another site made with export-ca. It vouches for names of
that site and no other. Adding a site again replaces its CAs. Compare the
fingerprint it prints with the peer's administrator before you rely on it.`,
		Example: `  parley-pki trust add --dir pki --site beta.example --ca beta-ca.pem`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if site == "" || file == "" {
				return &mistake{"whose CAs, and where are they? give --site beta.example and --ca FILE"}
			}
			dir, err := t.open()
			if err != nil {
				return err
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("read CA bundle: %w", err)
			}
			peer, err := coi.ParseSitePEM(data, site)
			if err != nil {
				return fmt.Errorf("read %s: %w", file, err)
			}
			if err := dir.Trust(peer); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Trusted for %s, in %s:\n", site, dir.Path("trust", site, "ca.pem"))
			for _, ca := range append(peer.Roots[:len(peer.Roots):len(peer.Roots)], peer.CoIRoots...) {
				fmt.Fprintf(cmd.OutOrStdout(), "  %s, until %s\n  fingerprint %x\n", ca.Subject, when(ca.NotAfter), coi.FingerprintOf(ca))
			}
			for _, c := range peer.CoIs {
				fmt.Fprintf(cmd.OutOrStdout(), "  %s: lookup %s, unwrap %s\n", c.Name, c.Lookup, strings.Join(c.Unwrap, ", "))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&site, "site", "", "the peer's domain")
	cmd.Flags().StringVar(&file, "ca", "", "the peer's CA bundle, PEM")
	return cmd
}

// A trustLine is one CA of trust ls.
type trustLine struct {
	Site        string    `json:"site"`
	Own         bool      `json:"own"`
	CA          string    `json:"ca"`
	Root        bool      `json:"root"`
	CoIs        bool      `json:"cois,omitempty"` // it vouches for CoIs alone
	Until       time.Time `json:"until"`
	Fingerprint string    `json:"fingerprint"`
}

func trustLines(sites []coi.Site) []trustLine {
	lines := []trustLine{}
	for i, s := range sites {
		for _, ca := range s.Roots {
			lines = append(lines, trustLine{Site: s.Name, Own: i == 0, CA: ca.Subject.String(), Root: true, Until: ca.NotAfter, Fingerprint: fmt.Sprintf("%x", coi.FingerprintOf(ca))})
		}
		for _, ca := range s.Intermediates {
			lines = append(lines, trustLine{Site: s.Name, Own: i == 0, CA: ca.Subject.String(), Until: ca.NotAfter, Fingerprint: fmt.Sprintf("%x", coi.FingerprintOf(ca))})
		}
		for _, ca := range s.CoIRoots {
			lines = append(lines, trustLine{Site: s.Name, Own: i == 0, CA: ca.Subject.String(), Root: true, CoIs: true, Until: ca.NotAfter, Fingerprint: fmt.Sprintf("%x", coi.FingerprintOf(ca))})
		}
	}
	return lines
}

func (t *tool) trustListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List the CAs that are trusted, and for which site",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := t.open()
			if err != nil {
				return err
			}
			sites, err := dir.Sites()
			if err != nil {
				return err
			}
			lines, rows := trustLines(sites), []string{}
			if t.json {
				return printJSON(cmd, lines)
			}
			for _, l := range lines {
				whose := "peer"
				if l.Own {
					whose = "own"
				}
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", l.Site, whose, l.CA, when(l.Until), l.Fingerprint))
			}
			return printTable(cmd.OutOrStdout(), "SITE\tWHOSE\tCA\tUNTIL\tFINGERPRINT", rows)
		},
	})
}
