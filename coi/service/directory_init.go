package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"parley/coi"
)

// A Plan says what InitDirectory makes.
type Plan struct {
	Site  string   // alpha.example; required
	Nodes []string // a1, a2; none is fine, nodes can be added
	Hosts []string // DNS names and IP addresses of all of them; empty is localhost and its addresses
}

// DefaultHosts are the hosts of a Plan that names none: this machine alone.
func DefaultHosts() []string { return []string{"localhost", "127.0.0.1", "::1"} }

// InitDirectory makes a site's PKI in a folder that is not there or is empty;
// anything else is left alone and is an error. It is made whole or not at all.
func InitDirectory(path string, plan Plan, now time.Time) (*Directory, error) {
	err := makeWhole(path, func(draft string) error {
		return (&Directory{path: draft, site: plan.Site}).fill(plan, now)
	})
	if err != nil {
		return nil, err
	}
	return OpenDirectory(path)
}

// makeWhole makes a directory whole or not at all: fill fills a draft beside
// it. One that is there and is not empty is left alone.
func makeWhole(path string, fill func(draft string) error) error {
	if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: nothing was changed; give another --dir, or move it away first", path)
	} else if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("make directory: %w", err)
	}
	path = filepath.Clean(path)
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	draft, err := os.MkdirTemp(filepath.Dir(path), ".parley-pki-*") // 0700
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer os.RemoveAll(draft)
	if err := fill(draft); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil { // COMMIT POINT
		return fmt.Errorf("make directory: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// fill makes every file of a new directory.
func (d *Directory) fill(plan Plan, now time.Time) error {
	for _, n := range plan.Nodes {
		if err := coi.CheckLabel(n); err != nil {
			return fmt.Errorf("node: %w", err)
		}
	}
	if err := d.fillEmpty(plan.Site); err != nil {
		return err
	}
	root, err := d.fillCAs(plan.Site, now)
	if err != nil {
		return err
	}
	service, err := root.IssueService("enroll", hosts(plan.Hosts), now)
	if err != nil {
		return err
	}
	// The root goes along, for devices that know no more than its fingerprint.
	if err := writePair(d.Path("enroll", "tls"), service, root.Cert); err != nil {
		return err
	}
	for _, n := range plan.Nodes {
		if err := d.addNode(root, n, plan.Hosts, now); err != nil {
			return err
		}
	}
	return nil
}

// fillEmpty makes the folders, and says whose directory it is.
func (d *Directory) fillEmpty(site string) error {
	for _, folder := range []string{"nodes", "trust", "codes"} {
		if err := os.Mkdir(d.Path(folder), dirMode); err != nil {
			return fmt.Errorf("make PKI directory: %w", err)
		}
	}
	name, err := json.Marshal(about{Site: site})
	if err != nil {
		return fmt.Errorf("make PKI directory: %w", err)
	}
	return create(d.Path("site.json"), append(name, '\n'))
}

// fillCAs makes the site's CAs, the bundle that others trust, and the first
// list of revocations. It returns the root.
func (d *Directory) fillCAs(site string, now time.Time) (*coi.CA, error) {
	root, err := coi.NewCA(site, now)
	if err != nil {
		return nil, err
	}
	devices, err := root.IssueIntermediate(now)
	if err != nil {
		return nil, err
	}
	if err := writePair(d.Path("root"), &coi.Issued{Cert: root.Cert, Key: root.Key}); err != nil {
		return nil, err
	}
	if err := writePair(d.Path("device-ca"), &coi.Issued{Cert: devices.Cert, Key: devices.Key}); err != nil {
		return nil, err
	}
	if err := create(d.Path("ca.pem"), coi.EncodeCertificatesPEM(root.Cert, devices.Cert)); err != nil {
		return nil, err
	}
	issuer, err := newIssuer(devices, d.path)
	if err != nil {
		return nil, err
	}
	return root, issuer.SignCRL(DefaultCRLLife, now)
}

// AddNode makes the certificates of one more node. Hosts are its DNS names and
// IP addresses; none stands for this machine. The root is from Root.
func (d *Directory) AddNode(root *coi.CA, node string, hosts []string, now time.Time) error {
	if err := coi.CheckLabel(node); err != nil {
		return err
	}
	if _, err := os.Stat(d.Path("nodes", node)); err == nil {
		return fmt.Errorf("node %s has certificates in %s: they were not touched", node, d.Path("nodes", node))
	}
	return d.addNode(root, node, hosts, now)
}

func (d *Directory) addNode(root *coi.CA, node string, names []string, now time.Time) error {
	tls, err := root.IssueNode(node, hosts(names), now)
	if err != nil {
		return err
	}
	ordering, err := root.IssueOrdering(node, now)
	if err != nil {
		return err
	}
	draft, err := os.MkdirTemp(d.Path("nodes"), ".new-*") // 0700
	if err != nil {
		return fmt.Errorf("add node: %w", err)
	}
	defer os.RemoveAll(draft)
	if err := writePair(filepath.Join(draft, "tls"), tls); err != nil {
		return err
	}
	if err := writePair(filepath.Join(draft, "ordering"), ordering); err != nil {
		return err
	}
	err = os.Rename(draft, d.Path("nodes", node)) // COMMIT POINT
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("node %s has certificates already", node)
	}
	if err != nil {
		return fmt.Errorf("add node: %w", err)
	}
	return syncDir(d.Path("nodes"))
}

func hosts(given []string) []string {
	if len(given) == 0 {
		return DefaultHosts()
	}
	return given
}
