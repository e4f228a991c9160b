package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"parley/client"
	"parley/coi"
	pki "parley/coi/service"
	"parley/groups"
)

// A rig is real gateways in a temporary folder, for a load.
type rig struct {
	*bench
	dir      string
	program  string // parleyd
	sites    []*rigSite
	services []*service
}

// A rigSite is one site of a rig: a gateway node and the CA of its devices.
type rigSite struct {
	name   groups.SiteID
	node   *localNode
	pki    *pki.Directory
	ca     *coi.CA
	trust  *coi.Trust
	bundle []client.SiteTrust
}

// unlimited lifts what one device may ask for: here one device is a load of
// hundreds.
const unlimited = "messages_per_second = 1000000.0\nmessage_burst = 1000000\n" +
	"commits_per_second = 10000.0\ncommit_burst = 10000\nclaims_per_hour = 1000000\n"

// newRig makes sites that trust each other, of one node each, and starts them.
func newRig(ctx context.Context, b *bench, parleyd string, names ...groups.SiteID) (_ *rig, err error) {
	r := &rig{bench: b, program: parleyd}
	if r.program == "" {
		programs, err := findBinaries()
		if err != nil {
			return nil, err
		}
		r.program = programs.parleyd
	}
	if r.dir, err = os.MkdirTemp("", "parley-bench-"); err != nil {
		return nil, err
	}
	if err := r.start(ctx, names); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// start makes the sites and starts their gateways.
func (r *rig) start(ctx context.Context, names []groups.SiteID) error {
	b := r.bench
	b.stage("starting %s", count(len(names), "gateway"))
	for i, name := range names {
		s := &rigSite{name: name}
		node := fmt.Sprintf("n%d", i+1)
		var err error
		s.pki, err = pki.InitDirectory(filepath.Join(r.dir, string(name)), pki.Plan{Site: string(name), Nodes: []string{node}}, time.Now())
		if err != nil {
			return err
		}
		if s.ca, err = s.pki.DeviceCA(); err != nil {
			return err
		}
		s.node = &localNode{Site: name, Node: node, PKI: string(name), Limits: unlimited}
		if err := placeNodes(s.node); err != nil {
			return err
		}
		r.sites = append(r.sites, s)
	}
	if err := r.introduce(); err != nil {
		return err
	}
	for _, s := range r.sites {
		if err := os.WriteFile(filepath.Join(r.dir, s.node.file()), []byte(s.node.config()), 0o600); err != nil {
			return err
		}
		started, err := startNode(ctx, r.dir, r.program, s.node)
		if err != nil {
			return err
		}
		r.services = append(r.services, started)
	}
	return nil
}

// introduce has all sites trust each other.
func (r *rig) introduce() error {
	for _, s := range r.sites {
		for _, other := range r.sites {
			if other == s {
				continue
			}
			own, err := other.pki.Own()
			if err != nil {
				return err
			}
			if err := s.pki.Trust(own); err != nil {
				return err
			}
			s.node.Peers = append(s.node.Peers, other.node)
		}
	}
	for _, s := range r.sites {
		sites, err := s.pki.Sites()
		if err != nil {
			return err
		}
		if s.trust, err = coi.NewTrust(sites...); err != nil {
			return err
		}
		for _, t := range sites {
			s.bundle = append(s.bundle, client.SiteTrust{Site: groups.SiteID(t.Name), Roots: raw(t.Roots), Intermediates: raw(t.Intermediates)})
		}
	}
	return nil
}

func raw(certs []*x509.Certificate) [][]byte {
	list := make([][]byte, len(certs))
	for i, c := range certs {
		list[i] = c.Raw
	}
	return list
}

// close ends the gateways and removes the folder.
func (r *rig) close() error {
	var errs []error
	for _, s := range r.services {
		errs = append(errs, s.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// identity certifies a device.
func (s *rigSite) identity(user, device string) (client.Identity, crypto.Signer, error) {
	name := coi.Name{Purpose: coi.Device, Site: string(s.name), Local: user, Device: device}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return client.Identity{}, nil, err
	}
	cert, err := s.ca.IssueDevice(name, key.Public(), time.Now())
	if err != nil {
		return client.Identity{}, nil, err
	}
	return client.Identity{
		Device: groups.DeviceID(name.URI()), Chain: [][]byte{cert.Raw},
		Trust: s.bundle, Gateways: []string{s.node.Devices},
	}, key, nil
}
