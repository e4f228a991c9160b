package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A demoCoI is a site's Community of Interest and its services, each with a
// directory, a certificate and a process of its own.
type demoCoI struct {
	site    *demoSite
	name    string
	officer string
	lookup  string // addresses
	unwrap  string
	ocsp    string
	issued  int // certificates so far
}

// dir is the directory of one of its realms, in the demo's.
func (c *demoCoI) dir(role string) string { return c.site.pki + "-" + role }

func (c *demoCoI) uri() string { return "mimi://" + string(c.site.name) + "/c/" + c.name }

// newCommunities gives both communities their addresses.
func (d *demo) newCommunities() error {
	d.finance = &demoCoI{site: d.alpha, name: "finance", officer: "mimi://alpha.example/u/carol"}
	d.legal = &demoCoI{site: d.beta, name: "legal", officer: "mimi://beta.example/u/bob"}
	free, err := freeAddresses(6)
	if err != nil {
		return err
	}
	for i, c := range []*demoCoI{d.finance, d.legal} {
		c.lookup, c.unwrap, c.ocsp = free[3*i], free[3*i+1], free[3*i+2]
	}
	return nil
}

// makeCommunity makes the CoI CA, a root of its own, the directories of the
// three services, and the community's certificate.
func (d *demo) makeCommunity(c *demoCoI) act {
	return func(ctx context.Context) (string, error) {
		site, bundle := string(c.site.name), c.site.pki+".pem"
		run := func(words ...string) error { _, err := d.exec(ctx, d.pki, words...); return err }
		quiet := func(words ...string) error { _, err := d.quietly(ctx, d.pki, words...); return err }
		err := errors.Join(
			run("coi", "init", "--dir", c.dir("coi"), "--site", site, "--publish", c.dir("lookup")+"/cois.json"),
			run("trust", "coi", c.name, "--dir", c.site.pki, "--root", c.dir("coi")+"/root.crt", "--lookup", "https://"+c.lookup,
				"--unwrap", "https://"+c.unwrap, "--ocsp", "https://"+c.ocsp, "--officer", c.officer),
			d.exportBundle(ctx, c.site),
			run("unwrap", "init", "--dir", c.dir("unwrap"), "--site", site, "--bundle", bundle),
			run("ocsp", "init", "--dir", c.dir("ocsp"), "--site", site, "--bundle", bundle),
			quiet("ocsp", "add", "coi", "--dir", c.dir("ocsp"), "--ca", c.dir("coi")),
			quiet("ocsp", "add", "devices", "--dir", c.dir("ocsp"), "--ca", c.site.pki),
			run("lookup", "init", "--dir", c.dir("lookup"), "--site", site, "--bundle", bundle, "--ocsp", "https://"+c.ocsp),
			quiet("certify", "responder", "--dir", c.dir("coi"), "--csr", c.dir("ocsp")+"/coi/responder.csr", "--out", c.dir("ocsp")+"/coi/responder.crt"),
			quiet("certify", "responder", "--dir", c.site.pki, "--csr", c.dir("ocsp")+"/devices/responder.csr", "--out", c.dir("ocsp")+"/devices/responder.crt"),
		)
		for _, role := range []string{"ocsp", "lookup", "unwrap"} {
			err = errors.Join(err, quiet("certify", "service", role, "--dir", c.site.pki, "--csr", c.dir(role)+"/tls.csr", "--out", c.dir(role)+"/tls.crt"))
		}
		return "", errors.Join(err, d.certify(ctx, c))
	}
}

// exportBundle writes the site's trust bundle anew.
func (d *demo) exportBundle(ctx context.Context, s *demoSite) error {
	out, err := d.quietly(ctx, d.pki, "export-ca", "--dir", s.pki)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, s.pki+".pem"), out, 0o600)
}

// certify makes a new key of a community in its unwrap service, and has its CoI
// CA certify it: the one before is retired.
func (d *demo) certify(ctx context.Context, c *demoCoI) error {
	c.issued++
	csr := fmt.Sprintf("%s-%d.csr", c.name, c.issued)
	if _, err := d.exec(ctx, d.pki, "coi", "request", c.name, "--dir", c.dir("unwrap"), "--out", csr); err != nil {
		return err
	}
	keys, err := filepath.Glob(filepath.Join(d.dir, c.dir("unwrap"), "keys", c.name+".*.key"))
	if err != nil || len(keys) == 0 {
		return fmt.Errorf("the key of %s is not there: %w", c.name, err)
	}
	newest := keys[len(keys)-1] // their names hold the time
	out := strings.TrimSuffix(filepath.Base(newest), ".key") + ".crt"
	_, err = d.exec(ctx, d.pki, "coi", "issue", c.name, "--dir", c.dir("coi"), "--csr", csr, "--out", c.dir("unwrap")+"/keys/"+out)
	return err
}

// startCommunities starts the services of both communities.
func (d *demo) startCommunities(ctx context.Context) (string, error) {
	if err := errors.Join(d.approvers(), d.allowCases()); err != nil {
		return "", err
	}
	var lines []string
	for _, c := range []*demoCoI{d.finance, d.legal} {
		for _, s := range []struct{ role, address string }{{"ocsp", c.ocsp}, {"lookup", c.lookup}, {"unwrap", c.unwrap}} {
			name := c.dir(s.role)
			words := []string{s.role, "--dir", name, "--listen", s.address}
			d.story.ran(append([]string{"parley-pki"}, words...)...)
			ready := filepath.Join(d.dir, name+".ready")
			service, err := startService(d.dir, name, append(append([]string{d.pki}, words...), "--ready-file", ready)...)
			if err != nil {
				return "", err
			}
			d.services = append(d.services, service)
			if err := service.until(ctx, func(context.Context) bool { _, err := os.Stat(ready); return err == nil }); err != nil {
				return "", err
			}
			lines = append(lines, faint(fmt.Sprintf("%s of %s: process %d at %s", s.role, c.site.name, service.pid(), s.address)))
		}
	}
	return strings.Join(lines, "\n"), nil
}

// preflight checks that the services of both communities answer and agree.
func (d *demo) preflight(ctx context.Context) (string, error) {
	for _, c := range []*demoCoI{d.finance, d.legal} {
		if _, err := d.exec(ctx, d.pki, "entitle", "grant", "--dir", c.dir("unwrap"), "--coi", c.name, "mimi://"+string(c.site.name)); err != nil {
			return "", err
		}
		if _, err := d.exec(ctx, d.pki, "preflight", "--bundle", c.site.pki+".pem", "--site", string(c.site.name)); err != nil {
			return "", err
		}
	}
	return "", nil
}
