package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
	"parley/groups"
)

func (t *tool) unwrapCommand() *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use:   "unwrap [--listen ADDRESS]",
		Short: "Run the unwrap service, which holds the CoIs' private keys",
		Long: `unwrap opens room keys that are wrapped to the site's Communities of Interest: for
devices that show a place in the room and are entitled to the CoI, and for cases
that enough approvers have signed. Every use is in its log before a key is
touched. It has a directory of its own, with an administrator of its own, and
starts only where no other role's key lies in it.

  parley-pki unwrap init --dir unwrap --site alpha.example --bundle alpha.pem
  parley-pki coi request finance --dir unwrap             # goes to the CoI CA
  parley-pki entitle grant --dir unwrap --coi finance mimi://alpha.example
  parley-pki unwrap --dir unwrap --listen 127.0.0.1:7446

Several instances, each with its own directory and log and the same CoI keys, may
run side by side; clients go round them. They never speak to each other:
  - rules are changed at one and imported at the others (parley-pki entitle import);
  - the newest key of each room is told to each by the members' devices, which keep
    on until it has heard: one that was down catches up within minutes;
  - certificates are renewed in each directory; none needs a restart for it.
parley-pki preflight compares the instances, and says where they differ.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.unwrap(cmd, &f) },
	}
	f.add(cmd, "127.0.0.1:7446")
	cmd.AddCommand(t.unwrapInitCommand(), t.unwrapForgetCommand())
	return cmd
}

// unwrap runs the service until the command's context ends.
func (t *tool) unwrap(cmd *cobra.Command, f *serviceFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	log := f.logger(cmd.ErrOrStderr())
	realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
	if err != nil {
		return err
	}
	if err := realm.CheckApart(); err != nil {
		return err
	}
	settings, err := realm.Settings()
	if err != nil {
		return err
	}
	c, stop, err := realm.UnwrapConfig(settings)
	if err != nil {
		return err
	}
	defer stop()
	c.Logger = log
	u, err := service.NewUnwrap(c)
	if err != nil {
		return err
	}
	ring, err := c.Keys()
	if err != nil {
		return err
	}
	if len(ring.Names()) == 0 {
		log.Warn("no CoI key is here yet: make one with parley-pki coi request")
	}
	watch := &service.CertificateWatch{Site: realm.Site(), Trust: realm.Trust, Keys: c.Keys, Status: settings.Status, Logger: log}
	return f.run(cmd, running{realm: realm, handler: u.Handler(), background: watch.Run})
}

func (t *tool) unwrapForgetCommand() *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "forget ROOM",
		Short: "Forget the newest epoch that is known of a room",
		Long: `forget is for a room whose members are refused because somebody has shown this
service an epoch of it that never was: the log says who. What the members show next
begins anew.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			e, err := realm.Entitlements()
			if err != nil {
				return err
			}
			version, err := e.Forget(groups.RoomID(args[0]), by)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "forgotten: %s (rules version %d)\n", args[0], version)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&by, "by", whoami(), "who says so, for the log")
	return cmd
}

// parseCoI takes a CoI's URI, or its local name at a site.
func parseCoI(s, site string) (string, error) {
	if coi.CheckLabel(s) == nil && site != "" {
		s = coi.Name{Purpose: coi.CoI, Site: site, Local: s}.URI()
	}
	n, err := coi.ParseName(s)
	if err != nil || n.Purpose != coi.CoI {
		return "", fmt.Errorf("--coi %q: write it like finance, or mimi://alpha.example/c/finance", s)
	}
	return s, nil
}
