package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"parley/groups"
)

// A person is somebody at one of their devices.
type person struct {
	demo    *demo
	site    *demoSite
	user    string
	device  string
	home    string
	gateway string // the one the device uses, "" for the site's first
	room    string // what this person calls the room
	bot     bool   // no person holds it
}

// person makes up somebody at a device.
func (d *demo) person(site *demoSite, user, device string) *person {
	p := &person{demo: d, site: site, user: user, device: device, home: user + "-" + device, room: "ops"}
	if site != d.alpha {
		p.room += "@" + string(d.alpha.name)
	}
	return p
}

// id returns the device's name.
func (p *person) id() groups.DeviceID {
	return groups.DeviceID(fmt.Sprintf("mimi://%s/d/%s/%s", p.site.name, p.user, p.device))
}

// words puts the global flags before a command.
func (p *person) words(words []string) []string {
	flags := []string{"--home", p.home}
	if p.gateway != "" {
		flags = append(flags, "--gateway", p.gateway)
	}
	return append(flags, words...)
}

// run runs parley as this person, and shows it.
func (p *person) run(ctx context.Context, words ...string) ([]byte, error) {
	return p.demo.exec(ctx, p.demo.parley, p.words(words)...)
}

// ask runs parley as this person with --json, and does not show it.
func (p *person) ask(ctx context.Context, answer any, words ...string) error {
	return p.demo.ask(ctx, answer, p.words(words)...)
}

// enrol makes the device: a one-time code from the site, and a login with it.
func (p *person) enrol(ctx context.Context) error {
	d := p.demo
	words := []string{"code", "new", "--dir", p.site.pki, "--user", p.user, "--device", p.device}
	if p.bot {
		words = append(words, "--bot")
	}
	out, err := d.exec(ctx, d.pki, append(words, "--json")...)
	if err != nil {
		return err
	}
	var code struct{ Code string }
	if err := json.Unmarshal(out, &code); err != nil {
		return fmt.Errorf("parley-pki code new: %w", err)
	}
	_, err = p.run(ctx, "login", "--enroll", "https://"+p.site.listen, "--ca", p.site.pki+"/ca.pem", "--code", code.Code, "--device", p.device)
	if err != nil {
		return err
	}
	var who struct{ Device groups.DeviceID }
	if err := p.ask(ctx, &who, "whoami"); err != nil {
		return err
	}
	if who.Device != p.id() {
		return fmt.Errorf("%s became %s", p.id(), who.Device)
	}
	var keys keysJSON
	if err := p.ask(ctx, &keys, "keys"); err != nil {
		return err
	}
	if keys.KeyPackages == nil || keys.KeyPackages.Published == 0 {
		return fmt.Errorf("%s has no key packages at its gateway", p.id())
	}
	return nil
}

// say sends a text and waits for its receipt.
func (p *person) say(ctx context.Context, text string) error {
	_, err := p.run(ctx, "send", p.room, text, "--wait")
	return err
}

// hears fetches what is new until a text of a device is there.
func (p *person) hears(ctx context.Context, from *person, text string) error {
	p.demo.story.ran(append([]string{"parley"}, p.words([]string{"sync"})...)...)
	p.demo.story.ran(append([]string{"parley"}, p.words([]string{"read", p.room})...)...)
	err := eventually(ctx, func(ctx context.Context) (bool, error) {
		messages, err := p.messages(ctx)
		return slices.ContainsFunc(messages, func(m messageJSON) bool { return m.Text == text && m.Device == from.id() }), err
	})
	if err != nil {
		return fmt.Errorf("%s reads what %s said: %w", p.id(), from.id(), err)
	}
	return nil
}

// messages syncs and reads all there is of the room.
func (p *person) messages(ctx context.Context) (messages []messageJSON, err error) {
	var rooms []syncedJSON
	if err := p.ask(ctx, &rooms, "sync"); err != nil || len(rooms) == 0 {
		return nil, err
	}
	return messages, p.ask(ctx, &messages, "read", p.room, "--limit", "10000")
}

// info describes the room as this person sees it.
func (p *person) info(ctx context.Context) (room roomJSON, err error) {
	return room, p.ask(ctx, &room, "room", "info", p.room)
}
