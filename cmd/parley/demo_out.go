package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"parley/client"
	"parley/client/tui"
)

// removePhone takes one of alice's devices out of the room.
func (d *demo) removePhone(ctx context.Context) (string, error) {
	if _, err := d.laptop.run(ctx, "room", "remove", "ops", "alice/phone"); err != nil {
		return "", err
	}
	mine, err := d.laptop.info(ctx)
	if err != nil {
		return "", err
	}
	if _, err := d.bob.messages(ctx); err != nil {
		return "", err
	}
	bobs, err := d.bob.info(ctx)
	if err != nil {
		return "", err
	}
	if bobs.Authenticator != mine.Authenticator {
		return "", fmt.Errorf("%s and %s have different keys", d.laptop.id(), d.bob.id())
	}
	code, err := hex.DecodeString(mine.Authenticator)
	return faint(fmt.Sprintf("alice's laptop and bob show the key code %s of epoch %d", tui.Code(code), mine.Epoch)), err
}

// phoneIsOut has people talk on, and the phone try.
func (d *demo) phoneIsOut(ctx context.Context) (string, error) {
	text := "now without the phone: " + d.canary
	if err := d.laptop.say(ctx, text); err != nil {
		return "", err
	}
	if err := d.bob.hears(ctx, d.laptop, text); err != nil {
		return "", err
	}
	d.story.ran(append([]string{"parley"}, d.phone.words([]string{"sync"})...)...)
	messages, err := d.phone.messages(ctx)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(messages, func(m messageJSON) bool { return strings.Contains(m.Text, "without the phone") }) {
		return "", fmt.Errorf("%s reads what was said after it was removed", d.phone.id())
	}
	if !slices.ContainsFunc(messages, func(m messageJSON) bool { return m.Text == lastReport() }) {
		return "", fmt.Errorf("%s does not have what was said before it was removed", d.phone.id())
	}
	theirs, err := d.phone.info(ctx)
	if err != nil {
		return "", err
	}
	mine, err := d.laptop.info(ctx)
	if err != nil {
		return "", err
	}
	if theirs.State != client.RoomClosed.String() || theirs.Epoch >= mine.Epoch || theirs.Authenticator == mine.Authenticator {
		return "", fmt.Errorf("the room of %s is %s at epoch %d; the others are at %d", d.phone.id(), theirs.State, theirs.Epoch, mine.Epoch)
	}
	if err := d.phone.say(ctx, "am I still here?"); err == nil {
		return "", fmt.Errorf("%s can still write", d.phone.id())
	}
	return faint(fmt.Sprintf("its last key is that of epoch %d; sending fails, as it has to", theirs.Epoch)), nil
}

// lastReport is the last thing alice wrote while beta died.
func lastReport() string { return numbered(floodSize)[floodSize-1] }

// scanDisks looks for the canary in all files but those of alice's file
// itself. That the room's name is found shows that the search can find.
func (d *demo) scanDisks(context.Context) (string, error) {
	control, files, size := 0, 0, uint64(0)
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasSuffix(path, demoFile) {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(d.canary)) {
			return fmt.Errorf("what was said stands in %s", path)
		}
		if bytes.Contains(b, []byte(d.roomURI())) && strings.Contains(path, "data-") {
			control++
		}
		files, size = files+1, size+uint64(len(b))
		return nil
	})
	if err != nil {
		return "", err
	}
	if control < len(d.alpha.nodes)+len(d.beta.nodes) {
		return "", fmt.Errorf("the search does not even find the room's name in the logs: it can not be trusted")
	}
	return faint(fmt.Sprintf("%s of gateways, logs and homes (%s) were searched for %s", count(files, "file"), tui.Size(size), d.canary)), nil
}
