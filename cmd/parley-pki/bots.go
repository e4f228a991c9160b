package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

func (t *tool) botsCommand() *cobra.Command {
	cmd := group("bots", "List the bots that may use CoIs, cut one off, and take that back",
		t.botsListCommand(), t.botsCutCommand(), t.botsLiftCommand(), t.botsProofCommand())
	cmd.Long = `A bot is a device at which no person sits: its certificate says so (parley-pki code
new --bot). It is let into CoIs room by room, and out of all of them by one command:

  parley-pki entitle grant --dir unwrap --coi finance --room ROOM BOT
  parley-pki bots ls --dir unwrap         # who is let in where, and who is cut off
  parley-pki bots cut --dir unwrap BOT    # no further key; devices take it out of its rooms
  parley-pki bots proof --dir unwrap BOT  # what the log says it has got since: nothing
  parley-pki bots lift --dir unwrap BOT   # a mistake, or it is mended

Where several instances of the unwrap service run, each has rules of its own: give
the command to each. A device asks all of them, and one that says "cut off" is
enough to take the bot out of a room.`
	return cmd
}

// A botRule is what bots ls --json prints of a rule.
type botRule struct {
	service.Rule
	Cut bool `json:"cut,omitempty"` // it cuts the device off
}

func (t *tool) botsListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List who is let in by name, with rooms and CoIs, and who is cut off",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			book, err := t.book()
			if err != nil {
				return err
			}
			rules := []botRule{}
			var rows []string
			for _, r := range book.Rules {
				if !isDevice(r.Subject) {
					continue
				}
				what := string(r.Effect)
				if r.Cuts() {
					what = "cut"
				}
				rules = append(rules, botRule{r, r.Cuts()})
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", r.Subject, what, coiOrAll(r.CoI), roomsOf(r), when(r.At), r.By))
			}
			if t.json {
				return printJSON(cmd, rules)
			}
			return printTable(cmd.OutOrStdout(), "DEVICE\tRULE\tCOI\tROOMS\tSINCE\tBY", rows)
		},
	})
}

func isDevice(uri string) bool {
	n, err := coi.ParseName(uri)
	return err == nil && n.Purpose == coi.Device
}

func notDevice(uri string) error {
	return fmt.Errorf("%q is no device: write it like mimi://alpha.example/d/archiver/main", uri)
}

func (t *tool) botsCutCommand() *cobra.Command {
	var by string
	cmd := t.jsonFlag(&cobra.Command{
		Use:   "cut DEVICE",
		Short: "Deny a bot every CoI from this instant on, and have it taken out of its rooms",
		Long: `cut takes effect at once, whatever any gateway does: the bot opens no later key and
no further old one. Then it reads the log and says what the bot has opened, and
what it has tried in vain since. Run parley-pki bots proof DEVICE at any later
time for the same.

The bot is taken out of every room whose keys are wrapped to a CoI of this service,
and of no other room. Members' devices ask this service, not their gateway, which
bots are cut off; it signs the answer. The next one that is online removes the bot,
whoever's it is: with the signed answer any member may, and the gateway can neither
forge nor refuse it. Only a device whose certificate says that it is a bot's is
removed: what a person's device is denied, here or with parley-pki entitle deny,
ends its keys and leaves it in its rooms. To put a person's device out, revoke its
certificate with parley-pki revoke.`,
		Example: "  parley-pki bots cut --dir unwrap mimi://alpha.example/d/archiver/main",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			realm, err := t.realmFor(args[0])
			if err != nil {
				return err
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

// realmFor opens the unwrap service's directory for what is said of a device.
func (t *tool) realmFor(device string) (*service.Realm, error) {
	if !isDevice(device) {
		return nil, notDevice(device)
	}
	return service.OpenRealm(t.dir, service.RoleUnwrap)
}

func (t *tool) botsLiftCommand() *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "lift DEVICE",
		Short: "Take a cut back",
		Long: `lift ends what bots cut began. It gives nothing: the bot was let in room by room, and
the cut has ended all of that, so that nobody lets it into more than is meant.
Entitle it again, and have somebody in each room add it. The service's log keeps the
cut, and who has lifted it.`,
		Example: `  parley-pki bots lift --dir unwrap mimi://alpha.example/d/archiver/main
  parley-pki entitle grant --dir unwrap --coi finance --room mimi://alpha.example/r/ops mimi://alpha.example/d/archiver/main`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			realm, err := t.realmFor(args[0])
			if err != nil {
				return err
			}
			e, err := realm.Entitlements()
			if err != nil {
				return err
			}
			version, err := e.Lift(service.Lift{Device: args[0], By: by})
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is cut off no longer (rules version %d)\nnothing is granted to it: parley-pki entitle grant lets it in again, room by room\n", args[0], version)
			}
			return err
		},
	}
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
	cut := book.Cut(device)
	if cut == nil {
		return fmt.Errorf("%s is not cut off: parley-pki bots cut %s", device, quote(device))
	}
	p.Cut, p.By = cut.At, cut.By
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
