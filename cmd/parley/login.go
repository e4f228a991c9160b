package main

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/store"
	"parley/client/tui"
	"parley/coi"
	"parley/groups"
)

// loginFlags are what a person types in to make a device.
type loginFlags struct{ service, ca, fingerprint, code, device, protect string }

func loginCommand(a *app) *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Make this home a device of yours, or fetch its trust again",
		Long: `Login makes a key, has your site's enrolment service certify it against a one-time
code, and publishes key packages, so that others can add the device to rooms. The
key never leaves the home. The site's CA has to come by another way than the network:
as a file (--ca) or by the fingerprint that parley-pki code new prints.

In a home that has a device, login fetches the CAs and gateways of the site again
and checks that the gateway knows the device.

With --json it prints what parley whoami --json prints.`,
		Example: `  parley login --enroll https://127.0.0.1:7443 --ca ca.pem --code 7QK3-0FXA-9M2T-C8WD --device laptop
  parley --home ~/.parley-bob login --enroll https://pki.beta.example --fingerprint 3f9c... --code ...
  parley login`,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f == (loginFlags{}) {
				return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.refresh(ctx) })
			}
			return a.login(cmd.Context(), &f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.service, "enroll", "", "URL of the site's enrolment service")
	fs.StringVar(&f.ca, "ca", "", "file with the site's CAs (PEM)")
	fs.StringVar(&f.fingerprint, "fingerprint", "", "SHA-256 of the site's root CA, in hex, instead of --ca")
	fs.StringVar(&f.code, "code", "", "your one-time code")
	fs.StringVar(&f.device, "device", "", "the device's name, if the code leaves it open")
	fs.StringVar(&f.protect, "protect", "", "how the home's key is kept: passphrase, keyring, or a file if empty")
	cmd.MarkFlagsMutuallyExclusive("ca", "fingerprint")
	fs.StringVar(&f.service, "service", "", "another name of --enroll")
	if err := fs.MarkHidden("service"); err != nil {
		panic("BUG: " + err.Error())
	}
	return cmd
}

// login makes the device.
func (a *app) login(ctx context.Context, f *loginFlags) error {
	e, err := f.enrolment()
	if err != nil {
		return err
	}
	home, err := a.openStore(true, store.Protection(f.protect))
	if err != nil {
		return err
	}
	_, err = client.Enroll(ctx, home, e)
	if err := errors.Join(err, home.Close()); err != nil {
		return err
	}
	return a.online(ctx, func(ctx context.Context, s *session) error {
		if err := s.introduce(ctx, true); err != nil {
			if err := a.say("%s the device is made, but is not at the gateway yet: %s\nOthers can add it to rooms once it has been online: parley sync\n",
				warn("note:"), tui.Printable(words(err))); err != nil {
				return err
			}
		}
		return s.whoami()
	})
}

// enrolment checks the flags.
func (f *loginFlags) enrolment() (client.Enrolment, error) {
	e := client.Enrolment{Service: f.service, Code: f.code, Device: f.device}
	switch {
	case f.service == "" || f.code == "":
		return e, usagef("login needs --enroll URL and --code CODE: who runs your site's parley-pki gives you both")
	case !strings.HasPrefix(f.service, "https://"):
		return e, usagef("--enroll %s: the enrolment service is at a URL that begins with https://", f.service)
	case f.ca == "" && f.fingerprint == "":
		return e, usagef("login needs --ca FILE or --fingerprint HEX: without it anybody could claim to be your site")
	}
	if f.ca != "" {
		var err error
		if e.CA, err = os.ReadFile(f.ca); err != nil {
			return e, usagef("--ca: %w", err)
		}
		return e, nil
	}
	digits := strings.NewReplacer(":", "", " ", "").Replace(strings.TrimPrefix(strings.ToLower(f.fingerprint), "sha256:"))
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(coi.Fingerprint{}) {
		return e, usagef("--fingerprint: %q is not a SHA-256 in hex (64 digits)", f.fingerprint)
	}
	e.Fingerprint = (*coi.Fingerprint)(b)
	return e, nil
}

// introduce takes the device online and sees to it that others can add it; if
// hasty, it does not try twice.
func (s *session) introduce(ctx context.Context, hasty bool) error {
	if err := s.awaitOr(ctx, s.CaughtUp, hasty); err != nil {
		return err
	}
	for range introductions {
		have, err := s.KeyPackages(ctx)
		if err != nil || have.Published > 0 {
			return err
		}
		select { // the device publishes them by itself, a moment after it has come online
		case <-time.After(introductionPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.PublishKeyPackages(ctx, firstKeyPackages)
}

const (
	// introductions is how often a new device is asked whether others can add
	// it, introductionPause how long it is left in peace between.
	introductions     = 30
	introductionPause = 100 * time.Millisecond
	// firstKeyPackages is how many key packages are published if it has not
	// done so then.
	firstKeyPackages = 20
)

// refresh fetches trust again and checks that the gateway knows the device.
func (s *session) refresh(ctx context.Context) error {
	if err := s.RefreshTrust(ctx); err != nil {
		return err
	}
	if err := s.introduce(ctx, false); err != nil {
		return err
	}
	return s.whoami()
}

// An identityJSON is what whoami --json prints.
type identityJSON struct {
	Device   groups.DeviceID `json:"device"`
	User     groups.UserID   `json:"user"`
	Site     groups.SiteID   `json:"site"`
	Until    time.Time       `json:"until"`
	Trusts   []groups.SiteID `json:"trusts"`
	Gateways []string        `json:"gateways"`
	Service  string          `json:"service"`
	Home     string          `json:"home"`
}

func whoamiCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Print which device this home is",
		Long: `Whoami prints the device of this home and whom it trusts. It uses no network.

With --json it prints {"device","user","site","until","trusts","gateways","service","home"}.`,
		Args: arguments(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			return a.offline(func(s *session) error { return s.whoami() })
		},
	}
}

func (s *session) whoami() error {
	id := s.Identity()
	until, err := id.Until()
	if err != nil {
		return err
	}
	dir, err := s.app.dir()
	if err != nil {
		return err
	}
	out := identityJSON{id.Device, id.Device.User(), id.Device.Site(), until.UTC(), nil, id.Gateways, id.Service, dir}
	for _, t := range id.Trust {
		out.Trusts = append(out.Trusts, t.Site)
	}
	if s.app.json {
		return s.app.printJSON(out)
	}
	var trusts []string
	for _, t := range out.Trusts {
		trusts = append(trusts, string(t))
	}
	return s.app.facts(
		"device", bold(s.names.Device(out.Device)), "site", string(out.Site), "uri", string(out.Device),
		"certificate", "until "+day(until), "trusts", strings.Join(trusts, ", "),
		"gateways", strings.Join(out.Gateways, ", "), "enrolment", out.Service, "home", dir)
}
