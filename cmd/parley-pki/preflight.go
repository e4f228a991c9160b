package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

// preflightWithin bounds each question to a service.
const preflightWithin = 10 * time.Second

// A finding is one thing that preflight looked at.
type finding struct {
	CoI    string `json:"coi,omitempty"`
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Warn   bool   `json:"warn,omitempty"` // it works now, and will not for long, or not for all
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"` // what to do where it is not
}

// A holder says who controls something.
type holder struct {
	Realm string `json:"realm"` // identity, coi, lookup, ocsp, unwrap
	What  string `json:"what"`
	Where string `json:"where"` // endpoint or directory
	Key   string `json:"key,omitempty"`
	From  string `json:"from,omitempty"` // who issued its certificate
	Owner string `json:"owner,omitempty"`
}

// A preflight is one run.
type preflight struct {
	trust    *coi.Trust
	site     coi.Site
	Ready    bool      `json:"ready"`
	Site     string    `json:"site"`
	Findings []finding `json:"findings"`
	Control  []holder  `json:"control"`

	keys map[string]string // public key, in which role it was seen
}

func (p *preflight) ok(coiName, check, format string, args ...any) {
	p.Findings = append(p.Findings, finding{CoI: coiName, Check: check, OK: true, Detail: fmt.Sprintf(format, args...)})
}

func (p *preflight) bad(coiName, check, detail, do string) {
	p.Ready = false
	p.Findings = append(p.Findings, finding{CoI: coiName, Check: check, Detail: detail, Do: do})
}

// warn notes what does not stand in the way, and needs somebody all the same.
func (p *preflight) warn(coiName, check, detail, do string) {
	p.Findings = append(p.Findings, finding{CoI: coiName, Check: check, OK: true, Warn: true, Detail: detail, Do: do})
}

