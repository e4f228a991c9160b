package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// exec runs one of the programs in the demo's folder, shows it with the step,
// and returns what it prints.
func (d *demo) exec(ctx context.Context, program string, words ...string) ([]byte, error) {
	d.story.ran(append([]string{filepath.Base(program)}, words...)...)
	return d.quietly(ctx, program, words...)
}

// quietly is exec for what only checks: it is not shown.
func (d *demo) quietly(ctx context.Context, program string, words ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, words...)
	cmd.Dir, cmd.WaitDelay = d.dir, time.Second
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(words, " "), err, strings.TrimSpace(problem.String()))
	}
	return out.Bytes(), nil
}

// ask runs parley with --json and reads the answer.
func (d *demo) ask(ctx context.Context, answer any, words ...string) error {
	out, err := d.quietly(ctx, d.parley, append(words, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("parley %s --json: %w", strings.Join(words, " "), err)
	}
	return nil
}

// eventually looks again and again until something is so, or ctx or the time
// for one command has ended.
func eventually(ctx context.Context, look func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	for {
		if ok, err := look(ctx); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it did not come about within %v: %w", commandTime, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
