package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"parley/client"
	"parley/client/store"
	"parley/client/tui"
)

// An app is what all commands share: the global flags and the streams.
type app struct {
	streams
	home    string
	gateway string
	json    bool
	timeout time.Duration
	verbose bool
	started bool          // a command's arguments have been found good
	names   tui.Home      // the site of the device, once it is open
	wait    time.Duration // for a home that another process has open, as store.Config says
}

// dir returns the device's directory.
func (a *app) dir() (string, error) {
	if a.home != "" {
		return a.home, nil
	}
	if dir := os.Getenv("PARLEY_HOME"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usagef("no home directory is known (%w): name one with --home", err)
	}
	if dir := filepath.Join(home, ".parley"); isDir(dir) {
		return dir, nil
	}
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "parley"), nil
	}
	return filepath.Join(home, ".parley"), nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// log is where the device tells what it does.
func (a *app) log() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// connect returns how the device reaches the gateway it was told to use, nil
// if it was not told.
func (a *app) connect() func(context.Context, client.Identity) (client.Link, error) {
	if a.gateway == "" {
		return nil
	}
	return func(ctx context.Context, id client.Identity) (client.Link, error) {
		id.Gateways = []string{a.gateway}
		return client.Dial(ctx, id)
	}
}

// openStore opens the home; make says that it may be made.
func (a *app) openStore(make bool, protect store.Protection) (*store.File, error) {
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	if !make {
		if _, err := os.Stat(filepath.Join(dir, "store.db")); errors.Is(err, fs.ErrNotExist) {
			return nil, client.ErrNoIdentity
		}
	}
	return store.Open(store.Config{Dir: dir, Passphrase: a.passphrase, Protect: protect, Wait: a.wait})
}

// passphrase asks for the home's passphrase: the file that
// $PARLEY_PASSPHRASE_FILE names, or the terminal.
func (a *app) passphrase() ([]byte, error) {
	if path := os.Getenv("PARLEY_PASSPHRASE_FILE"); path != "" {
		b, err := os.ReadFile(path)
		return []byte(strings.TrimRight(string(b), "\r\n")), err
	}
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, errors.New("the home is under a passphrase: run parley on a terminal, or name a file in PARLEY_PASSPHRASE_FILE")
	}
	if err := a.say("Passphrase: "); err != nil {
		return nil, err
	}
	defer a.say("\n")
	return term.ReadPassword(int(in.Fd()))
}

// A session is an open device.
type session struct {
	*client.Device
	app   *app
	store *store.File
	names tui.Home
	stop  context.CancelFunc // ends Run; nil while offline
	ended chan struct{}      // closed when Run has returned
	why   error              // what Run has returned; read it when ended is closed
}

// open opens the device, offline.
func (a *app) open() (*session, error) {
	home, err := a.openStore(false, store.KeyFile)
	if err != nil {
		return nil, err
	}
	d, err := client.Open(client.Config{Store: home, Log: a.log(), Connect: a.connect()})
	if err != nil {
		return nil, errors.Join(err, home.Close())
	}
	a.names = tui.Home(d.ID().Site())
	return &session{Device: d, app: a, store: home, names: a.names}, nil
}

// goOnline starts the device's work with its gateway; close ends it.
func (s *session) goOnline(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.why = s.Run(ctx)
	}()
}

// parting is how long a command that has done its work stays online, at most, to
// remove from its rooms who was revoked or cut off. Mostly there is nobody to be
// asked about, or that was done a moment ago: then it does not stay at all.
const parting = 2 * time.Second

// close ends Run, waits for it, and closes the store.
func (s *session) close() error {
	if s.stop != nil {
		ctx, cancel := context.WithTimeout(context.Background(), parting)
		if err := s.LookedAround(ctx); err != nil {
			s.app.log().Debug("look for who is to be out", "error", err)
		}
		cancel()
		s.stop()
		<-s.ended
	}
	return errors.Join(s.Device.Close(), s.store.Close())
}

// offline opens the device for fn, which uses no network.
func (a *app) offline(fn func(*session) error) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	return errors.Join(fn(s), s.close())
}

// online opens the device and takes it online for fn, whose context ends
// after --timeout.
func (a *app) online(ctx context.Context, fn func(context.Context, *session) error) error {
	return a.offline(func(s *session) error {
		s.goOnline(ctx)
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return fn(ctx, s)
	})
}
