package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
)

func (t *tool) nodeCommand() *cobra.Command {
	return group("node", "Certificates of the site's gateway nodes", t.nodeAddCommand(), t.nodeListCommand())
}

func (t *tool) nodeAddCommand() *cobra.Command {
	var hosts []string
	var keyFile string
	cmd := &cobra.Command{
		Use:   "add NAME [--host NAME-OR-ADDRESS ...]",
		Short: "Make the certificates of one more node",
		Long: `add makes a TLS and an ordering certificate for a node. It needs the root's key:
bring it back to the directory, or say with --root-key where it is.`,
		Example: `  parley-pki node add a3 --dir pki --host 192.0.2.9
  parley-pki node add a3 --dir pki --root-key /media/safe/root.key`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &mistake{"name one node: parley-pki node add a3"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := t.open()
			if err != nil {
				return err
			}
			root, err := dir.Root(keyFile)
			if err != nil {
				return fmt.Errorf("the root's key is needed to add a node (--root-key says where it is): %w", err)
			}
			if err := dir.AddNode(root, args[0], hosts, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Made %s. Give that folder and ca.pem to the node, nothing else.\n", dir.Path("nodes", args[0]))
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a DNS name or IP address of the node (default this machine alone)")
	cmd.Flags().StringVar(&keyFile, "root-key", "", "where the root's key is (default root.key in the directory)")
	return cmd
}

// A nodeLine is one node of node ls.
type nodeLine struct {
	Node     string    `json:"node"`
	URI      string    `json:"uri"`
	Until    time.Time `json:"tls_until"`
	Ordering time.Time `json:"ordering_until"`
}

func (t *tool) nodeListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List the nodes that have certificates here",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := t.open()
			if err != nil {
				return err
			}
			nodes, err := dir.Nodes()
			if err != nil {
				return err
			}
			lines, rows := []nodeLine{}, []string{}
			for _, n := range nodes {
				tls, err := dir.Certificate("nodes", n, "tls.crt")
				if err != nil {
					return err
				}
				ordering, err := dir.Certificate("nodes", n, "ordering.crt")
				if err != nil {
					return err
				}
				name := coi.Name{Purpose: coi.Node, Site: dir.Site(), Local: n}
				l := nodeLine{n, name.URI(), tls.NotAfter, ordering.NotAfter}
				lines = append(lines, l)
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", l.Node, l.URI, when(l.Until), when(l.Ordering)))
			}
			if t.json {
				return printJSON(cmd, lines)
			}
			return printTable(cmd.OutOrStdout(), "NODE\tNAME\tTLS UNTIL\tORDERING UNTIL", rows)
		},
	})
}
