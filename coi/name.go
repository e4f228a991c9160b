package coi

import "strings"

const (
	// MaxName is the longest URI in a certificate, in bytes.
	MaxName = 255
	// maxLabel is the longest local name, in bytes.
	maxLabel = 64
	// maxSite is the longest domain of a site, in bytes.
	maxSite = 200
	scheme  = "mimi://"
)

// A Purpose is what a certificate may be used for. It is told by the form of
// the URI and by the usages together, so that a certificate made for one
// purpose never serves another.
type Purpose uint8

// The purposes.
const (
	Device   Purpose = iota + 1 // a person's device: an MLS leaf, a login
	Node                        // a gateway process, on both ends of a link
	Ordering                    // signs the heads of room logs
	Service                     // a certificate service's own HTTPS
	CoI                         // a Community of Interest: keys are wrapped to it
)

// letters of the purposes in a URI, by Purpose.
const letters = " dnosc"

var purposeNames = [...]string{"none", "device", "node", "ordering", "service", "CoI"}

// String returns the purpose's name.
func (p Purpose) String() string {
	if int(p) < len(purposeNames) {
		return purposeNames[p]
	}
	return purposeNames[0]
}

// A Name is the URI of a certificate taken apart.
type Name struct {
	Purpose Purpose
	Site    string // alpha.example
	Local   string // of a device its user (alice), else its own name (a1)
	Device  string // laptop; empty but for devices
}

// ParseName takes apart the URI of a device, node, ordering key, service or
// CoI. It accepts one spelling only: what it returns writes the same bytes again. A
// refusal is BadName.
func ParseName(uri string) (Name, error) {
	rest, ok := strings.CutPrefix(uri, scheme)
	if !ok || len(uri) > MaxName {
		return Name{}, badName(uri)
	}
	parts := strings.Split(rest, "/")
	if len(parts) < 3 || len(parts[1]) != 1 {
		return Name{}, badName(uri)
	}
	n := Name{Site: parts[0], Local: parts[2]}
	if i := strings.Index(letters, parts[1]); i > 0 {
		n.Purpose = Purpose(i)
	}
	if n.Purpose == Device && len(parts) == 4 {
		n.Device = parts[3]
	} else if len(parts) != 3 {
		return Name{}, badName(uri)
	}
	return n, n.check(uri)
}

// Check refuses a name that has no URI, as BadName.
func (n Name) Check() error { return n.check(n.URI()) }

func (n Name) check(uri string) error {
	ok := n.Purpose >= Device && n.Purpose <= CoI && validSite(n.Site) && validLabel(n.Local) &&
		validLabel(n.Device) == (n.Purpose == Device) && (n.Device == "" || n.Purpose == Device)
	if !ok || len(uri) > MaxName {
		return badName(uri)
	}
	return nil
}

// URI writes the name: mimi://alpha.example/d/alice/laptop.
func (n Name) URI() string {
	if n.Purpose > CoI {
		return ""
	}
	uri := scheme + n.Site + "/" + letters[n.Purpose:n.Purpose+1] + "/" + n.Local
	if n.Purpose == Device {
		uri += "/" + n.Device
	}
	return uri
}

// User returns the URI of a device's user: mimi://alpha.example/u/alice.
func (n Name) User() string { return scheme + n.Site + "/u/" + n.Local }

// CheckSite refuses what is not a site's domain, as BadName: lower-case labels
// of letters, digits and hyphens, at least two, at most 200 bytes.
func CheckSite(site string) error {
	if !validSite(site) {
		return refuse(BadName, "%q is not a site: write a domain in lower case, such as alpha.example", clip(site))
	}
	return nil
}

// CheckLabel refuses what is not a local name (alice, laptop, a1), as BadName:
// [a-z0-9] and then [a-z0-9._-], at most 64 bytes.
func CheckLabel(label string) error {
	if !validLabel(label) {
		return refuse(BadName, "%q is not a name: use a-z, 0-9, '-', '_' and '.', begin with a letter or digit, at most %d", clip(label), maxLabel)
	}
	return nil
}

func validSite(s string) bool {
	labels := strings.Split(s, ".")
	if len(s) > maxSite || len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if !validLabel(l) || strings.Contains(l, "_") {
			return false
		}
	}
	return true
}

func validLabel(l string) bool {
	if l == "" || len(l) > maxLabel {
		return false
	}
	for i := 0; i < len(l); i++ {
		c := l[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return true
}

func badName(uri string) error {
	return refuse(BadName, "%q names no device, node, ordering key, service or CoI: write it like mimi://alpha.example/d/alice/laptop or mimi://alpha.example/n/a1", clip(uri))
}

// clip keeps foreign text short enough for a log line.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
