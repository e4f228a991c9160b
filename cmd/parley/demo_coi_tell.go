package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/groups"
)

// vault is the room whose keys are wrapped to both communities.
const vault = "vault"

// inVault is somebody's view of that room.
func (d *demo) inVault(p *person) *person {
	v := *p
	v.room = vault
	if v.site != d.alpha {
		v.room += "@" + string(d.alpha.name)
	}
	return &v
}

// communities are the steps about keys that are wrapped to communities.
func (d *demo) communitySteps() []demoStep {
	return []demoStep{
		{"alice makes the room vault under both communities, and adds bob", d.makeVault},
		{"everybody sees who made the key, when, and for whom", d.seeKey},
		{"bob gets a second device, which reads what was said before", d.pastOnNewDevice},
		{"alpha's finance certificate is revoked: sending is denied", d.revokeCommunity},
		{"finance is certified anew: sending goes on by itself", d.replaceCommunity},
		{"a key that has ended seals nothing; alice makes another", d.staleKey},
		{"a bot is cut off: the next device online removes it", d.cutBot},
		{"two approvers open a case: three messages, and no others", d.openCase},
		{"openssl opens the same envelope by hand", d.breakGlass},
		{"the history of the room's keys verifies offline", d.verifyKeys},
	}
}

// vaultLines is what is said in the vault before bob has a second device.
var vaultLines = []string{"first: the figures are in", "second: nobody else knows", "third: see you on monday"}

func (d *demo) makeVault(ctx context.Context) (string, error) {
	words := []string{"room", "create", vault, "--coi", d.finance.name, "--coi", d.legal.name + "@" + string(d.beta.name),
		"--strict-status", "--history", "all", "--reader", d.finance.name, "--case-threshold", "2"}
	for _, name := range approverNames {
		words = append(words, "--approver", name+"="+name+".pub")
	}
	if _, err := d.laptop.run(ctx, append(words, "--member", "bob@"+string(d.beta.name))...); err != nil {
		return "", err
	}
	alice, bob := d.inVault(d.laptop), d.inVault(d.bob)
	for i, text := range vaultLines {
		from, to := alice, bob
		if i == 1 {
			from, to = bob, alice
		}
		if err := from.say(ctx, text); err != nil {
			return "", err
		}
		if err := to.hears(ctx, from, text); err != nil {
			return "", err
		}
	}
	d.said = time.Now()
	return "", nil
}

// approvers makes the keys of those who approve cases.
func (d *demo) approvers() error {
	for _, name := range approverNames {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("make the key of %s: %w", name, err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return err
		}
		shown, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return err
		}
		err = errors.Join(
			os.WriteFile(filepath.Join(d.dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
			os.WriteFile(filepath.Join(d.dir, name+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: shown}), 0o600))
		if err != nil {
			return err
		}
	}
	return nil
}

// approverNames are those who approve cases.
var approverNames = []string{"counsel", "board"}

func (d *demo) seeKey(ctx context.Context) (string, error) {
	alice, bob := d.inVault(d.laptop), d.inVault(d.bob)
	var mine, his keyJSON
	if _, err := alice.run(ctx, "room", "inspect", alice.room); err != nil {
		return "", err
	}
	if _, err := bob.run(ctx, "keys", bob.room); err != nil {
		return "", err
	}
	if err := alice.ask(ctx, &mine, "keys", alice.room); err != nil {
		return "", err
	}
	if err := bob.ask(ctx, &his, "keys", bob.room); err != nil {
		return "", err
	}
	if mine.ID != his.ID || mine.Author != d.laptop.id() || len(mine.Recipients) != 2 {
		return "", fmt.Errorf("alice sees %+v, bob %+v", mine, his)
	}
	return faint(fmt.Sprintf("key %s, made by %s (%s), for %s and %s", mine.ID.String()[:16], mine.Author, mine.Reason,
		mine.Recipients[0].Name, mine.Recipients[1].Name)), nil
}

func (d *demo) pastOnNewDevice(ctx context.Context) (string, error) {
	d.tablet = d.person(d.beta, "bob", "tablet")
	if err := d.tablet.enrol(ctx); err != nil {
		return "", err
	}
	bob, tablet := d.inVault(d.bob), d.inVault(d.tablet)
	if _, err := bob.run(ctx, "room", "add", bob.room, "bob"); err != nil {
		return "", err
	}
	if _, err := tablet.messages(ctx); err != nil {
		return "", err
	}
	if _, err := tablet.run(ctx, "history", tablet.room); err != nil {
		return "", err
	}
	messages, err := tablet.messages(ctx)
	if err != nil {
		return "", err
	}
	for _, text := range vaultLines {
		if !slices.ContainsFunc(messages, func(m messageJSON) bool { return m.Text == text }) {
			return "", fmt.Errorf("%s does not read %q", tablet.id(), text)
		}
	}
	return faint("all three lines, signatures verified, through beta's unwrap service"), nil
}

