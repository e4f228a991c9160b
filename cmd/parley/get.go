package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

func getCommand(a *app) *cobra.Command {
	var out string
	var force bool
	cmd := &cobra.Command{
		Use:   "get ROOM MESSAGE-ID",
		Short: "Save the file of a message",
		Long: `Get downloads the file of a message, checks it against the hash the sender gave, and
only then puts it in its place. What has been downloaded already is kept beside it, in
FILE.part, and is not downloaded again.

With --json it prints {"path","name","type","size","sha256"}.`,
		Example:           "  parley get ops 4f2a91c0\n  parley get ops 4f2a91c0 --out /tmp/report.pdf",
		Args:              arguments(2, 2, "a room and a message id"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error {
				return s.get(ctx, args, target{out, force})
			})
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "where to save it: a file or a folder (default: under its own name here)")
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	return cmd
}

// errThere says that a download would go over another file.
var errThere = errors.New("is there already: name another place")

// A target is where a file is to be saved.
type target struct {
	path  string
	force bool
}

// of returns the path for a file. Its name comes from a stranger: the client
// has checked that it is a name and no path.
func (t target) of(f *client.File) (string, error) {
	path := t.path
	if path == "" || isDir(path) {
		path = filepath.Join(path, f.Name)
	}
	if _, err := os.Stat(path); err == nil && !t.force {
		return "", fmt.Errorf("%s %w", path, errThere)
	}
	return path, nil
}

type savedJSON struct {
	Path string `json:"path"`
	fileJSON
}

func (s *session) get(ctx context.Context, args []string, t target) error {
	room, err := s.room(args[0])
	if err != nil {
		return err
	}
	m, err := s.message(room, args[1])
	if err != nil {
		return err
	}
	if m.Content.File == nil {
		return groups.Errorf(groups.NotFound, "message %s has no file", shortID(m.ID))
	}
	path, err := t.of(m.Content.File)
	if errors.Is(err, errThere) {
		err = fmt.Errorf("%w with --out, or replace it with --force", err)
	}
	if err != nil {
		return err
	}
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	if err := s.download(ctx, &m, file{path: path, bar: s.bar(m.Content.File)}); err != nil {
		return err
	}
	if s.app.json {
		return s.app.printJSON(savedJSON{path, *toJSON(&m).File})
	}
	return s.app.print("%s %s (%s)\n", good("saved"), path, tui.Size(m.Content.File.Size))
}

// save is get for the screen: without a bar, and never over another file.
func (s *session) save(ctx context.Context, m *client.Message, path string) (string, error) {
	path, err := target{path: path}.of(m.Content.File)
	if err != nil {
		return "", err
	}
	return path, s.download(ctx, m, file{path: path})
}

// A file is where a download goes, and what shows how far it has come.
type file struct {
	path string
	bar  *progressbar.ProgressBar // nil shows nothing
}

// download fetches a file beside its place and, when it is whole, puts it
// there.
func (s *session) download(ctx context.Context, m *client.Message, to file) error {
	part := to.path + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = s.Fetch(ctx, m.Room, m.ID, &progress{f, to.bar})
	if to.bar != nil {
		err = errors.Join(err, to.bar.Exit())
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(part, to.path)
}

// bar shows how far a download has come, on a terminal.
func (s *session) bar(f *client.File) *progressbar.ProgressBar {
	if !isTerminal(s.app.err) || s.app.json {
		return nil
	}
	return progressbar.NewOptions64(int64(f.Size), progressbar.OptionSetWriter(s.app.err),
		progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWidth(30), progressbar.OptionSetDescription(tui.PrintableLine(f.Name)))
}

// A progress is a file whose position is shown.
type progress struct {
	io.ReadWriteSeeker
	bar *progressbar.ProgressBar // nil shows nothing
}

// Write writes and shows how much.
func (p *progress) Write(b []byte) (int, error) {
	n, err := p.ReadWriteSeeker.Write(b)
	if p.bar != nil {
		err = errors.Join(err, p.bar.Add(n))
	}
	return n, err
}

// Seek moves to where writing goes on.
func (p *progress) Seek(offset int64, whence int) (int64, error) {
	at, err := p.ReadWriteSeeker.Seek(offset, whence)
	if err == nil && p.bar != nil {
		err = p.bar.Set64(at)
	}
	return at, err
}
