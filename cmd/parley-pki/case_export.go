package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
	"parley/coi/service"
	"parley/groups"
)

// caseBatch is how many keys one call of an export asks for.
const caseBatch = 200

// An exportedKey is a line of an export: a CMS message that the export key
// opens, with openssl as well.
type exportedKey struct {
	Case   string        `json:"case"`
	Room   groups.RoomID `json:"room"`
	Epoch  groups.Epoch  `json:"epoch"`
	CoI    string        `json:"coi"`
	Sealed []byte        `json:"sealed"`
}

// exportFlags is what the flags of case export say.
type exportFlags struct {
	logs   []string
	url    string
	bundle string
	out    string
}

func (t *tool) caseExportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export --log FILE --unwrap URL --bundle FILE --out FILE CASE",
		Short: "Have the unwrap service open a case's keys, sealed to its export key",
		Long: `export reads the logs of the case's rooms, verifies them from their first entry, and
asks the unwrap service for the keys of the epochs that were in use in the case's
period. What the service gives is sealed to the case's export certificate. In a
room that needs all of its CoIs, export from the service of each into one file.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readCase(args[0])
			if err != nil {
				return err
			}
			return f.run(cmd, c)
		},
	}
	l := cmd.Flags()
	l.StringArrayVar(&f.logs, "log", nil, "a room's exported log (repeat for several)")
	l.StringVar(&f.url, "unwrap", "", "the unwrap service's URL")
	l.StringVar(&f.bundle, "bundle", "", "the trust bundles of the sites, one file or a folder of SITE.pem")
	l.StringVar(&f.out, "out", "keys.jsonl", "file for the sealed keys; new lines are added to it")
	return cmd
}

func (f *exportFlags) run(cmd *cobra.Command, c *caseFile) error {
	if err := c.ready(); err != nil { // the service says no to all alike, here it can be told
		return err
	}
	name, err := coi.ParseName(c.CoI)
	if err != nil {
		return err
	}
	trust, err := readTrust(f.bundle, name.Site)
	if err != nil {
		return err
	}
	if err := checkURL("--unwrap", f.url); err != nil {
		return err
	}
	calls := service.PeerClient(trust, name.Site, time.Now)
	defer calls.CloseIdleConnections()
	client := unwrapv1connect.NewUnwrapServiceClient(calls, f.url)
	out, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	defer out.Close()
	opened, denied := 0, 0
	for _, path := range f.logs {
		l, err := readRoomLog(path, trust)
		if err != nil {
			return err
		}
		if !slices.Contains(c.Rooms, string(l.room)) {
			return fmt.Errorf("%s is the log of %s, which the case does not name", path, l.room)
		}
		o, d, err := exportRoom(cmd.Context(), client, l, c, json.NewEncoder(out))
		if err != nil {
			return err
		}
		opened, denied = opened+o, denied+d
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d keys in %s, %d were denied: the unwrap service's log says why\n", opened, f.out, denied)
	return nil
}

// ready says what a case still lacks, as far as its file shows.
func (c *caseFile) ready() error {
	by, err := c.ApprovedBy(c.approvals)
	if err != nil {
		return err
	}
	if len(by) < int(c.Threshold) {
		return fmt.Errorf("case %s has %d approvals, it needs %d: parley-pki case approve", c.Name(), len(by), c.Threshold)
	}
	return c.Check(time.Now())
}

// exportRoom asks for the keys of one room, in batches.
func exportRoom(ctx context.Context, client unwrapv1connect.UnwrapServiceClient, l *roomLog, c *caseFile, out *json.Encoder) (opened, denied int, err error) {
	items, epochs, err := l.items(c.Case)
	if err != nil {
		return 0, 0, err
	}
	for at := 0; at < len(items); at += caseBatch {
		end := min(at+caseBatch, len(items))
		m := &unwrapv1.ExportRequest{Case: c.raw, Approvals: c.signed}
		for _, it := range items[at:end] {
			m.Items = append(m.Items, it.Marshal())
		}
		resp, err := client.Export(ctx, connect.NewRequest(m))
		if err != nil {
			return opened, denied, fmt.Errorf("export %s: %w", l.room, err)
		}
		if len(resp.Msg.Sealed) != end-at {
			return opened, denied, fmt.Errorf("export %s: %d answers to %d items", l.room, len(resp.Msg.Sealed), end-at)
		}
		for i, sealed := range resp.Msg.Sealed {
			if len(sealed) == 0 {
				denied++
				continue
			}
			opened++
			if err := out.Encode(exportedKey{c.Name(), l.room, epochs[at+i], c.CoI, sealed}); err != nil {
				return opened, denied, fmt.Errorf("write export: %w", err)
			}
		}
	}
	return opened, denied, nil
}

// readTrust reads one site's trust bundle, or a folder of them named SITE.pem.
func readTrust(path, site string) (*coi.Trust, error) {
	files := map[string]string{site: path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("--bundle: %w", err)
	}
	if info.IsDir() {
		files = map[string]string{}
		names, err := filepath.Glob(filepath.Join(path, "*.pem"))
		if err != nil {
			return nil, fmt.Errorf("--bundle: %w", err)
		}
		for _, name := range names {
			files[strings.TrimSuffix(filepath.Base(name), ".pem")] = name
		}
	}
	var sites []coi.Site
	for site, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--bundle: %w", err)
		}
		s, err := coi.ParseSitePEM(data, site)
		if err != nil {
			return nil, fmt.Errorf("--bundle %s: %w", file, err)
		}
		sites = append(sites, s)
	}
	return coi.NewTrust(sites...)
}
