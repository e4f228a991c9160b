package tui

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"parley/client"
	"parley/groups"
)

// A Home is the site whose names are written without it.
type Home groups.SiteID

// Room writes ops for a room of the home site, ops@beta.example for another's.
func (h Home) Room(r groups.RoomID) string { return h.at(r.Name(), r.Site()) }

// User writes alice, or bob@beta.example.
func (h Home) User(u groups.UserID) string { return h.at(u.Name(), u.Site()) }

// Device writes alice/laptop, or bob@beta.example/phone.
func (h Home) Device(d groups.DeviceID) string { return h.User(d.User()) + "/" + d.Name() }

// Devices writes a list of devices as people: alice/laptop and alice/phone are
// alice (2 devices).
func (h Home) Devices(list []groups.DeviceID) string {
	var out []string
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && list[i+n].User() == list[i].User() {
			n++
		}
		if n == 1 {
			out = append(out, h.Device(list[i]))
		} else {
			out = append(out, fmt.Sprintf("%s (%d devices)", h.User(list[i].User()), n))
		}
		i += n
	}
	return strings.Join(out, ", ")
}

// Plain writes the URIs in a text as people write these names.
func (h Home) Plain(text string) string {
	return uri.ReplaceAllStringFunc(text, func(name string) string {
		part := uri.FindStringSubmatch(name)
		site, kind, local, device := groups.SiteID(part[1]), part[2], part[3], part[4]
		switch {
		case kind == "d" && device != "":
			return h.at(local, site) + device
		case kind == "n":
			return "node " + local + " of " + string(site)
		case kind == "r", kind == "u":
			return h.at(local, site) + device
		}
		return name
	})
}

// uri is a name in full, or what somebody has made one of, without the stop after it.
var uri = regexp.MustCompile(`mimi://([a-z0-9.:-]+)/([a-z])/([\w-]+(?:\.[\w-]+)*)(/[\w-]+(?:\.[\w-]+)*)?`)

func (h Home) at(local string, site groups.SiteID) string {
	if groups.SiteID(h) == site {
		return local
	}
	return local + "@" + string(site)
}

// codeBytes is how much of an epoch authenticator two people compare by eye.
const codeBytes = 6

// Code writes the beginning of an epoch authenticator (RFC 9420, Section 8.7)
// for two people to compare: 4f2a 91c0 77de.
func Code(authenticator []byte) string {
	s := hex.EncodeToString(authenticator[:min(len(authenticator), codeBytes)])
	var groups []string
	for ; len(s) > 4; s = s[4:] {
		groups = append(groups, s[:4])
	}
	return strings.TrimSpace(strings.Join(append(groups, s), " "))
}

// Age writes how long ago something was, in one unit: 5 s, 3 min, 2 h, 4 d.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(d, 0)/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// Size writes bytes in the unit that leaves one to three digits before the
// point: 1.4 MiB.
func Size(n uint64) string {
	f, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for f >= 1000 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	if f >= 100 || n < 1000 {
		return fmt.Sprintf("%.0f %s", f, units[0])
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}

// What says what a change of a room was: alice/laptop added bob/phone.
func (h Home) What(by groups.DeviceID, c *client.Change) string {
	if by == "" { // we came in with it, and were not told by whom
		return h.Devices(c.Added) + " joined"
	}
	var parts []string
	if len(c.Added) == 1 && c.Added[0] == by { // nobody else adds themselves
		return h.Device(by) + " made the room"
	}
	if len(c.Added) > 0 {
		parts = append(parts, "added "+h.Devices(c.Added))
	}
	if len(c.Removed) > 0 {
		parts = append(parts, "removed "+h.Devices(c.Removed))
	}
	if c.Policy {
		parts = append(parts, "changed the policy")
	}
	if len(parts) == 0 {
		parts = []string{"made a new key"}
	}
	return h.Device(by) + " " + strings.Join(parts, " and ")
}
