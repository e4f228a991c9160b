package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// gone is what is said when the bot is out.
const gone = "the bot is gone"

// cutBot has a bot join the room and read its past, and then cut off at the unwrap
// service. The next command of anybody who is a member removes it: bob's, who is no
// admin, at the other site.
func (d *demo) cutBot(ctx context.Context) (string, error) {
	bot := d.person(d.alpha, "archiver", "main")
	bot.bot = true
	if err := bot.enrol(ctx); err != nil {
		return "", err
	}
	member, alice, bob := d.inVault(bot), d.inVault(d.laptop), d.inVault(d.bob)
	unwrap, room := d.finance.dir("unwrap"), "mimi://"+string(d.alpha.name)+"/r/"+vault
	if _, err := d.exec(ctx, d.pki, "entitle", "grant", "--dir", unwrap, "--coi", d.finance.name, string(bot.id()), "--room", room); err != nil {
		return "", err
	}
	if _, err := alice.run(ctx, "room", "add", alice.room, bot.user); err != nil {
		return "", err
	}
	if _, err := member.messages(ctx); err != nil {
		return "", err
	}
	var before pastJSON
	d.story.ran(append([]string{"parley"}, member.words([]string{"history", member.room})...)...)
	if err := member.ask(ctx, &before, "history", member.room); err != nil {
		return "", err
	}
	if before.Messages < len(vaultLines) {
		return "", fmt.Errorf("the bot reads %d messages: %v", before.Messages, before.Why)
	}
	if out, err := alice.run(ctx, "bots", alice.room); err != nil || !strings.Contains(string(out), bot.user) {
		return "", fmt.Errorf("alice lists as bots %q: %w", out, err)
	}
	if _, err := d.exec(ctx, d.pki, "bots", "cut", "--dir", unwrap, string(bot.id())); err != nil {
		return "", err
	}
	d.story.ran(append([]string{"parley"}, bob.words([]string{"sync"})...)...)
	if err := bob.removesBot(ctx, bot); err != nil {
		return "", err
	}
	if err := alice.say(ctx, gone); err != nil {
		return "", err
	}
	if err := member.readsNothingOf(ctx, gone); err != nil {
		return "", err
	}
	if _, err := d.exec(ctx, d.pki, "bots", "proof", "--dir", unwrap, string(bot.id())); err != nil {
		return "", err
	}
	return faint(fmt.Sprintf("%d messages before, none after; bob's device has removed it, the log of the unwrap service proves the rest", before.Messages)), nil
}

// removesBot syncs until a bot is not in the room any more.
func (p *person) removesBot(ctx context.Context, bot *person) error {
	err := eventually(ctx, func(ctx context.Context) (bool, error) {
		var rooms []syncedJSON
		if err := p.ask(ctx, &rooms, "sync"); err != nil {
			return false, err
		}
		var bots []botJSON
		if err := p.ask(ctx, &bots, "bots", p.room); err != nil {
			return false, err
		}
		return !slices.ContainsFunc(bots, func(b botJSON) bool { return b.Device == bot.id() }), nil
	})
	if err != nil {
		return fmt.Errorf("%s removes %s: %w", p.id(), bot.id(), err)
	}
	return nil
}

// readsNothingOf has a bot that was removed try all it can: as a member, and as a
// reader.
func (p *person) readsNothingOf(ctx context.Context, text string) error {
	var rooms []syncedJSON
	if err := p.ask(ctx, &rooms, "sync"); err != nil {
		return err
	}
	i := slices.IndexFunc(rooms, func(r syncedJSON) bool { return strings.HasSuffix(string(r.Room), "/r/"+vault) })
	if i < 0 || rooms[i].State != "closed" {
		return fmt.Errorf("%s was removed and finds its rooms to be %+v", p.id(), rooms)
	}
	full := vault + "@" + string(p.demo.alpha.name)
	p.demo.story.ran(append([]string{"parley"}, p.words([]string{"history", full, "--reader"})...)...)
	var past pastJSON
	if err := p.ask(ctx, &past, "history", full, "--reader"); err == nil && past.Unreadable == 0 {
		return fmt.Errorf("%s was cut off and reads all of %d messages", p.id(), past.Messages)
	}
	var messages []messageJSON
	if err := p.ask(ctx, &messages, "read", p.room, "--limit", "10000"); err != nil {
		return err
	}
	if slices.ContainsFunc(messages, func(m messageJSON) bool { return m.Text == text }) {
		return fmt.Errorf("%s was cut off and reads %q", p.id(), text)
	}
	return nil
}
