package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/spf13/cobra"

	"parley/groups"
)

func roomExportCommand(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export ROOM",
		Short: "Export a room's log: ciphertext, as gateways store it",
		Long: `Export reads a room's log from its first entry, verifies it, and prints each entry on a
line: {"seq","header","body"}, bytes in base64. It holds no key and no plaintext: it is what
parley-pki case export and case read work on. The room's policy has to give this device
history.`,
		Example:           "  parley room export ops --out ops.jsonl",
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.exportLog(ctx, args[0], out) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the file to write (default: standard output)")
	return cmd
}

func (s *session) exportLog(ctx context.Context, name, path string) error {
	room, err := s.current(ctx, name)
	if err != nil {
		return err
	}
	var to io.Writer = s.app.out
	if path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer file.Close() // a write that is lost shows at Sync
		to = file
		if err := s.writeLog(ctx, room, to); err != nil {
			return err
		}
		return file.Sync()
	}
	return s.writeLog(ctx, room, to)
}

func (s *session) writeLog(ctx context.Context, room groups.RoomID, to io.Writer) error {
	buffered := bufio.NewWriter(to)
	lines := json.NewEncoder(buffered)
	err := s.ExportLog(ctx, room, func(e *groups.Entry) error {
		return lines.Encode(groups.NewLogLine(e))
	})
	if err != nil {
		return err
	}
	return buffered.Flush()
}
