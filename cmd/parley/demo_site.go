package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"parley/groups"
)

// A demoSite is one organisation: its PKI, its enrolment service, its nodes.
type demoSite struct {
	name   groups.SiteID
	pki    string // directory of parley-pki, in the demo's
	listen string // address of the enrolment service
	nodes  []*localNode
}

// newSites gives both sites their nodes and addresses.
func (d *demo) newSites() error {
	site := func(name groups.SiteID, pki string, nodes ...string) *demoSite {
		s := &demoSite{name: name, pki: pki}
		for _, n := range nodes {
			s.nodes = append(s.nodes, &localNode{Site: name, Node: n, PKI: pki})
		}
		return s
	}
	d.alpha = site("alpha.example", "alpha", "a1", "a2")
	d.beta = site("beta.example", "beta", "b1")
	a1, a2, b1 := d.alpha.nodes[0], d.alpha.nodes[1], d.beta.nodes[0]
	a1.Gossip, a2.Gossip = []*localNode{a2}, []*localNode{a1}
	a1.Peers, a2.Peers = d.beta.nodes, d.beta.nodes
	b1.Peers = d.alpha.nodes
	if err := placeNodes(a1, a2, b1); err != nil {
		return err
	}
	free, err := freeAddresses(2)
	if err != nil {
		return err
	}
	d.alpha.listen, d.beta.listen = free[0], free[1]
	key := make([]byte, 32)
	rand.Read(key)
	return os.WriteFile(filepath.Join(d.dir, gossipKey), key, 0o600)
}

// makePKI makes a site's CAs and certificates.
func (d *demo) makePKI(s *demoSite) act {
	return func(ctx context.Context) (string, error) {
		words := []string{"init", "--dir", s.pki, "--site", string(s.name)}
		for _, n := range s.nodes {
			words = append(words, "--node", n.Node)
		}
		if _, err := d.exec(ctx, d.pki, words...); err != nil {
			return "", err
		}
		for _, n := range s.nodes {
			if err := os.WriteFile(filepath.Join(d.dir, n.file()), []byte(n.config()), 0o600); err != nil {
				return "", err
			}
		}
		return "", nil
	}
}

// exchangeTrust gives each site the other's CAs, which vouch for that site's
// names and no others.
func (d *demo) exchangeTrust(ctx context.Context) (string, error) {
	if err := errors.Join(d.exportBundle(ctx, d.alpha), d.exportBundle(ctx, d.beta)); err != nil {
		return "", err
	}
	for _, pair := range [][2]*demoSite{{d.alpha, d.beta}, {d.beta, d.alpha}} {
		_, err := d.exec(ctx, d.pki, "trust", "add", "--dir", pair[0].pki, "--site", string(pair[1].name), "--ca", pair[1].pki+".pem")
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

// startNodes starts all gateways, each a process of its own.
func (d *demo) startNodes(ctx context.Context) (string, error) {
	var lines []string
	for _, n := range append(d.alpha.nodes, d.beta.nodes...) {
		s, err := d.startNode(ctx, n)
		if err != nil {
			return "", err
		}
		lines = append(lines, faint(fmt.Sprintf("%s of %s: process %d, devices at %s, other nodes at %s", n.Node, n.Site, s.pid(), n.Devices, n.Nodes)))
	}
	return strings.Join(lines, "\n"), nil
}

// startNode starts one of them.
func (d *demo) startNode(ctx context.Context, n *localNode) (*service, error) {
	if _, err := d.quietly(ctx, d.parleyd, "config", "check", "--config", n.file()); err != nil {
		return nil, err
	}
	d.story.ran("parleyd", "--config", n.file())
	s, err := startNode(ctx, d.dir, d.parleyd, n)
	if err == nil {
		d.services = append(d.services, s)
	}
	return s, err
}

// seeEachOther waits until the links are up: between the nodes of alpha, which
// found each other by gossip, and from beta to alpha.
func (d *demo) seeEachOther(ctx context.Context) (string, error) {
	type row struct {
		Node   groups.NodeID `json:"node"`
		Site   groups.SiteID `json:"site"`
		State  string        `json:"state"`
		Linked bool          `json:"linked"`
	}
	look := func(words ...string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			var rows []row
			if err := d.ask(ctx, &rows, words...); err != nil {
				return false, err
			}
			for _, r := range rows {
				if r.State == "alive" && r.Linked || r.State == "up" {
					return true, nil
				}
			}
			return false, nil
		}
	}
	for _, words := range [][]string{
		{"node", "ls", "--admin", d.alpha.nodes[0].Admin},
		{"peer", "ls", "--admin", d.beta.nodes[0].Admin},
	} {
		d.story.ran(append([]string{"parley"}, words...)...)
		if err := eventually(ctx, look(words...)); err != nil {
			return "", fmt.Errorf("parley %s: %w", strings.Join(words, " "), err)
		}
	}
	return "", nil
}

// startEnrolment starts both enrolment services.
func (d *demo) startEnrolment(ctx context.Context) (string, error) {
	for _, s := range []*demoSite{d.alpha, d.beta} {
		words := []string{"enroll", "--dir", s.pki, "--listen", s.listen}
		for _, n := range s.nodes {
			words = append(words, "--gateway", "https://"+n.Devices)
		}
		d.story.ran(append([]string{"parley-pki"}, words...)...)
		ready := filepath.Join(d.dir, s.pki+".ready")
		args := append(append([]string{d.pki}, words...), "--ready-file", ready)
		service, err := startService(d.dir, s.pki+"-enroll", args...)
		if err != nil {
			return "", err
		}
		d.services = append(d.services, service)
		err = service.until(ctx, func(context.Context) bool { _, err := os.Stat(ready); return err == nil })
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
