package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"parley/client/tui"
	"parley/groups"
)

// tell tells the whole story.
func (d *demo) tell(ctx context.Context) error {
	d.canary = "canary-" + hex.EncodeToString(random(8))
	if err := errors.Join(d.newSites(), d.newCommunities()); err != nil {
		return err
	}
	for _, c := range []struct {
		title string
		steps []demoStep
	}{
		{"Two organisations", []demoStep{
			{"alpha.example makes its CAs, and certificates for two nodes", d.makePKI(d.alpha)},
			{"beta.example makes its own", d.makePKI(d.beta)},
			{"alpha has a community of interest, finance, under a CA of its own", d.makeCommunity(d.finance)},
			{"beta has one, legal", d.makeCommunity(d.legal)},
			{"each trusts the other's CA, for the other's names alone", d.exchangeTrust},
			{"their gateways run: a1 and a2 of alpha, b1 of beta", d.startNodes},
			{"alpha's nodes have found each other, and beta is linked to alpha", d.seeEachOther},
			{"their enrolment services run, apart from the gateways", d.startEnrolment},
			{"OCSP, lookup and unwrap services run, six processes", d.startCommunities},
			{"preflight: the services of both communities answer and agree", d.preflight},
		}},
		{"People and their devices", d.enrolments()},
		{"A room at alpha", []demoStep{
			{"alice makes the room ops and adds bob: three devices, one key", d.makeRoom},
			{"alice writes, bob and alice's phone read it", d.text},
			{"bob answers", d.answer},
			{"alice sends a file, bob's copy is the same by SHA-256", d.file},
		}},
		{"A second node of alpha", []demoStep{
			{"carol's tablet is at a2 and joins the room that a1 owns", d.secondNode},
			{"what carol writes reaches alice and bob, and theirs carol", d.acrossNodes},
		}},
		{"beta is killed in the middle of it", []demoStep{
			{"bob's laptop stays online and prints what comes", d.openScreen},
			{"bob enrols a phone", d.enrolLate},
			{"alice writes on and on; beta gets SIGKILL, and starts again later", d.killBeta},
			{"bob's laptop has every message exactly once, in order", d.caughtUp},
			{"bob's phone was added by his laptop, reads and writes", d.lateDevice},
		}},
		{"Keys in the hands of the enterprise", d.communitySteps()},
		{"Who is out, is out", []demoStep{
			{"alice's laptop removes her phone: the others have a new key", d.removePhone},
			{"the phone can neither read what follows nor write", d.phoneIsOut},
			{"nothing that was said is on any disk in the clear", d.scanDisks},
		}},
	} {
		if err := d.story.chapter(c.title); err != nil {
			return err
		}
		for _, s := range c.steps {
			if err := d.story.step(ctx, s.title, s.do); err != nil {
				return err
			}
		}
	}
	return nil
}

// A demoStep is one line of the story.
type demoStep struct {
	title string
	do    act
}

// enrolments are the steps in which people make their devices.
func (d *demo) enrolments() []demoStep {
	d.laptop, d.phone = d.person(d.alpha, "alice", "laptop"), d.person(d.alpha, "alice", "phone")
	d.bob, d.late = d.person(d.beta, "bob", "laptop"), d.person(d.beta, "bob", "phone")
	d.carol = d.person(d.alpha, "carol", "tablet")
	d.carol.gateway = d.alpha.nodes[1].Devices
	var steps []demoStep
	for _, p := range []*person{d.laptop, d.phone, d.bob, d.carol} {
		steps = append(steps, demoStep{
			fmt.Sprintf("%s's %s makes its key itself, and %s certifies it", p.user, p.device, p.site.name),
			func(ctx context.Context) (string, error) { return "", p.enrol(ctx) },
		})
	}
	return steps
}

