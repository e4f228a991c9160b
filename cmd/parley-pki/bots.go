package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

func (t *tool) botsCommand() *cobra.Command {
	return group("bots", "List the bots that may use CoIs, and cut one off",
		t.botsListCommand(), t.botsCutCommand(), t.botsProofCommand())
}

func (t *tool) botsListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List who is let in by name, with rooms and CoIs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			book, err := t.book()
			if err != nil {
				return err
			}
			rules := []service.Rule{}
			var rows []string
			for _, r := range book.Rules {
				if n, err := coi.ParseName(r.Subject); err != nil || n.Purpose != coi.Device {
					continue
				}
				rules = append(rules, r)
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", r.Subject, r.Effect, coiOrAll(r.CoI), roomsOf(r), r.By))
			}
			if t.json {
				return printJSON(cmd, rules)
			}
			return printTable(cmd.OutOrStdout(), "DEVICE\tRULE\tCOI\tROOMS\tBY", rows)
		},
	})
}

func (t *tool) botsCutCommand() *cobra.Command {
	var by string
	cmd := t.jsonFlag(&cobra.Command{
		Use:   "cut DEVICE",
		Short: "Deny a bot every CoI from this instant on",
		Long: `cut takes effect at once, whatever any gateway does: the bot opens no later key and
no further old one. Then it reads the log and says what the bot has opened, and
what it has tried in vain since. Run parley-pki bots proof DEVICE at any later
time for the same.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			if n, err := coi.ParseName(args[0]); err != nil || n.Purpose != coi.Device {
				return fmt.Errorf("%q is no device: write it like mimi://alpha.example/d/archiver/main", args[0])
			}
			if _, err := t.addRules(realm, service.Rule{Subject: args[0], Effect: service.Denies, By: by}); err != nil {
				return err
			}
			return t.proof(cmd, realm, args[0])
		},
	})
	cmd.Flags().StringVar(&by, "by", whoami(), "who says so, for the log")
	return cmd
}

func (t *tool) botsProofCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "proof DEVICE",
		Short: "Show from the log that a device that was cut off got nothing since",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			return t.proof(cmd, realm, args[0])
		},
	})
}

// A cutProof is what the log says of a device that was cut off.
type cutProof struct {
	Device     string     `json:"device"`
	Cut        time.Time  `json:"cut"`
	By         string     `json:"by"`
	Before     uint32     `json:"keys_before"`
	Last       *time.Time `json:"last_key,omitempty"`
	Since      uint32     `json:"keys_since"` // must be 0
	Attempts   []logLine  `json:"attempts_refused"`
	Entries    int64      `json:"log_entries"`
	Checkpoint string     `json:"checkpoint"`
}

// proof verifies the whole log and counts what a device got before and since it
// was cut off.
func (t *tool) proof(cmd *cobra.Command, realm *service.Realm, device string) error {
	p := cutProof{Device: device, Attempts: []logLine{}}
	book, err := t.book()
	if err != nil {
		return err
	}
	for _, r := range book.Rules {
		if r.Subject == device && r.Effect == service.Denies && r.CoI == "" && len(r.Rooms) == 0 {
			p.Cut, p.By = r.At, r.By
		}
	}
	if p.Cut.IsZero() {
		return fmt.Errorf("%s is not cut off: parley-pki bots cut %s", device, quote(device))
	}
	v, err := service.ReadAudit(realm.Audit(), nil, func(n int64, e *service.AuditEntry) error {
		p.take(n, e)
		return nil
	})
	if err != nil {
		return err
	}
	p.Entries, p.Checkpoint = v.Checkpoint.Size, string(v.Signed)
	if t.json {
		err = printJSON(cmd, p)
	} else {
		p.print(cmd)
	}
	if err == nil && p.Since > 0 {
		err = fmt.Errorf("%s got %d keys after it was cut off: is an instance of the service running from another directory?", device, p.Since)
	}
	return err
}

// take counts an entry.
func (p *cutProof) take(n int64, e *service.AuditEntry) {
	if e.Actor != p.Device {
		return
	}
	since := e.Time.After(p.Cut)
	switch {
	case e.Decision == service.Granted && since:
		p.Since += e.Count
	case e.Decision == service.Granted:
		p.Before += e.Count
		p.Last = &e.Time
	case e.Decision == service.Refused && since:
		p.Attempts = append(p.Attempts, lineOf(n, e))
	}
}

func (p *cutProof) print(cmd *cobra.Command) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s was cut off at %s by %s\n", p.Device, when(p.Cut), p.By)
	fmt.Fprintf(out, "  before: %d keys", p.Before)
	if p.Last != nil {
		fmt.Fprintf(out, ", the last at %s", when(*p.Last))
	}
	fmt.Fprintf(out, "\n  since:  %d keys, %d attempts refused\n", p.Since, len(p.Attempts))
	for _, a := range p.Attempts {
		fmt.Fprintf(out, "    entry %d, %s: %s\n", a.Index, when(a.Time), a.Why)
	}
	fmt.Fprintf(out, "the log of %d entries verifies under:\n%s", p.Entries, p.Checkpoint)
}
