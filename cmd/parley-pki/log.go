package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"parley/coi/service"
	"parley/groups"
)

func (t *tool) logCommand() *cobra.Command {
	return group("log", "Show and verify the unwrap service's log of key uses", t.logShowCommand(), t.logVerifyCommand())
}

// A logLine is an entry as it is printed.
type logLine struct {
	Index       int64     `json:"index"`
	Time        time.Time `json:"time"`
	Decision    string    `json:"decision"`
	Actor       string    `json:"actor"`
	Certificate string    `json:"certificate,omitempty"`
	CoI         string    `json:"coi,omitempty"`
	Room        string    `json:"room,omitempty"` // salted hash
	First       uint64    `json:"first_epoch"`
	Last        uint64    `json:"last_epoch"`
	Count       uint32    `json:"count"`
	Newest      uint64    `json:"newest_epoch,omitempty"`
	Policy      string    `json:"policy,omitempty"`
	Request     string    `json:"request,omitempty"`
	Case        string    `json:"case,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Why         string    `json:"why,omitempty"`
}

func lineOf(n int64, e *service.AuditEntry) logLine {
	return logLine{
		Index: n, Time: e.Time, Decision: e.Decision.String(), Actor: e.Actor, Certificate: hashText(e.Certificate), CoI: e.CoI,
		Room: hashText(e.Room), First: e.First, Last: e.Last, Count: e.Count, Newest: e.Newest, Policy: hashText(e.Policy),
		Request: hashText(e.Request), Case: e.Case, Reason: e.Reason, Why: e.Why,
	}
}

// hashText is a hash in hex, empty for none.
func hashText(h [32]byte) string {
	if h == ([32]byte{}) {
		return ""
	}
	return hex.EncodeToString(h[:])
}

// logFilter is which entries log show prints.
type logFilter struct {
	actor, room, caseID string
	since               time.Duration
	hash                string // of room
	from                time.Time
}

func (f *logFilter) keeps(l *logLine) bool {
	return (f.actor == "" || l.Actor == f.actor) && (f.hash == "" || l.Room == f.hash) &&
		(f.caseID == "" || l.Case == f.caseID) && !l.Time.Before(f.from)
}

func (t *tool) logShowCommand() *cobra.Command {
	var f logFilter
	cmd := t.jsonFlag(&cobra.Command{
		Use:   "show",
		Short: "Print the entries, of all or of one device, room or case",
		Long: `show reads the log beside the running service and verifies it as it goes. Rooms
stand in it as salted hashes; with the salt of this directory --room finds one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			if f.room != "" {
				h, err := service.HashRoom(realm.Audit(), groups.RoomID(f.room))
				if err != nil {
					return err
				}
				f.hash = hex.EncodeToString(h[:])
			}
			if f.since > 0 {
				f.from = time.Now().Add(-f.since)
			}
			return t.logShow(cmd, realm, &f)
		},
	})
	cmd.Flags().StringVar(&f.actor, "device", "", "only of this device")
	cmd.Flags().StringVar(&f.room, "room", "", "only of this room, such as mimi://alpha.example/r/ops")
	cmd.Flags().StringVar(&f.caseID, "case", "", "only of this case")
	cmd.Flags().DurationVar(&f.since, "since", 0, "only of the last such time, such as 24h")
	return cmd
}

func (t *tool) logShow(cmd *cobra.Command, realm *service.Realm, f *logFilter) error {
	out := cmd.OutOrStdout()
	each := json.NewEncoder(out)
	_, err := service.ReadAudit(realm.Audit(), nil, func(n int64, e *service.AuditEntry) error {
		l := lineOf(n, e)
		switch {
		case !f.keeps(&l):
			return nil
		case t.json:
			return each.Encode(l)
		}
		fmt.Fprintf(out, "%d  %s  %s  %s", l.Index, l.Time.Format(time.RFC3339), l.Decision, l.Actor)
		if l.CoI != "" {
			fmt.Fprintf(out, "  %s", l.CoI)
		}
		if l.Room != "" {
			fmt.Fprintf(out, "  room %.12s epochs %d-%d (%d)", l.Room, l.First, l.Last, l.Count)
		}
		for _, word := range []string{l.Case, l.Reason, l.Why} {
			if word != "" {
				fmt.Fprintf(out, "  %q", word)
			}
		}
		fmt.Fprintln(out)
		return nil
	})
	return err
}

func (t *tool) logVerifyCommand() *cobra.Command {
	var against []string
	cmd := t.jsonFlag(&cobra.Command{
		Use:   "verify [--against FILE ...]",
		Short: "Verify the log: each entry, each signed root, and older checkpoints",
		Long: `verify reads the whole log, offline: every entry must hash to the root that was
signed with it, and the log must contain every older one that somebody kept a
checkpoint of. Give such checkpoints with --against: what devices, partners or
witnesses have is what an administrator can not take back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			var older [][]byte
			for _, path := range against {
				data, err := os.ReadFile(path)
				if err != nil {
					return fmt.Errorf("--against: %w", err)
				}
				older = append(older, data)
			}
			v, err := service.ReadAudit(realm.Audit(), older, nil)
			if err != nil {
				return errors.Join(errors.New("the log does not verify"), err)
			}
			if t.json {
				return printJSON(cmd, map[string]any{"entries": v.Checkpoint.Size, "root": v.Checkpoint.Root.String(), "origin": v.Checkpoint.Origin, "checkpoint": string(v.Signed), "unfinished": v.Unfinished})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the log of %d entries verifies, with %d older checkpoints; keep this one elsewhere:\n%s", v.Checkpoint.Size, len(older), v.Signed)
			return nil
		},
	})
	cmd.Flags().StringArrayVar(&against, "against", nil, "a file with an older signed checkpoint (repeat for several)")
	return cmd
}
