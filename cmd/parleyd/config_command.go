package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"parley/groups"
)

func configCommand(path *string) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Write, check and show a node's config"}
	cmd.AddCommand(configInitCommand(), configCheckCommand(path), configShowCommand(path))
	return cmd
}

// initFlags are what config init is told.
type initFlags struct {
	site, node, pki, out, data, host string
	port                             int
	peers, join                      []string
	gossipKey                        string
}

// configInitCommand writes a config that works with a directory of parley-pki.
func configInitCommand() *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a config for a node made by parley-pki",
		Example: `  parleyd config init --site alpha.example --node a1 --pki pki --out a1.toml
  parleyd config init --site alpha.example --node a1 --pki pki --peer beta.example=gw.beta.example:8444=beta-ca.pem
  parleyd config init --site alpha.example --node a2 --pki pki --port 8543 --gossip-key gossip.key --join 127.0.0.1:8446`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.config()
			if err != nil {
				return err
			}
			if err := c.check(); err != nil {
				return err
			}
			return writeConfig(cmd, c, f.out)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.site, "site", "", "the organisation's domain, such as alpha.example")
	flags.StringVar(&f.node, "node", "", "this node's name, as given to parley-pki init")
	flags.StringVar(&f.pki, "pki", "pki", "the directory parley-pki init made")
	flags.StringVar(&f.out, "out", "parleyd.toml", "the file to write; it must not exist")
	flags.StringVar(&f.data, "data", "", "directory of the room logs (default data-NODE beside the file)")
	flags.StringVar(&f.host, "host", "127.0.0.1", "the address to listen on")
	flags.IntVar(&f.port, "port", 8443, "first of four ports: devices, other nodes, admin, gossip")
	flags.StringArrayVar(&f.peers, "peer", nil, "another site, as SITE=HOST:PORT=CAFILE; repeat for more")
	flags.StringVar(&f.gossipKey, "gossip-key", "", "file of 32 bytes that the site's nodes share; without it the node is alone")
	flags.StringArrayVar(&f.join, "join", nil, "gossip address of another node of this site; repeat for more")
	for _, flag := range []string{"site", "node"} {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	return cmd
}

// config makes the file that the flags ask for.
func (f *initFlags) config() (*config, error) {
	at := func(i int) string { return fmt.Sprintf("%s:%d", f.host, f.port+i) }
	c := &config{
		Site: groups.SiteID(f.site), Node: f.node, Data: f.data,
		Gateway: gatewayConfig{Listen: at(0)}, Federation: federationConfig{Listen: at(1)},
		Identity: pkiIdentity(f.pki, f.node),
		Admin:    adminConfig{Listen: fmt.Sprintf("127.0.0.1:%d", f.port+2)},
		Log:      logConfig{Level: "info", Format: "auto"},
		dir:      filepath.Dir(f.out),
	}
	if f.data == "" {
		c.Data = "data-" + f.node
	}
	for _, p := range f.peers {
		parts := strings.SplitN(p, "=", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("--peer %q: write SITE=HOST:PORT=CAFILE, such as beta.example=gw.beta.example:8444=beta-ca.pem", p)
		}
		c.Peers = append(c.Peers, peerConfig{
			Site: groups.SiteID(parts[0]), Addresses: []string{parts[1]}, CA: absolute(parts[2]),
		})
	}
	if f.gossipKey != "" || len(f.join) > 0 {
		c.Gossip = gossipConfig{Listen: at(3), KeyFile: absolute(f.gossipKey), Join: f.join}
	}
	return c, nil
}

// absolute is where a file named on the command line stands, whatever folder
// the config is written to.
func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil || path == "" {
		return path
	}
	return abs
}

func pkiIdentity(pki, node string) identityConfig {
	abs := absolute(pki)
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
			peers := "peers"
			if len(c.Peers) == 1 {
				peers = "peer"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is good: node %s of %s, %d %s\n", *path, c.Node, c.Site, len(c.Peers), peers)
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
