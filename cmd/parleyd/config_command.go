package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"parley/groups"
)

func configCommand(path *string) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Write, check and show a node's config"}
	cmd.AddCommand(configInitCommand(), configCheckCommand(path), configShowCommand(path))
	return cmd
}

// configInitCommand writes a config that works with a directory of parley-pki.
func configInitCommand() *cobra.Command {
	var site, node, pki, out, data, host string
	var ports int
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "Write a config for a node made by parley-pki",
		Example: "  parleyd config init --site alpha.example --node a1 --pki pki --out a1.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := &config{
				Site: groups.SiteID(site), Node: node, Data: data,
				Gateway:    gatewayConfig{Listen: fmt.Sprintf("%s:%d", host, ports)},
				Federation: federationConfig{Listen: fmt.Sprintf("%s:%d", host, ports+1)},
				Identity:   pkiIdentity(pki, node),
				Admin:      adminConfig{Listen: fmt.Sprintf("127.0.0.1:%d", ports+2)},
				Log:        logConfig{Level: "info", Format: "auto"},
				dir:        filepath.Dir(out),
			}
			if data == "" {
				c.Data = "data-" + node
			}
			if err := c.check(); err != nil {
				return err
			}
			return writeConfig(cmd, c, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&site, "site", "", "the organisation's domain, such as alpha.example")
	f.StringVar(&node, "node", "", "this node's name, as given to parley-pki init")
	f.StringVar(&pki, "pki", "pki", "the directory parley-pki init made")
	f.StringVar(&out, "out", "parleyd.toml", "the file to write; it must not exist")
	f.StringVar(&data, "data", "", "directory of the room logs (default data-NODE beside the file)")
	f.StringVar(&host, "host", "127.0.0.1", "the address to listen on")
	f.IntVar(&ports, "port", 8443, "first of three ports: devices, other nodes, admin")
	for _, flag := range []string{"site", "node"} {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	return cmd
}

func pkiIdentity(pki, node string) identityConfig {
	abs, err := filepath.Abs(pki)
	if err != nil {
		abs = pki
	}
	dir := filepath.Join(abs, "nodes", node)
	return identityConfig{
		Certificate:         filepath.Join(dir, "tls.crt"),
		Key:                 filepath.Join(dir, "tls.key"),
		OrderingCertificate: filepath.Join(dir, "ordering.crt"),
		OrderingKey:         filepath.Join(dir, "ordering.key"),
		CA:                  filepath.Join(abs, "ca.pem"),
	}
}

func writeConfig(cmd *cobra.Command, c *config, out string) error {
	b, err := toml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return fmt.Errorf("write config: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; check it with: parleyd config check --config %s\n", out, out)
	return err
}

func configCheckCommand(path *string) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Say whether a node could start with its config",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(*path)
			if err != nil {
				return err
			}
			if _, err := loadIdentity(c); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is good: node %s of %s, %d peers\n", *path, c.Node, c.Site, len(c.Peers))
			return err
		},
	}
}

func configShowCommand(path *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the config as the node reads it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(*path)
			if err != nil {
				return err
			}
			b, err := toml.Marshal(c)
			if asJSON {
				b, err = json.MarshalIndent(c, "", "  ")
			}
			if err != nil {
				return fmt.Errorf("encode config: %w", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