// refusedToSend sends, and expects to be refused with these words.
func (d *demo) refusedToSend(ctx context.Context, p *person, why, text string) (string, error) {
	words := p.words([]string{"send", p.room, text, "--wait"})
	d.story.ran(append([]string{"parley"}, words...)...)
	_, err := d.quietly(ctx, d.parley, words...)
	if err == nil || !strings.Contains(err.Error(), why) {
		return "", fmt.Errorf("%s was to be refused because it %q: %v", p.id(), why, err)
	}
	_, line, _ := strings.Cut(err.Error(), "parley: ")
	return faint(line), nil
}

func (d *demo) revokeCommunity(ctx context.Context) (string, error) {
	if _, err := d.exec(ctx, d.pki, "revoke", d.finance.name, "--dir", d.finance.dir("coi"), "--reason", "key-compromise"); err != nil {
		return "", err
	}
	return d.refusedToSend(ctx, d.inVault(d.laptop), "was revoked", "held back while there is no certificate")
}

func (d *demo) replaceCommunity(ctx context.Context) (string, error) {
	if err := d.certify(ctx, d.finance); err != nil {
		return "", err
	}
	alice, bob := d.inVault(d.laptop), d.inVault(d.bob)
	err := eventually(ctx, func(ctx context.Context) (bool, error) {
		if err := alice.ask(ctx, &[]syncedJSON{}, "sync"); err != nil {
			return false, err
		}
		messages, err := bob.messages(ctx)
		return slices.ContainsFunc(messages, func(m messageJSON) bool { return strings.HasPrefix(m.Text, "held back") }), err
	})
	if err != nil {
		return "", fmt.Errorf("what was held back arrives: %w", err)
	}
	var keys []keyJSON
	if err := bob.ask(ctx, &keys, "keys", "history", bob.room); err != nil {
		return "", err
	}
	last := keys[len(keys)-1]
	if last.Reason != groups.KeyCertificateReplaced.String() {
		return "", fmt.Errorf("the last key was made for another reason: %s", last.Reason)
	}
	return faint(fmt.Sprintf("epoch %d, %s, under serial %s", last.Epoch, last.Reason, last.Recipients[0].Serial)), nil
}

// staleAfter is how many messages a key of the stale room seals.
const staleAfter = 2

func (d *demo) staleKey(ctx context.Context) (string, error) {
	if _, err := d.laptop.run(ctx, "room", "create", "notes", "--coi", d.finance.name, "--key-messages", fmt.Sprint(staleAfter)); err != nil {
		return "", err
	}
	notes := *d.laptop
	notes.room = "notes"
	for i := range staleAfter {
		if err := notes.say(ctx, fmt.Sprintf("note %d", i+1)); err != nil {
			return "", err
		}
	}
	why, err := d.refusedToSend(ctx, &notes, "make a new one", "one note more")
	if err != nil {
		return "", err
	}
	if _, err := notes.run(ctx, "keys", "new", "notes", "--reason", "rotated_by_policy", "--yes"); err != nil {
		return "", err
	}
	err = eventually(ctx, func(ctx context.Context) (bool, error) {
		messages, err := notes.messages(ctx)
		return slices.ContainsFunc(messages, func(m messageJSON) bool { return m.Text == "one note more" && m.State == "accepted" }), err
	})
	if err != nil {
		return "", err
	}
	var key keyJSON
	if err := notes.ask(ctx, &key, "keys", "notes"); err != nil {
		return "", err
	}
	if key.Reason != groups.KeyRotatedByPolicy.String() {
		return "", fmt.Errorf("the record says that the key was made because %s", key.Reason)
	}
	return why, nil
}

func (d *demo) verifyKeys(ctx context.Context) (string, error) {
	alice := d.inVault(d.laptop)
	out, err := alice.run(ctx, "keys", "export", alice.room)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(d.dir, "vault.keys"), out, 0o600); err != nil {
		return "", err
	}
	said, err := alice.run(ctx, "keys", "verify", "vault.keys")
	if err != nil {
		return "", err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(out, &list); err != nil || len(list) < 3 {
		return "", fmt.Errorf("%d keys were exported: %w", len(list), err)
	}
	short, err := json.Marshal(list[1:])
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(d.dir, "short.keys"), short, 0o600); err != nil {
		return "", err
	}
	if _, err := d.quietly(ctx, d.parley, alice.words([]string{"keys", "verify", "short.keys"})...); err == nil {
		return "", fmt.Errorf("a history without its first record verifies")
	}
	return faint(strings.TrimSpace(string(said)) + "; without the first record it does not"), nil
}
