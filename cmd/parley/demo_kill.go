package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	"parley/client"
	"parley/groups"
)

const (
	// floodSize is how many messages are sent while beta dies, floodPause how
	// long alice rests between two.
	floodSize  = 150
	floodPause = 20 * time.Millisecond
	// killAt and reviveAt say after which of them beta is killed and started.
	killAt, reviveAt = floodSize / 3, 2 * floodSize / 3
)

// ownerAt asks a node who orders the room.
func (d *demo) ownerAt(ctx context.Context, n *localNode) (groups.NodeID, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Admin+"/rooms", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var rooms []struct {
		Room, Owner string
	}
	if err := json.NewDecoder(resp.Body).Decode(&rooms); err != nil {
		return "", fmt.Errorf("%s: %w", req.URL, err)
	}
	for _, r := range rooms {
		if r.Room == d.roomURI() {
			return groups.NodeID(r.Owner), nil
		}
	}
	return "", fmt.Errorf("%s holds no room %s", n.Node, d.roomURI())
}

func (d *demo) roomURI() string { return "mimi://" + string(d.alpha.name) + "/r/ops" }

// areYouThere is the first thing that bob's screen shows.
const areYouThere = "are you there, bob?"

// openScreen has bob's laptop stay online.
func (d *demo) openScreen(ctx context.Context) (_ string, err error) {
	if d.screen, err = d.bob.watch(); err != nil {
		return "", err
	}
	if err := d.laptop.say(ctx, areYouThere); err != nil {
		return "", err
	}
	return "", d.screen.until(ctx, d.laptop.id(), func(got []string) bool { return slices.Contains(got, areYouThere) })
}

// enrolLate makes a device that the room does not have yet.
func (d *demo) enrolLate(ctx context.Context) (string, error) { return "", d.late.enrol(ctx) }

// killBeta has alice write without end while beta's gateway is killed and
// started again.
func (d *demo) killBeta(ctx context.Context) (string, error) {
	texts := numbered(floodSize)
	words := d.laptop.words([]string{"send", "ops", "-", "--wait", "--json"})
	d.story.ran(append(append([]string{"seq", fmt.Sprint(floodSize), "|", "parley"}, words...), "&")...)
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.parley, words...)
	cmd.Dir, cmd.WaitDelay = d.dir, time.Second
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	detail, err := d.flood(ctx, in, texts)
	if err := in.Close(); err != nil {
		return "", err
	}
	if ended := cmd.Wait(); ended != nil && err == nil {
		err = fmt.Errorf("parley %s: %w: %s", strings.Join(words, " "), ended, problem.String())
	}
	if err != nil {
		return "", err
	}
	return detail, allAccepted(out.Bytes(), len(texts))
}

// flood writes the texts, one line each, and kills and starts beta's gateway
// in between.
func (d *demo) flood(ctx context.Context, in io.Writer, texts []string) (string, error) {
	b1 := d.services[slices.IndexFunc(d.services, func(s *service) bool { return s.name == d.beta.nodes[0].Node })]
	for i, text := range texts {
		switch i {
		case killAt:
			d.story.ran("kill", "-KILL", fmt.Sprint(b1.pid()))
			if err := b1.kill(); err != nil {
				return "", err
			}
			d.services = slices.DeleteFunc(d.services, func(s *service) bool { return s == b1 })
		case reviveAt:
			if _, err := d.startNode(ctx, d.beta.nodes[0]); err != nil {
				return "", err
			}
		}
		if _, err := io.WriteString(in, text+"\n"); err != nil {
			return "", err
		}
		time.Sleep(floodPause)
	}
	return faint(fmt.Sprintf("%d messages, %d of them while beta was dead; alpha took them all", len(texts), reviveAt-killAt)), nil
}

// allAccepted checks that every line that send --json printed is a message
// with its place in the log.
func allAccepted(out []byte, n int) error {
	accepted := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var m messageJSON
		err := dec.Decode(&m)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("parley send --json: %w", err)
		}
		if m.State != client.Accepted.String() {
			return fmt.Errorf("%q was not accepted: it is %s %s", m.Text, m.State, m.Problem)
		}
		accepted++
	}
	if accepted != n {
		return fmt.Errorf("%d messages were accepted, not %d", accepted, n)
	}
	return nil
}

// caughtUp waits until bob's screen has shown all of it.
func (d *demo) caughtUp(ctx context.Context) (string, error) {
	want := append([]string{areYouThere}, numbered(floodSize)...)
	enough := func(got []string) bool { return len(got) >= len(want) }
	if err := d.screen.until(ctx, d.laptop.id(), enough); err != nil {
		return "", err
	}
	if got := d.screen.from(d.laptop.id()); !slices.Equal(got, want) {
		return "", fmt.Errorf("bob's screen shows other messages, or in another order: %q", got)
	}
	return "", nil
}

// lateDevice waits until the device that was enrolled late is in the room.
func (d *demo) lateDevice(ctx context.Context) (string, error) {
	d.story.ran(append([]string{"parley"}, d.late.words([]string{"sync"})...)...)
	err := eventually(ctx, func(ctx context.Context) (bool, error) {
		var rooms []syncedJSON
		err := d.late.ask(ctx, &rooms, "sync")
		return len(rooms) > 0, err
	})
	if err != nil {
		return "", fmt.Errorf("%s was not added: %w", d.late.id(), err)
	}
	if err := d.late.say(ctx, "and here is my phone"); err != nil {
		return "", err
	}
	if err := d.laptop.hears(ctx, d.late, "and here is my phone"); err != nil {
		return "", err
	}
	messages, err := d.laptop.messages(ctx)
	if err != nil {
		return "", err
	}
	added := slices.ContainsFunc(messages, func(m messageJSON) bool {
		return m.Change != nil && m.Device == d.bob.id() && slices.Contains(m.Change.Added, d.late.id())
	})
	if !added {
		return "", fmt.Errorf("it was not %s that added %s", d.bob.id(), d.late.id())
	}
	if err := d.laptop.say(ctx, "hello phone"); err != nil {
		return "", err
	}
	if err := d.late.hears(ctx, d.laptop, "hello phone"); err != nil {
		return "", err
	}
	err = d.screen.close()
	d.screen = nil
	return "", err
}
