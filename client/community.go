package client

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strings"

	"parley/coi"
	"parley/groups"
)

// Communities lists the Communities of Interest of all sites that this device
// knows of, by name, as a policy names them.
func (d *Device) Communities() []groups.CoI {
	var list []groups.CoI
	for _, site := range d.self.Load().trust.Sites() {
		for _, c := range site.CoIs {
			list = append(list, communityOf(&site, &c))
		}
	}
	slices.SortFunc(list, func(a, b groups.CoI) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return list
}

// communityOf is a community as a policy names it: under the newest root that
// its site has for communities.
func communityOf(site *coi.Site, c *coi.Community) groups.CoI {
	out := groups.CoI{Name: groups.CoIID(c.Name), Lookup: c.Lookup, Unwrap: slices.Clone(c.Unwrap), Status: c.OCSP, Officer: c.Officer}
	if n := len(site.CoIRoots); n > 0 {
		newest := slices.MaxFunc(site.CoIRoots, func(a, b *x509.Certificate) int { return a.NotBefore.Compare(b.NotBefore) })
		out.Root = sha256.Sum256(newest.Raw)
	}
	return out
}

// FindCommunity finds a community by its URI, or by finance@beta.example, or by
// finance, which is of this device's own site.
func (d *Device) FindCommunity(name string) (groups.CoI, error) {
	id := groups.CoIID(name)
	if !strings.Contains(name, "://") {
		local, site, elsewhere := strings.Cut(name, "@")
		if !elsewhere {
			site = string(d.id.Site())
		}
		var err error
		if id, err = groups.NewCoIID(groups.SiteID(site), local); err != nil {
			return groups.CoI{}, err
		}
	}
	list := d.Communities()
	if i := slices.IndexFunc(list, func(c groups.CoI) bool { return c.Name == id }); i >= 0 {
		return list[i], nil
	}
	return groups.CoI{}, groups.Errorf(groups.NotFound, "this device knows no community %s: its site has to tell of it", id)
}
