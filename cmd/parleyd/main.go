package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"parley/groups"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	started := false
	if err := root(&started).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "parleyd: "+words(err))
		stop()
		if !started {
			fmt.Fprintln(os.Stderr, "See 'parleyd --help' and 'parleyd COMMAND --help'.")
			os.Exit(exitUsage)
		}
		os.Exit(1)
	}
}

// exitUsage is the exit status of what was called in a wrong way, as parley's.
const exitUsage = 2

// words is an error without the kinds of those that are ours: they are for programs.
func words(err error) string {
	text := err.Error()
	for _, kind := range []groups.Kind{groups.Invalid, groups.Denied, groups.NotFound, groups.Conflict, groups.NoSpace, groups.Unavailable} {
		text = strings.ReplaceAll(text, ": "+kind.String()+": ", ": ")
	}
	return text
}

// root is the command tree. Running a node is the default. It notes in started that
// flags and arguments have been found good.
func root(started *bool) *cobra.Command {
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
		Version:       version(),
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
	cmd.SetVersionTemplate("{{.Version}}\n")
	cmd.PersistentPreRun = func(*cobra.Command, []string) { *started = true }
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
