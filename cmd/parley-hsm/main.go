//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"parley/coi/hsm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "parley-hsm:", err)
		os.Exit(1)
	}
}

// maxPIN is the longest PIN, in bytes; a longer file is refused.
const maxPIN = 256

// A program is what its flags say.
type program struct {
	module, token, pinFile, socket string
}

func root() *cobra.Command {
	p := &program{}
	cmd := &cobra.Command{
		Use:   "parley-hsm",
		Short: "Let an unwrap service use the keys of a PKCS #11 token",
		Long: `parley-hsm logs in to a token and serves its private keys on a unix socket, to processes
of the same user only: EC keys on P-256 and P-384 for agreement, RSA keys of 3072 bits
or more for OAEP with SHA-256, in tokens that have that (SoftHSM has it with SHA-1 only).
Each key is tried at the start; list says what is wrong with one, and serve does not
start with it. A key's label is the name of its CoI; of several under one label the one
with the greatest id is the active one. Each EC key needs its public key object under
the same id.

  parley-hsm make --module /usr/lib/softhsm/libsofthsm2.so --token parley \
    --pin-file unwrap/pin --coi mimi://alpha.example/c/finance > finance.csr
  parley-hsm serve --module /usr/lib/softhsm/libsofthsm2.so --token parley \
    --pin-file unwrap/pin --socket unwrap/hsm.sock

The PIN's file must be readable by its owner alone.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&p.module, "module", "", "the token's PKCS #11 library")
	f.StringVar(&p.token, "token", "", "the token's label")
	f.StringVar(&p.pinFile, "pin-file", "", "file with the user's PIN")
	serve := &cobra.Command{
		Use: "serve", Short: "Serve the keys on a socket", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context()) },
	}
	serve.Flags().StringVar(&p.socket, "socket", "", "where to listen, in the unwrap service's own directory")
	list := &cobra.Command{
		Use: "list", Short: "List the keys that would be served", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.list() },
	}
	var plan keyPlan
	create := &cobra.Command{
		Use: "make", Short: "Make a key in the token, print the request for its certificate", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.make(plan) },
	}
	create.Flags().StringVar(&plan.name, "coi", "", "the CoI: mimi://alpha.example/c/finance")
	create.Flags().StringVar(&plan.id, "id", "01", "the key's id, hexadecimal; the greatest of a CoI is the active key")
	create.Flags().StringVar(&plan.kind, "kind", "p256", "p256 or p384")
	cmd.AddCommand(serve, list, create)
	return cmd
}

// open logs in to the token.
func (p *program) open() (*token, error) {
	for name, value := range map[string]string{"module": p.module, "token": p.token, "pin-file": p.pinFile} {
		if value == "" {
			return nil, fmt.Errorf("--%s is missing", name)
		}
	}
	pin, err := readPIN(p.pinFile)
	if err != nil {
		return nil, err
	}
	return openToken(p.module, p.token, pin)
}

// readPIN takes the PIN from a file for its owner alone.
func readPIN(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read the PIN: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 || info.Size() > maxPIN {
		return "", fmt.Errorf("read the PIN: %s has mode %#o and %d bytes: chmod 600, at most %d", path, info.Mode().Perm(), info.Size(), maxPIN)
	}
	pin, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the PIN: %w", err)
	}
	return strings.TrimRight(string(pin), "\r\n"), nil
}

func (p *program) serve(ctx context.Context) error {
	if p.socket == "" {
		return errors.New("--socket is missing")
	}
	t, err := p.open()
	if err != nil {
		return err
	}
	defer t.close()
	if len(t.found) == 0 {
		return fmt.Errorf("token %q has no EC or RSA key with a label", p.token)
	}
	for _, k := range t.found {
		if k.problem != nil {
			return fmt.Errorf("key %q, id %x, can not be used: %w; take it out of the token, or give the service another token", k.name, k.id, k.problem)
		}
	}
	l, err := hsm.Listen(p.socket)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "parley-hsm: %d keys of token %q at %s\n", len(t.Keys()), p.token, p.socket)
	s := &hsm.Server{Token: t, Log: func(err error) { fmt.Fprintln(os.Stderr, "parley-hsm:", err) }}
	return s.Serve(ctx, l)
}

func (p *program) list() error {
	t, err := p.open()
	if err != nil {
		return err
	}
	defer t.close()
	for _, k := range t.found {
		line := fmt.Sprintf("%x  %s  id %x", k.spki, k.name, k.id)
		if k.problem != nil {
			line += fmt.Sprintf("  can not be used: %v", k.problem)
		}
		if _, err := fmt.Println(line); err != nil {
			return err
		}
	}
	return nil
}
