package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "parleyd:", err)
		stop()
		os.Exit(1)
	}
}

// root is the command tree. Running a node is the default.
func root() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "parleyd",
		Short: "Run a Parley gateway node",
		Long: `parleyd runs one gateway node of a site: devices connect to it, other nodes
exchange encrypted room traffic with it. It keeps ciphertext only.

Its identity comes from parley-pki, its settings from one TOML file:

  parley-pki init --dir pki --site alpha.example --node a1
  parleyd config init --site alpha.example --node a1 --pki pki --out a1.toml
  parleyd config check --config a1.toml
  parleyd --config a1.toml`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(path)
			if err != nil {
				return err
			}
			return run(cmd.Context(), c)
		},
	}
	cmd.PersistentFlags().StringVarP(&path, "config", "c", "parleyd.toml", "the node's config file")
	cmd.AddCommand(configCommand(&path), roomCommand(&path), versionCommand())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// version is the module's version and the Go it was built with.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "parleyd (unknown build)"
	}
	return fmt.Sprintf("parleyd %s %s", info.Main.Version, info.GoVersion)
}
