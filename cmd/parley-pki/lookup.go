package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"parley/coi/service"
)

const defaultLookup = "127.0.0.1:7445"

// lookupConfig is config.toml of a lookup service.
type lookupConfig struct {
	CoIs string `toml:"cois"` // the list that the CoI CA publishes
	OCSP string `toml:"ocsp"` // the responder's URL
}

func (t *tool) lookupCommand() *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use:   "lookup [--listen ADDRESS]",
		Short: "Run the lookup service: certificates of CoIs, with their status",
		Long: `lookup shows the certificates of the site's CoIs, active and retired, over HTTPS, and
staples to each the newest OCSP answer, as long as it holds. It has no private
key but that of its HTTPS, and refuses to start where it finds another. A new
list from the CoI CA is shown at once.

config.toml in its directory says where the list is and who answers for status:

  cois = "cois.json"                  # parley-pki coi init --publish lookup/cois.json
  ocsp = "https://127.0.0.1:7447"     # parley-pki ocsp

It stops on SIGINT or SIGTERM. GET /ready says what is wrong, if anything is.`,
		Example: `  parley-pki lookup init --dir lookup --site alpha.example --bundle alpha-ca.pem --ocsp https://127.0.0.1:7447
  parley-pki lookup --dir lookup
  parley-pki lookup --dir lookup --listen 192.0.2.7:7445 --url https://lookup.alpha.example:7445`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return helpOrMistake(cmd, args)
			}
			if err := f.check(); err != nil {
				return err
			}
			return t.lookup(cmd, &f)
		},
	}
	f.add(cmd, defaultLookup)
	cmd.AddCommand(t.lookupInitCommand())
	return cmd
}

func (t *tool) lookupInitCommand() *cobra.Command {
	var f initFlags
	var ocsp string
	cmd := &cobra.Command{
		Use:     "init --site DOMAIN --bundle FILE [--ocsp URL]",
		Short:   "Make the directory of a lookup service",
		Example: `  parley-pki lookup init --dir lookup --site alpha.example --bundle alpha-ca.pem --ocsp https://127.0.0.1:7447`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := f.plan(service.RoleLookup)
			if err != nil {
				return err
			}
			p.Config = fmt.Appendf(nil, "# The list that the CoI CA publishes: parley-pki coi init --publish.\ncois = \"cois.json\"\n\n# Who answers for the status of certificates; empty staples none.\nocsp = %q\n", ocsp)
			r, err := service.InitRealm(t.dir, p)
			if err != nil {
				return err
			}
			realmMade(cmd.OutOrStdout(), r, p.Bundle != nil,
				"Have the CoI CA publish to "+r.Path("cois.json")+" (publish in its config.toml, or coi init --publish).",
				"Run it: parley-pki lookup --dir "+quote(t.dir))
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&ocsp, "ocsp", "", "the OCSP responder's URL")
	return cmd
}

func (t *tool) lookup(cmd *cobra.Command, f *serviceFlags) error {
	r, err := service.OpenRealm(t.dir, service.RoleLookup)
	if err != nil {
		return err
	}
	var config lookupConfig
	if err := r.ReadConfig(&config); err != nil {
		return err
	}
	if config.CoIs == "" {
		return errors.New(r.Path("config.toml") + ": cois is not set: where is the list that the CoI CA publishes?")
	}
	if err := r.CheckApart(); err != nil {
		return err
	}
	trust, err := r.Trust()
	if err != nil {
		return err
	}
	client := service.PeerClient(trust, r.Site(), nil)
	defer client.CloseIdleConnections()
	l, err := service.NewLookup(service.LookupConfig{
		Site: r.Site(), File: r.Resolve(config.CoIs), Trust: r.Trust, OCSP: config.OCSP, Client: client, Logger: f.logger(cmd.ErrOrStderr()),
	})
	if err != nil {
		return err
	}
	if err := r.CheckApart(l.Certificates()...); err != nil {
		return err
	}
	return f.run(cmd, running{realm: r, handler: l.Handler(), background: l.Run, foreign: l.Certificates})
}
