package main

import (
	"fmt"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/coi/service"
)

// entitleFlags is what the flags of entitle say.
type entitleFlags struct {
	coi   string
	rooms []string
	until string
	by    string
}

func (t *tool) entitleCommand() *cobra.Command {
	cmd := group("entitle", "Say who may use which CoI",
		t.ruleCommand("grant", service.Grants, "Let somebody use a CoI"),
		t.ruleCommand("deny", service.Denies, "Deny somebody a CoI, or all of them"),
		t.entitleListCommand(), t.entitleImportCommand())
	cmd.Long = `entitle changes the rules of an unwrap service, which sees a change at once. A
rule is about a device, a person, or a whole site; a denial beats a grant. Bots
are not let in with their site or owner: name the bot and its rooms.

Several instances have the same rules because their administrator brings them: the
rules are changed at one, with entitle, bots and unwrap forget, and its file
entitlements.json is imported at the others. parley-pki preflight says which differ.`
	cmd.Example = `  parley-pki entitle grant --dir unwrap --coi finance mimi://alpha.example
  parley-pki entitle import unwrap/entitlements.json --dir unwrap2`
	return cmd
}

func (t *tool) entitleImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Take over the rules of another instance",
		Long: `import puts the rules of another instance in force, in one piece: its
entitlements.json, or what entitle ls --json prints there. Rules that are older than
those here are refused, and others of the same version.`,
		Example: `  parley-pki entitle import unwrap/entitlements.json --dir unwrap2`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			e, err := realm.Entitlements()
			if err != nil {
				return err
			}
			version, err := e.Import(args[0])
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "imported: rules version %d\n", version)
			}
			return err
		},
	}
}

func (t *tool) ruleCommand(use string, effect service.Effect, short string) *cobra.Command {
	var f entitleFlags
	cmd := &cobra.Command{
		Use:   use + " --coi NAME SUBJECT",
		Short: short,
		Example: "  parley-pki entitle " + use + ` --dir unwrap --coi finance mimi://alpha.example/u/alice
  parley-pki entitle ` + use + ` --dir unwrap --coi finance mimi://alpha.example/d/archiver/main --room mimi://alpha.example/r/ops`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			rule := service.Rule{Subject: args[0], Effect: effect, Rooms: f.rooms, By: f.by}
			if f.coi != "" {
				if rule.CoI, err = parseCoI(f.coi, realm.Site()); err != nil {
					return err
				}
			}
			if f.until != "" {
				if rule.Until, err = time.Parse(time.RFC3339, f.until); err != nil {
					return fmt.Errorf("--until %q: write a time such as 2030-01-31T18:00:00Z", f.until)
				}
			}
			version, err := t.addRules(realm, rule)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s (rules version %d)\n", use, rule.Subject, coiOrAll(rule.CoI), version)
			return nil
		},
	}
	cmd.Flags().StringVar(&f.coi, "coi", "", "the CoI: finance, or mimi://alpha.example/c/finance; deny without it is of every CoI")
	cmd.Flags().StringArrayVar(&f.rooms, "room", nil, "only for this room (repeat for several); a bot needs rooms, or '*'")
	cmd.Flags().StringVar(&f.until, "until", "", "the rule ends at this time")
	cmd.Flags().StringVar(&f.by, "by", whoami(), "who says so, for the log")
	return cmd
}

// addRules puts rules in force.
func (t *tool) addRules(r *service.Realm, rules ...service.Rule) (uint64, error) {
	e, err := r.Entitlements()
	if err != nil {
		return 0, err
	}
	return e.Add(rules...)
}

func (t *tool) entitleListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List the rules",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			book, err := t.book()
			if err != nil {
				return err
			}
			if t.json {
				return printJSON(cmd, book)
			}
			var rows []string
			for _, r := range book.Rules {
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", r.Effect, r.Subject, coiOrAll(r.CoI), roomsOf(r), when(r.At), r.By))
			}
			return printTable(cmd.OutOrStdout(), "RULE\tWHO\tCOI\tROOMS\tSINCE\tBY", rows)
		},
	})
}

// book reads the rules of the directory.
func (t *tool) book() (*service.RuleBook, error) {
	realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
	if err != nil {
		return nil, err
	}
	e, err := realm.Entitlements()
	if err != nil {
		return nil, err
	}
	return e.Book()
}

func coiOrAll(name string) string {
	if name == "" {
		return "every CoI"
	}
	return name
}

func roomsOf(r service.Rule) string {
	if len(r.Rooms) == 0 {
		return "-"
	}
	return strings.Join(r.Rooms, " ")
}

// whoami is who runs the command, for the log.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
