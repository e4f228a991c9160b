package groups

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Valid says whether a policy may be a room's: a hub, a follower and a member
// take no other.
func (p *Policy) Valid() error {
	if len(p.Admins) == 0 || len(p.Admins) > maxAdmins {
		return Errorf(Invalid, "a policy needs between 1 and %d admins, this one has %d", maxAdmins, len(p.Admins))
	}
	for _, a := range p.Admins {
		if _, err := ParseUserID(string(a)); err != nil {
			return err
		}
	}
	if p.MaxKeyAge > 0 && p.DefaultKeyAge > p.MaxKeyAge {
		return Errorf(Invalid, "a policy's keys last %v by default, at most %v", p.DefaultKeyAge, p.MaxKeyAge)
	}
	if len(p.CoIs) > MaxCoIs {
		return Errorf(Invalid, "a policy names %d communities: at most %d", len(p.CoIs), MaxCoIs)
	}
	for i := range p.CoIs {
		if i > 0 && p.CoIs[i-1].Name >= p.CoIs[i].Name {
			return Errorf(Invalid, "a policy's communities are sorted by name, each named once")
		}
		if err := p.CoIs[i].valid(p.StrictStatus); err != nil {
			return err
		}
	}
	return p.validAccess()
}

// validAccess checks who else than members may open keys.
func (p *Policy) validAccess() error {
	switch {
	case p.Mode > CoIAll || p.History > HistoryAll:
		return Errorf(Invalid, "a policy's mode is out of range")
	case len(p.CoIs) == 0 && (p.History != HistoryNone || len(p.Readers) > 0 || p.Cases.Threshold > 0):
		return Errorf(Invalid, "a policy without communities has keys for nobody: no history, readers or cases")
	}
	for i, name := range p.Readers {
		if i > 0 && p.Readers[i-1] >= name {
			return Errorf(Invalid, "a policy's readers are sorted by name, each named once")
		}
		if !slices.ContainsFunc(p.CoIs, func(c CoI) bool { return c.Name == name }) {
			return Errorf(Invalid, "a policy lets %s read, but wraps no key to it", name)
		}
	}
	return p.Cases.valid()
}

// valid says whether keys can be wrapped to a community.
func (c *CoI) valid(strict bool) error {
	if _, err := ParseCoIID(string(c.Name)); err != nil {
		return err
	}
	switch {
	case c.Root == Hash{}:
		return Errorf(Invalid, "%s has no root", c.Name)
	case len(c.Unwrap) == 0 || len(c.Unwrap) > MaxUnwrapServices:
		return Errorf(Invalid, "%s needs between 1 and %d unwrap services, it has %d", c.Name, MaxUnwrapServices, len(c.Unwrap))
	case strict && c.Status == "":
		return Errorf(Invalid, "%s has no status service, and the policy asks for status at every wrap", c.Name)
	case c.Status != "" && !serviceURL(c.Status, "http://", "https://"):
		return Errorf(Invalid, "%s: status service %q", c.Name, c.Status)
	case len(c.Officer) > MaxName || !printable(c.Officer):
		return Errorf(Invalid, "%s: a security officer's address", c.Name)
	}
	for _, u := range append(c.Unwrap[:len(c.Unwrap):len(c.Unwrap)], c.Lookup) {
		if !serviceURL(u, "https://") {
			return Errorf(Invalid, "%s: lookup or unwrap service %q: an address that begins with https://", c.Name, u)
		}
	}
	return nil
}

// valid says whether a rule can be met, and by nobody alone who is counted
// twice.
func (c *CaseRule) valid() error {
	if c.Threshold == 0 && len(c.Approvers) == 0 {
		return nil
	}
	if c.Threshold == 0 || int(c.Threshold) > len(c.Approvers) || len(c.Approvers) > MaxApprovers {
		return Errorf(Invalid, "a case needs %d of %d approvers: between 1 and all, at most %d", c.Threshold, len(c.Approvers), MaxApprovers)
	}
	names, keys := make(map[string]bool), make(map[Hash]bool)
	for _, a := range c.Approvers {
		if a.Name == "" || len(a.Name) > MaxName || !printable(a.Name) || names[a.Name] || keys[a.Key] || a.Key == (Hash{}) {
			return Errorf(Invalid, "approver %q of cases: a name and a key, each once", a.Name)
		}
		names[a.Name], keys[a.Key] = true, true
	}
	return nil
}

// serviceURL says whether u begins with one of those and names a host.
func serviceURL(u string, schemes ...string) bool {
	for _, s := range schemes {
		if rest, ok := strings.CutPrefix(u, s); ok {
			return rest != "" && rest[0] != '/' && len(u) <= MaxURL && printable(u)
		}
	}
	return false
}

// printable says whether a person can be shown s as it is.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}