// makeRoom makes the room; all devices must have the same key.
func (d *demo) makeRoom(ctx context.Context) (string, error) {
	if _, err := d.laptop.run(ctx, "room", "create", "ops", "--member", "bob@"+string(d.beta.name)); err != nil {
		return "", err
	}
	var codes []string
	for _, p := range []*person{d.laptop, d.phone, d.bob} {
		err := eventually(ctx, func(ctx context.Context) (bool, error) {
			messages, err := p.messages(ctx)
			return len(messages) > 0, err
		})
		if err != nil {
			return "", fmt.Errorf("%s joins: %w", p.id(), err)
		}
		room, err := p.info(ctx)
		if err != nil {
			return "", err
		}
		if room.Devices != 3 || room.Users != 2 {
			return "", fmt.Errorf("%s sees %d devices of %d people in the room, not 3 of 2", p.id(), room.Devices, room.Users)
		}
		codes = append(codes, room.Authenticator)
	}
	if codes[1] != codes[0] || codes[2] != codes[0] || codes[0] == "" {
		return "", fmt.Errorf("the devices have different keys: %v", codes)
	}
	code, err := hex.DecodeString(codes[0])
	return faint("all three show the key code " + tui.Code(code)), err
}

func (d *demo) text(ctx context.Context) (string, error) {
	text := "Hello bob, the word is " + d.canary
	if err := d.laptop.say(ctx, text); err != nil {
		return "", err
	}
	if err := d.bob.hears(ctx, d.laptop, text); err != nil {
		return "", err
	}
	return "", d.phone.hears(ctx, d.laptop, text)
}

func (d *demo) answer(ctx context.Context) (string, error) {
	text := "Hello alice, I have it: " + d.canary
	if err := d.bob.say(ctx, text); err != nil {
		return "", err
	}
	return "", d.laptop.hears(ctx, d.bob, text)
}

// demoFile is the file that is sent, of fileSize bytes.
const (
	demoFile = "plan.bin"
	fileSize = 1 << 20
)

// file sends a file that holds the canary, and fetches it at the other site.
func (d *demo) file(ctx context.Context) (string, error) {
	content := append([]byte(d.canary), random(fileSize)...)
	if err := os.WriteFile(filepath.Join(d.dir, demoFile), content, 0o600); err != nil {
		return "", err
	}
	if _, err := d.laptop.run(ctx, "send", "ops", "--file", demoFile, "the plan", "--wait"); err != nil {
		return "", err
	}
	messages, err := d.bob.messages(ctx)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(messages, func(m messageJSON) bool { return m.File != nil && m.File.Name == demoFile })
	if at < 0 {
		return "", fmt.Errorf("%s has no message with the file", d.bob.id())
	}
	if _, err := d.bob.run(ctx, "get", d.bob.room, messages[at].ID[:8], "--out", "bob-"+demoFile); err != nil {
		return "", err
	}
	got, err := os.ReadFile(filepath.Join(d.dir, "bob-"+demoFile))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(got)
	if !bytes.Equal(got, content) || messages[at].File.SHA256 != hex.EncodeToString(sum[:]) {
		return "", fmt.Errorf("bob's copy of %s differs: %x", demoFile, sum)
	}
	return faint(fmt.Sprintf("%s, SHA-256 %x", tui.Size(uint64(len(got))), sum)), nil
}

// secondNode adds a device of the other node.
func (d *demo) secondNode(ctx context.Context) (string, error) {
	if _, err := d.laptop.run(ctx, "room", "add", "ops", "carol"); err != nil {
		return "", err
	}
	if _, err := d.carol.run(ctx, "sync"); err != nil {
		return "", err
	}
	room, err := d.carol.info(ctx)
	if err != nil {
		return "", err
	}
	if room.Devices != 4 {
		return "", fmt.Errorf("%s sees %d devices in the room, not 4", d.carol.id(), room.Devices)
	}
	for _, n := range d.alpha.nodes {
		owner, err := d.ownerAt(ctx, n)
		if err != nil {
			return "", err
		}
		if want := groups.NodeID(d.alpha.nodes[0].id()); owner != want {
			return "", fmt.Errorf("%s says that the owner is %s, not %s", n.Node, owner, want)
		}
	}
	return faint("both nodes say that a1 orders the room; a2 follows and relays"), nil
}

func (d *demo) acrossNodes(ctx context.Context) (string, error) {
	mine, theirs := "carol here, at the other node: "+d.canary, "welcome carol"
	if err := d.carol.say(ctx, mine); err != nil {
		return "", err
	}
	for _, p := range []*person{d.laptop, d.bob} {
		if err := p.hears(ctx, d.carol, mine); err != nil {
			return "", err
		}
	}
	if err := d.bob.say(ctx, theirs); err != nil {
		return "", err
	}
	return "", d.carol.hears(ctx, d.bob, theirs)
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// numbered makes texts that are told apart.
func numbered(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("report %d of %d", i+1, n)
	}
	return texts
}