func (t *tool) preflightCommand() *cobra.Command {
	var bundle, site string
	var realms []string
	cmd := t.jsonFlag(&cobra.Command{
		Use:   "preflight --bundle FILE --site DOMAIN [--realm DIR ...]",
		Short: "Check that CoIs can be switched on, and show who controls what",
		Long: `preflight asks the services that a trust bundle names, as a device would: the lookup
service for each CoI's certificates, the unwrap services for the keys they hold,
and the status service where there is one. They must answer and agree; until then
no key is to be wrapped. Instances of an unwrap service must have the same rules, and
it says so if one has not heard of the newest keys. The status service must answer for
devices too, or nobody keeps revoked ones out. It prints who controls what: the CA of
each certificate, the fingerprint of each key, the address of each service, and, of
the directories given with --realm, whose they are, and whom an unwrap service asks
about devices. The exit status says whether all is ready.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := os.ReadFile(bundle)
			if err != nil {
				return fmt.Errorf("--bundle: %w", err)
			}
			p := &preflight{Ready: true, Site: site, Findings: []finding{}, Control: []holder{}, keys: map[string]string{}}
			if p.site, err = coi.ParseSitePEM(data, site); err != nil {
				return fmt.Errorf("--bundle %s: %w", bundle, err)
			}
			p.run(cmd.Context(), realms)
			if t.json {
				err = printJSON(cmd, p)
			} else {
				err = p.print(cmd)
			}
			if err == nil && !p.Ready {
				err = errors.New("not ready: CoIs can not be switched on yet")
			}
			return err
		},
	})
	cmd.Flags().StringVar(&bundle, "bundle", "", "the site's trust bundle, which parley-pki export-ca prints")
	cmd.Flags().StringVar(&site, "site", "", "the site's domain")
	cmd.Flags().StringArrayVar(&realms, "realm", nil, "a service's directory to look into (repeat for several)")
	must(cmd.MarkFlagRequired("bundle"))
	must(cmd.MarkFlagRequired("site"))
	return cmd
}

func (p *preflight) run(ctx context.Context, realms []string) {
	p.authorities()
	for _, dir := range realms {
		p.realm(dir)
	}
	if p.trust == nil {
		return
	}
	if len(p.site.CoIs) == 0 {
		p.bad("", "cois", "the trust bundle names no CoI", "parley-pki trust coi NAME --root FILE --lookup URL --unwrap URL")
	}
	p.devices(ctx)
	for i := range p.site.CoIs {
		c := &p.site.CoIs[i]
		p.community(ctx, c)
	}
}

// authorities looks at the CAs.
func (p *preflight) authorities() {
	var err error
	if p.trust, err = coi.NewTrust(p.site); err != nil {
		p.bad("", "authorities", err.Error(), "make the CoI CA with parley-pki coi init, in a directory and with an administrator of its own")
		return
	}
	for _, ca := range p.site.Roots {
		p.Control = append(p.Control, holder{Realm: "identity", What: ca.Subject.String(), Key: short(ca.RawSubjectPublicKeyInfo), From: "itself"})
	}
	for _, ca := range p.site.CoIRoots {
		p.Control = append(p.Control, holder{Realm: "coi", What: ca.Subject.String(), Key: short(ca.RawSubjectPublicKeyInfo), From: "itself"})
	}
	if len(p.site.CoIRoots) == 0 {
		p.bad("", "authorities", "there is no CoI CA in the trust bundle", "parley-pki coi init, then parley-pki trust coi")
		return
	}
	p.ok("", "authorities", "devices and CoIs have CAs of their own")
}

// realm looks into a service's directory: its role, its separation, its owner.
func (p *preflight) realm(dir string) {
	for _, role := range []service.Role{service.RoleAuthority, service.RoleLookup, service.RoleOCSP, service.RoleUnwrap} {
		r, err := service.OpenRealm(dir, role)
		if err != nil {
			continue
		}
		owner := ownerOf(dir)
		p.Control = append(p.Control, holder{Realm: string(role), What: "directory", Where: dir, Owner: owner})
		if err := r.CheckApart(); err != nil {
			p.bad("", "apart "+string(role), err.Error(), "move what does not belong there")
			return
		}
		if other := p.seen("owner:"+owner, string(role)); owner != "" && other != "" {
			p.bad("", "administrators", fmt.Sprintf("%s runs the %s and the %s service", owner, other, role), "give each role an account, or a machine, of its own")
			return
		}
		p.ok("", "apart "+string(role), "%s holds no other role's key", dir)
		if role == service.RoleUnwrap {
			p.unwrapRealm(r)
		}
		return
	}
	p.bad("", "apart", dir+" is no directory of a service", "name one that parley-pki lookup, ocsp, unwrap or coi init has made")
}

// seen notes in which role a key or an owner was met, and returns another role
// in which it was met before.
func (p *preflight) seen(key, role string) string {
	if other, met := p.keys[key]; met && other != role {
		return other
	}
	p.keys[key] = role
	return ""
}

// ownerOf names the account that owns a directory, empty where that is not
// known.
func ownerOf(dir string) string {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&fs.ModeDir == 0 {
		return ""
	}
	return ownerName(info)
}

// short is the fingerprint of a public key.
func short(spki []byte) string {
	h := sha256.Sum256(spki)
	return hashText(h)
}

func (p *preflight) print(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	fmt.Fprintln(out, "Who controls what:")
	for _, c := range p.Control {
		fmt.Fprintf(out, "  %-9s %s", c.Realm, c.What)
		for _, part := range []struct{ word, text string }{{"at", c.Where}, {"key", c.Key}, {"issued by", c.From}, {"owner", c.Owner}} {
			if part.text != "" {
				fmt.Fprintf(out, "  %s %s", part.word, part.text)
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, "\nWhat was checked:")
	for _, f := range p.Findings {
		mark := "ok  "
		switch {
		case !f.OK:
			mark = "FAIL"
		case f.Warn:
			mark = "WARN"
		}
		fmt.Fprintf(out, "  %s %s: %s\n", mark, strings.TrimSpace(f.Check+" "+f.CoI), f.Detail)
		if f.Do != "" {
			fmt.Fprintf(out, "       do: %s\n", f.Do)
		}
	}
	if p.Ready {
		fmt.Fprintln(out, "\nready")
	}
	return nil
}
