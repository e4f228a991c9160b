package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"parley/coi/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	started := false
	err := root(&started).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "parley-pki:", err)
		if _, mistaken := errors.AsType[*mistake](err); mistaken || !started {
			os.Exit(exitUsage)
		}
		os.Exit(1)
	}
}

// exitUsage is the exit status of what was called in a wrong way, as parley's.
const exitUsage = 2

// A mistake says what is wrong with a call, not with what it met.
type mistake struct{ text string }

// Error returns what to give instead.
func (m *mistake) Error() string { return m.text }

// dirVariable names the PKI directory where --dir does not.
const dirVariable = "PARLEY_PKI"

// A tool is what all commands share: the flags of the command tree.
type tool struct {
	dir  string
	json bool
}

// root is the command tree. It notes in started that flags and arguments have been
// found good.
func root(started *bool) *cobra.Command {
	t := &tool{}
	dir := os.Getenv(dirVariable)
	if dir == "" {
		dir = "pki"
	}
	cmd := &cobra.Command{
		Use:   "parley-pki",
		Short: "Make and run a site's certificate services",
		Long: `parley-pki is a site's certificate authority: it makes the certificates of the
gateway's nodes, and certificates for people's devices against one-time codes.

Run it on a machine of its own: whoever holds this directory can speak for
everybody at the site.

  parley-pki init --dir pki --site alpha.example --node a1
  parley-pki enroll --dir pki --listen 127.0.0.1:7443 --gateway https://127.0.0.1:8443
  parley-pki code new --dir pki --user alice --device laptop

Two sites that want to share rooms give each other their CA bundles:

  parley-pki export-ca --dir pki > alpha-ca.pem
  parley-pki trust add --dir pki --site beta.example --ca beta-ca.pem

Communities of Interest, to whose certificates the keys of rooms are wrapped, have
a CA, services and administrators of their own, each with another --dir:

  parley-pki coi --help
  parley-pki lookup --help
  parley-pki ocsp --help`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          helpOrMistake,
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.PersistentPreRun = func(*cobra.Command, []string) { *started = true }
	cmd.PersistentFlags().StringVar(&t.dir, "dir", dir, "the PKI directory (or set "+dirVariable+")")
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w\nsee: %s --help", err, c.CommandPath())
	})
	cmd.AddCommand(t.coiCommand(), t.lookupCommand(), t.ocspCommand(), t.revokeCommand(), t.crlCommand(),
		t.certifyCommand(), t.statusCommand())
	cmd.AddCommand(t.initCommand(), t.nodeCommand(), t.trustCommand(), t.codeCommand(), t.enrollCommand(),
		t.showCommand(), t.exportCommand(), versionCommand(),
		t.unwrapCommand(), t.entitleCommand(), t.botsCommand(), t.logCommand(), t.caseCommand(), t.preflightCommand())
	return cmd
}

// open opens the PKI directory.
func (t *tool) open() (*service.Directory, error) { return service.OpenDirectory(t.dir) }

// jsonFlag adds --json to a command that reads.
func (t *tool) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&t.json, "json", false, "print JSON, for scripts")
	return cmd
}

// group is a command that only holds others.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: helpOrMistake}
	cmd.AddCommand(below...)
	return cmd
}

// helpOrMistake runs where a command of those below should have been named: it
// says which there are.
func helpOrMistake(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	names := cmd.SuggestionsFor(args[0])
	if len(names) == 0 {
		for _, b := range cmd.Commands() {
			if b.IsAvailableCommand() {
				names = append(names, b.Name())
			}
		}
	}
	return &mistake{fmt.Sprintf("%s has no command %q: there is %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "parley-pki", version())
			return err
		},
	}
}

// version is the module's version and the Go it was built with, as parley's and parleyd's.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown build)"
	}
	return info.Main.Version + " " + info.GoVersion
}
