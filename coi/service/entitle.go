package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/coi"
)

const (
	// maxRules bounds the rules of who may use which CoI.
	maxRules = 100_000
	// maxRuleRooms bounds the rooms of one rule.
	maxRuleRooms = 1024
	// maxForgotten bounds the rooms that a book remembers to have been forgotten;
	// older ones are dropped.
	maxForgotten = 1024
	// EveryRoom stands for all rooms in a bot's rule.
	EveryRoom = "*"
)

// An Effect is what a rule does.
type Effect string

// The effects. Deny beats grant, whichever came first.
const (
	Grants Effect = "grant"
	Denies Effect = "deny"
)

// A Rule says who may use a CoI, or may not.
type Rule struct {
	CoI     string    `json:"coi,omitempty"` // URI; empty, in a rule that denies, means every CoI
	Subject string    `json:"subject"`       // URI of a device or bot, a user, or a site
	Effect  Effect    `json:"effect"`
	Rooms   []string  `json:"rooms,omitempty"` // a rule for these rooms only; bots need them named, or "*"
	Until   time.Time `json:"until,omitzero"`  // zero: no end
	By      string    `json:"by"`              // who gave it
	At      time.Time `json:"at"`
}

// A RuleBook is all rules, as they stood at one time.
type RuleBook struct {
	Version   uint64   `json:"version"` // rises with each change; an older book is never used again
	Rules     []Rule   `json:"rules"`
	Forgotten []Forget `json:"forgotten,omitempty"`
	Lifted    []Lift   `json:"lifted,omitempty"`

	hash [32]byte // SHA-256 of it as JSON; set by whoever reads it from a file
}

// A Forget has the service forget the newest epoch that it knows of a room: for
// a room whose mark was made by somebody who never was a member of it, or who
// forged a later epoch while it was one. The next request about it begins anew.
type Forget struct {
	Room    string    `json:"room"`
	Version uint64    `json:"version"` // of the book that brought it
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// errNotEntitled is why somebody may not use a CoI; its words are for the log.
var errNotEntitled = errors.New("not entitled")

// Allows says whether a device may use a CoI, in a room: nil, or why not. A
// person's device may if a rule grants it to the device, its user or its site; a
// bot only if a rule names the bot itself, and the room or "*". No rule denies.
func (b *RuleBook) Allows(coiName string, who *coi.Subject, room string, now time.Time) error {
	granted := false
	for i := range b.Rules {
		r := &b.Rules[i]
		if !r.applies(coiName, who, room, now) {
			continue
		}
		if r.Effect == Denies {
			return fmt.Errorf("%w: %s was denied %s by %s at %s", errNotEntitled, r.Subject, orEvery(r.CoI), r.By, r.At.UTC().Format(time.RFC3339))
		}
		granted = granted || r.Effect == Grants
	}
	if !granted {
		return fmt.Errorf("%w: no rule grants %s to %s", errNotEntitled, coiName, who.URI)
	}
	return nil
}

// AllowsAny says whether a device may use a CoI in some room.
func (b *RuleBook) AllowsAny(coiName string, who *coi.Subject, now time.Time) error {
	granted := false
	for i := range b.Rules {
		r := &b.Rules[i]
		if r.ended(now) || !r.names(who) || r.CoI != "" && r.CoI != coiName {
			continue
		}
		if r.Effect == Denies && len(r.Rooms) == 0 {
			return fmt.Errorf("%w: %s was denied %s by %s at %s", errNotEntitled, r.Subject, orEvery(r.CoI), r.By, r.At.UTC().Format(time.RFC3339))
		}
		granted = granted || r.Effect == Grants && (!who.Bot || r.Subject == who.URI && len(r.Rooms) > 0)
	}
	if !granted {
		return fmt.Errorf("%w: no rule grants %s to %s", errNotEntitled, coiName, who.URI)
	}
	return nil
}

func (r *Rule) applies(coiName string, who *coi.Subject, room string, now time.Time) bool {
	switch {
	case r.ended(now) || !r.names(who) || r.CoI != "" && r.CoI != coiName:
		return false
	case r.Effect == Denies:
		return len(r.Rooms) == 0 || slices.Contains(r.Rooms, room) || slices.Contains(r.Rooms, EveryRoom)
	case who.Bot && r.Subject != who.URI: // what is granted to people is not granted to their bots
		return false
	case who.Bot && len(r.Rooms) == 0:
		return false
	}
	return len(r.Rooms) == 0 || slices.Contains(r.Rooms, room) || slices.Contains(r.Rooms, EveryRoom)
}

func (r *Rule) ended(now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// names says whether a rule is about a device, its user or its site.
func (r *Rule) names(who *coi.Subject) bool {
	return r.Subject == who.URI || r.Subject == who.Name.User() || r.Subject == siteURI(who.Site)
}

// Check refuses a rule that could not have been meant.
func (r *Rule) Check() error {
	if r.Effect != Grants && r.Effect != Denies {
		return fmt.Errorf("a rule grants or denies, not %q", clip(string(r.Effect)))
	}
	if r.CoI == "" && r.Effect == Grants {
		return errors.New("a grant names one CoI, such as mimi://alpha.example/c/finance")
	}
	if r.CoI != "" {
		if n, err := coi.ParseName(r.CoI); err != nil || n.Purpose != coi.CoI {
			return fmt.Errorf("%q is no CoI: write it like mimi://alpha.example/c/finance", clip(r.CoI))
		}
	}
	if err := checkSubject(r.Subject); err != nil {
		return err
	}
	if len(r.Rooms) > maxRuleRooms {
		return fmt.Errorf("%d rooms in one rule: at most %d", len(r.Rooms), maxRuleRooms)
	}
	for _, room := range r.Rooms {
		if room != EveryRoom && !strings.HasPrefix(room, siteScheme) {
			return fmt.Errorf("%q is no room: write it like mimi://alpha.example/r/ops, or %s for every room", clip(room), EveryRoom)
		}
	}
	return nil
}

const siteScheme = "mimi://"

func siteURI(site string) string { return siteScheme + site }

// checkSubject: a device, a user or a site.
func checkSubject(uri string) error {
	if n, err := coi.ParseName(uri); err == nil && n.Purpose == coi.Device {
		return nil
	}
	site, user, isUser := strings.Cut(strings.TrimPrefix(uri, siteScheme), "/u/")
	ok := strings.HasPrefix(uri, siteScheme) && coi.CheckSite(site) == nil && (!isUser || coi.CheckLabel(user) == nil)
	if !ok {
		return fmt.Errorf("%q is no device, user or site: write it like mimi://alpha.example/d/alice/laptop, mimi://alpha.example/u/alice or mimi://alpha.example", clip(uri))
	}
	return nil
}

func orEvery(coiName string) string {
	if coiName == "" {
		return "every CoI"
	}
	return coiName
}
