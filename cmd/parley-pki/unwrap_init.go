package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

func (t *tool) unwrapInitCommand() *cobra.Command {
	var f initFlags
	var status string
	cmd := &cobra.Command{
		Use:   "init --dir DIR --site DOMAIN [--bundle FILE] [--status URL|bundle|none]",
		Short: "Make the directory of an unwrap service",
		Long: `init makes the directory of an unwrap service: its log, a request for its HTTPS
certificate, and config.toml.

--status says who is asked, at each request, whether a device's certificate is in
force. Without it, it is the OCSP responder that the trust bundle names (parley-pki
trust coi --ocsp URL); it has to answer for the device CA too (parley-pki ocsp add
devices). Where the bundle names none yet, it is "bundle": the one that the bundle
in sites/ will name. Until it does nobody is asked, and revoked devices get keys
until parley-pki entitle deny names them; init, the service's log and preflight warn.
"none" is for a site that wants just this.`,
		Example: `  parley-pki unwrap init --dir unwrap --site alpha.example --bundle alpha.pem
  parley-pki unwrap init --dir unwrap --site alpha.example --status https://127.0.0.1:7447
  parley-pki unwrap init --dir unwrap --site alpha.example --status none    # revoked devices are not kept out`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := f.plan(service.RoleUnwrap)
			if err != nil {
				return err
			}
			if plan.Status = status; status != "" {
				if err := service.CheckResponder(status); err != nil {
					return fmt.Errorf("--status: %w", err)
				}
			}
			r, err := service.InitUnwrap(t.dir, plan)
			if err != nil {
				return err
			}
			public, err := service.AuditPublic(r.Audit())
			if err != nil {
				return err
			}
			realmMade(cmd.OutOrStdout(), r, plan.Bundle != nil,
				"Make a CoI's key, and have the CoI CA certify it: parley-pki coi request finance --dir "+quote(t.dir),
				"Say who may use it: parley-pki entitle grant --dir "+quote(t.dir)+" --coi finance "+quote("mimi://"+r.Site()),
				"Give the log's public key to witnesses: "+public)
			return deviceStatus(cmd.OutOrStdout(), r, plan.Bundle)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&status, "status", "", `who is asked about devices: a responder's URL, "bundle", or "none" (default: whom the trust bundle names)`)
	return cmd
}

// deviceStatus says who is asked about devices, and what it means if nobody is.
func deviceStatus(w io.Writer, r *service.Realm, bundle []byte) error {
	settings, err := r.Settings()
	if err != nil {
		return err
	}
	site := coi.Site{Name: r.Site()}
	if bundle != nil {
		if site, err = coi.ParseSitePEM(bundle, r.Site()); err != nil {
			return err
		}
	}
	status := settings.Status[site.Name]
	unchecked := service.Unchecked(&site, status)
	if unchecked == "" {
		if status == service.StatusBundle {
			status = service.ResponderOf(&site)
		}
		fmt.Fprintf(w, "\nWhether a device is revoked is asked at %s, at each request: it has to answer for\nthe device CA too (parley-pki ocsp add devices).\n", status)
		return nil
	}
	fmt.Fprintf(w, "\nWARNING: nobody is asked whether a device is revoked.\n%s.\n", unchecked)
	if status != service.StatusNone {
		fmt.Fprintf(w, "Name the responder (parley-pki trust coi ... --ocsp URL) and put the new bundle into\n%s, or say --status none if this is meant.\n", r.Path("sites", site.Name+".pem"))
	}
	return nil
}
