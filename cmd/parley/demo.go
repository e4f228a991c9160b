package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	// storyTime bounds the whole demonstration, until it stays up.
	storyTime = 2 * time.Minute
	// commandTime bounds one command of a person.
	commandTime = 20 * time.Second
)

// A demo is two sites on this machine, and what people do there.
type demo struct {
	*app
	binaries
	dir    string // all there is; commands run in it
	canary string // a word that nobody but members may ever see

	alpha, beta    *demoSite
	finance, legal *demoCoI
	said           time.Time  // when the first lines in the vault had been said
	services       []*service // in the order they were started

	laptop, phone, bob, carol, late, tablet *person
	screen                                  *screen // what bob's laptop prints as it comes
	story                                   *story
}

// demoFlags are those of parley demo.
type demoFlags struct {
	dir        string
	once, keep bool
}

func demoCommand(a *app) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run two sites on this machine and watch them talk",
		Long: `Demo runs two organisations on this machine, alpha.example with two gateway nodes and
beta.example with one, and the certificate services of a community of interest at each,
every process with its own directory, on free loopback ports: it
uses the programs parleyd and parley-pki beside this one, and shows the commands it runs.
It checks what each step has done and says how long it took; then it stays up, so that
you can join the room from another terminal, until Ctrl-C.

Exit status: 0 if every step was verified, else 1.`,
		Example: "  parley demo\n  parley demo --once\n  parley demo --dir /tmp/two-sites --keep",
		Args:    arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.json {
				return usagef("demo has no JSON: its exit status says whether every step was verified")
			}
			return a.demo(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.once, "once", false, "end when all steps are done")
	fs.StringVar(&f.dir, "dir", "", "the folder to use, empty or not there yet (default: a new temporary one)")
	fs.BoolVar(&f.keep, "keep", false, "leave the folder there at the end")
	return cmd
}

// demo runs the demonstration and cleans up after it.
func (a *app) demo(ctx context.Context, f demoFlags) error {
	ctx, cancel := withAudience(ctx)
	defer cancel()
	programs, err := findBinaries()
	if err != nil {
		return err
	}
	dir, err := demoFolder(f.dir)
	if err != nil {
		return err
	}
	d := &demo{app: a, binaries: programs, dir: dir, story: newStory(a)}
	err = d.run(ctx, f.once)
	if ended := d.stop(); err == nil && ended != nil {
		err = ended
	}
	unwatched := ctx.Err() != nil || errors.Is(err, syscall.EPIPE)
	if f.keep || err != nil && !unwatched {
		return errors.Join(err, a.say("%s\n", faint("kept: "+dir)))
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// demoFolder makes the folder of the demonstration.
func demoFolder(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "parley-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = usagef("--dir %s is not empty: name a folder that is, or one that is not there yet", dir)
	}
	return dir, err
}

// run tells the story, and stays up unless once.
func (d *demo) run(ctx context.Context, once bool) error {
	if err := d.print("%s %s\n", bold("Two sites, one room"), faint("in "+d.dir)); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, storyTime)
	err := d.tell(bounded)
	cancel()
	if err != nil {
		return err
	}
	if err := d.story.end(); err != nil || once {
		return err
	}
	return d.stayUp(ctx)
}

// stayUp says how to join, and waits for Ctrl-C or for a process that ends.
func (d *demo) stayUp(ctx context.Context) error {
	lines := []string{
		"", bold("Join the room from other terminals:"), "",
		fmt.Sprintf("  %s --home %s chat ops", d.parley, filepath.Join(d.dir, d.laptop.home)),
		fmt.Sprintf("  %s --home %s chat ops@%s", d.parley, filepath.Join(d.dir, d.bob.home), d.alpha.name),
		"", bold("Look behind:"), "",
		fmt.Sprintf("  %s node ls --admin %s", d.parley, d.alpha.nodes[0].Admin),
		fmt.Sprintf("  %s peer ls --admin %s", d.parley, d.beta.nodes[0].Admin),
		fmt.Sprintf("  %s --home %s room log ops", d.parley, filepath.Join(d.dir, d.laptop.home)),
		"", faint("Ctrl-C ends all of it."),
	}
	for _, l := range lines {
		if err := d.print("%s\n", l); err != nil {
			return err
		}
	}
	ended := make(chan *service, len(d.services))
	for _, s := range d.services {
		go func() { // ends with its service, which stop waits for
			<-s.done
			ended <- s
		}()
	}
	select {
	case <-ctx.Done():
		return d.print("\n%s\n", faint("ending"))
	case s := <-ended:
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%s has ended: %w%s", s.name, s.err, s.lastWords())
	}
}

// stop ends all processes, the last one first, and waits for them.
func (d *demo) stop() error {
	var errs []error
	if d.screen != nil {
		errs = append(errs, d.screen.close())
	}
	for i := len(d.services) - 1; i >= 0; i-- {
		errs = append(errs, d.services[i].stop())
	}
	return errors.Join(errs...)
}
