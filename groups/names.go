package groups

import (
	"strings"
)

// MaxName is the longest URI of anything, in bytes.
const MaxName = 255

// maxLabel is the longest local name (user, device, room, node), in bytes.
const maxLabel = 64

const scheme = "mimi://"

// A SiteID is an organisation's domain, lower case: alpha.example. Its URI is
// mimi://alpha.example (draft-ietf-mimi-protocol, Section 4).
type SiteID string

// A UserID is a person's URI: mimi://alpha.example/u/alice.
type UserID string

// A DeviceID is the URI of one of a person's devices, an MLS client:
// mimi://alpha.example/d/alice/laptop.
type DeviceID string

// A RoomID is a room's URI: mimi://alpha.example/r/ops. Its site is the hub.
type RoomID string

// A NodeID is the URI of one gateway process of a site:
// mimi://alpha.example/n/a1.
type NodeID string

// A CoIID is the URI of a site's Community of Interest:
// mimi://alpha.example/c/finance.
type CoIID string

// NewUserID names a user of a site.
func NewUserID(site SiteID, user string) (UserID, error) {
	return ParseUserID(scheme + string(site) + "/u/" + user)
}

// NewDeviceID names a device of a user.
func NewDeviceID(user UserID, device string) (DeviceID, error) {
	return ParseDeviceID(scheme + string(user.Site()) + "/d/" + user.Name() + "/" + device)
}

// NewRoomID names a room whose hub is site.
func NewRoomID(site SiteID, room string) (RoomID, error) {
	return ParseRoomID(scheme + string(site) + "/r/" + room)
}

// NewNodeID names a node of a site.
func NewNodeID(site SiteID, node string) (NodeID, error) {
	return ParseNodeID(scheme + string(site) + "/n/" + node)
}

// NewCoIID names a Community of Interest of a site.
func NewCoIID(site SiteID, coi string) (CoIID, error) {
	return ParseCoIID(scheme + string(site) + "/c/" + coi)
}

// ParseSiteID checks a domain: lower-case labels of letters, digits and
// hyphens, at least two, at most 200 bytes. It also takes the site's URI.
func ParseSiteID(s string) (SiteID, error) {
	host := strings.TrimPrefix(s, scheme)
	labels := 0
	for rest, more := host, true; more; labels++ {
		var l string
		if l, rest, more = strings.Cut(rest, "."); !validLabel(l) || strings.Contains(l, "_") {
			return "", nameError("site", s, "a domain such as alpha.example")
		}
	}
	if len(host) > 200 || labels < 2 {
		return "", nameError("site", s, "a domain such as alpha.example")
	}
	return SiteID(host), nil
}

// ParseUserID checks a user's URI.
func ParseUserID(s string) (UserID, error) {
	return UserID(s), parseURI(s, "user", "u", 1)
}

// ParseDeviceID checks a device's URI.
func ParseDeviceID(s string) (DeviceID, error) {
	return DeviceID(s), parseURI(s, "device", "d", 2)
}

// ParseRoomID checks a room's URI.
func ParseRoomID(s string) (RoomID, error) {
	return RoomID(s), parseURI(s, "room", "r", 1)
}

// ParseNodeID checks a node's URI.
func ParseNodeID(s string) (NodeID, error) {
	return NodeID(s), parseURI(s, "node", "n", 1)
}

// ParseCoIID checks the URI of a Community of Interest.
func ParseCoIID(s string) (CoIID, error) {
	return CoIID(s), parseURI(s, "community", "c", 1)
}

// Site returns the user's site.
func (u UserID) Site() SiteID { return siteOf(string(u)) }

// Name returns the user's local name: alice.
func (u UserID) Name() string { return segment(string(u), 2) }

// Site returns the device's site.
func (d DeviceID) Site() SiteID { return siteOf(string(d)) }

// User returns whose device it is.
func (d DeviceID) User() UserID {
	return UserID(scheme + string(d.Site()) + "/u/" + segment(string(d), 2))
}

// Name returns the device's local name: laptop.
func (d DeviceID) Name() string { return segment(string(d), 3) }

// Site returns the room's hub site.
func (r RoomID) Site() SiteID { return siteOf(string(r)) }

// Name returns the room's local name: ops.
func (r RoomID) Name() string { return segment(string(r), 2) }

// Site returns the node's site.
func (n NodeID) Site() SiteID { return siteOf(string(n)) }

// Name returns the node's local name: a1.
func (n NodeID) Name() string { return segment(string(n), 2) }

// Site returns the community's site.
func (c CoIID) Site() SiteID { return siteOf(string(c)) }

// Name returns the community's local name: finance.
func (c CoIID) Name() string { return segment(string(c), 2) }

// URI returns the site's URI.
func (s SiteID) URI() string { return scheme + string(s) }

func siteOf(uri string) SiteID {
	host, _, _ := strings.Cut(strings.TrimPrefix(uri, scheme), "/")
	return SiteID(host)
}

// segment returns part n of mimi://host/kind/part2/part3, counted from host 0.
func segment(uri string, n int) string {
	parts := strings.SplitN(strings.TrimPrefix(uri, scheme), "/", 4)
	if n < len(parts) {
		return parts[n]
	}
	return ""
}

func parseURI(s, noun, kind string, labels int) error {
	rest, ok := strings.CutPrefix(s, scheme)
	site, rest, _ := strings.Cut(rest, "/")
	given, rest, more := strings.Cut(rest, "/")
	if !ok || len(s) > MaxName || given != kind || strings.Count(rest, "/") != labels-1 {
		return nameError(noun, s, exampleURI(kind))
	}
	if _, err := ParseSiteID(site); err != nil {
		return err
	}
	for more {
		var label string
		if label, rest, more = strings.Cut(rest, "/"); !validLabel(label) {
			return nameError(noun, s, exampleURI(kind))
		}
	}
	return nil
}

// exampleURI shows what a name of a kind looks like.
func exampleURI(kind string) string {
	return map[string]string{
		"u": "mimi://alpha.example/u/alice", "d": "mimi://alpha.example/d/alice/laptop",
		"r": "mimi://alpha.example/r/ops", "n": "mimi://alpha.example/n/a1",
		"c": "mimi://alpha.example/c/finance",
	}[kind]
}

// validLabel says whether l is [a-z0-9] followed by [a-z0-9._-], as short as
// maxLabel, so that a name can stand in a path, a log and a certificate as is.
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

func nameError(noun, got, example string) error {
	if len(got) > 80 {
		got = got[:80] + "..."
	}
	return Errorf(Invalid, "%q is not a %s name: write it like %s, in lower case", got, noun, example)
}
