package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"parley/coi/wrap"
	"parley/groups"
)

func keysEnvelopeCommand(a *app) *cobra.Command {
	var epoch int64
	var out string
	cmd := &cobra.Command{
		Use:   "envelope ROOM",
		Short: "Write the envelope of a key, to be opened by other tools",
		Long: `Envelope writes the envelope in which the key of an epoch is wrapped to the room's
communities: CMS AuthEnvelopedData in DER, one file, or one for each community where each
has a message of its own. Who holds a community's private key opens it without Parley:

  openssl cms -decrypt -binary -inform DER -in vault.p7m -recip finance.crt -inkey finance.key -out key.der
  openssl asn1parse -inform DER -in key.der

With --json it prints {"room","epoch","id","files":[FILE]}.`,
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.offline(func(s *session) error { return s.envelope(args[0], epoch, out) })
		},
	}
	cmd.Flags().Int64Var(&epoch, "epoch", -1, "the epoch (default: the newest)")
	cmd.Flags().StringVar(&out, "out", "envelope.p7m", "the file to write")
	return cmd
}

func (s *session) envelope(name string, epoch int64, out string) error {
	room, err := s.room(name)
	if err != nil {
		return err
	}
	list, err := s.ExportKeys(room)
	if err != nil {
		return err
	}
	var found *groups.KeyRecord
	for i := range list {
		k, err := groups.ParseKeyRecord(list[i].Record)
		if err != nil {
			return err
		}
		if epoch < 0 || k.Epoch == groups.Epoch(epoch) {
			found = k
		}
	}
	if found == nil {
		return groups.Errorf(groups.NotFound, "this device has no key record of that epoch of %s: parley keys history lists those it has", s.names.Room(room))
	}
	parts, err := wrap.Parts(found.Envelope)
	if err != nil {
		return err
	}
	var files []string
	for i, p := range parts {
		file := out
		if len(parts) > 1 {
			file = fmt.Sprintf("%s.%d", out, i+1)
		}
		if err := os.WriteFile(file, p.Message, 0o600); err != nil {
			return err
		}
		files = append(files, file)
	}
	if s.app.json {
		return s.app.printJSON(map[string]any{"room": room, "epoch": found.Epoch, "id": found.KeyID, "files": files})
	}
	return s.app.print("the key of epoch %d (%s) is in %s\n", found.Epoch, found.KeyID, strings.Join(files, ", "))
}
