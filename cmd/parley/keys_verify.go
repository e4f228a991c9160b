package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"parley/groups"
)

// maxKeyExport bounds an exported key history, in bytes.
const maxKeyExport = 1 << 30

func keysExportCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "export ROOM",
		Short: "Print the history of a room's keys, to be verified elsewhere",
		Long: `Export prints the records of a room's keys as JSON, with the certificates of their
makers: an array of {"seq","record","author","author_chain","author_public_key","suite"},
bytes in base64. parley keys verify checks it offline, anywhere.`,
		Example:           "  parley keys export ops > ops.keys",
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.offline(func(s *session) error {
				room, err := s.room(args[0])
				if err != nil {
					return err
				}
				list, err := s.ExportKeys(room)
				if err != nil {
					return err
				}
				return a.printJSON(list)
			})
		},
	}
}

func keysVerifyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify an exported history of a room's keys, offline",
		Long: `Verify checks the history of a room's keys that parley keys export has printed: that each
record follows the one before and none is missing, that times do not run back, and that
each was signed by the device it names, whose certificate was good. It uses no network.

With --json it prints {"room","keys","last"}. Exit status: 0 if all of it is right.`,
		Args: arguments(1, 1, "a file"),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.offline(func(s *session) error { return s.verifyKeys(args[0]) })
		},
	}
}

func (s *session) verifyKeys(name string) error {
	list, err := readExport(name)
	if err != nil {
		return err
	}
	last, err := s.VerifyKeys(list)
	if err != nil {
		return err
	}
	k, err := groups.ParseKeyRecord(list[0].Record)
	if err != nil {
		return err
	}
	if s.app.json {
		return s.app.printJSON(map[string]any{"room": k.Room, "keys": len(list), "last": last})
	}
	return s.app.print("%s: %s of %s, from the first on; the last record is %s\n", good("verified"), count(len(list), "key"), k.Room, last.Hex())
}

func readExport(name string) ([]groups.ExportedRecord, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKeyExport {
		return nil, groups.Errorf(groups.TooLarge, "%s: %d bytes, at most %d are read", name, info.Size(), maxKeyExport)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var list []groups.ExportedRecord
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("%s is no exported key history: %w", name, err)
	}
	return list, nil
}
