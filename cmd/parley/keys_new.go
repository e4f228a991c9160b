package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

func keysNewCommand(a *app) *cobra.Command {
	var yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "new ROOM",
		Short: "Make a new key for a room",
		Long: `New makes a new key for a room; every device uses it from its next message on. Before it
does, it shows how the room is encrypted and what has changed since you last accepted it,
and asks; with --yes it does not ask.

With --json it prints the room, as parley room info --json does; it needs --yes.`,
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.json && !yes {
				return usagef("with --json nobody can be asked: say --yes")
			}
			why, err := keyReason(reason)
			if err != nil {
				return err
			}
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.newKey(ctx, args[0], why, yes) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "accept the encryption configuration without being asked")
	cmd.Flags().StringVar(&reason, "reason", groups.KeyRotatedByUser.String(), "why, for the record: rotated_by_user, rotated_by_policy or certificate_replaced")
	return cmd
}

// keyReason reads --reason.
func keyReason(name string) (groups.KeyReason, error) {
	for _, k := range []groups.KeyReason{groups.KeyRotatedByUser, groups.KeyRotatedByPolicy, groups.KeyCertificateReplaced} {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, usagef("--reason is rotated_by_user, rotated_by_policy or certificate_replaced, not %q", name)
}

// newKey makes a key once the person has accepted for whom.
func (s *session) newKey(ctx context.Context, name string, why groups.KeyReason, yes bool) error {
	e, err := s.inspect(ctx, name)
	if err != nil {
		return err
	}
	if len(e.Policy.CoIs) > 0 {
		if err := s.agree(e, yes); err != nil {
			return err
		}
	}
	if err := s.RekeyFor(ctx, e.Room, why); err != nil {
		return err
	}
	return s.info(e.Room)
}

// inspect describes how a room is encrypted now.
func (s *session) inspect(ctx context.Context, name string) (*client.Encryption, error) {
	room, err := s.current(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.Inspect(ctx, room)
}

// agree shows the configuration and asks.
func (s *session) agree(e *client.Encryption, yes bool) error {
	if !s.app.json {
		if err := s.showEncryption(e); err != nil {
			return err
		}
	}
	if !yes {
		if err := s.app.say("\nMake a key for these? [y/N] "); err != nil {
			return err
		}
		answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("read the answer: %w", err)
		}
		if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
			return groups.Errorf(groups.Denied, "no key was made: the configuration was not accepted; parley keys flag %s reports it", s.names.Room(e.Room))
		}
	}
	return s.Accept(e)
}

func roomInspectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect ROOM",
		Short: "Show how a room is encrypted, for whom, and what has changed",
		Long: `Inspect shows the encryption configuration of a room: its suite and policy, the
communities that its keys are wrapped to with their certificates and services, who else
can have a key opened, and what has changed since you last accepted it. It asks the
communities' services.

With --json it prints {"room","epoch","suite","mode","history","post_quantum","strict_status",
"max_key_age_seconds","max_key_messages","auto_renew_seconds","communities":[{"name","root",
"certificate","serial","not_before","not_after","status_at","lookup","unwrap","status","officer",
"reader","problem"}],"cases":{"threshold","approvers":[{"name","key"}]},"denied","accepted","changes"}.`,
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error {
				e, err := s.inspect(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(describeEncryption(e))
				}
				return s.showEncryption(e)
			})
		},
	}
}

// showEncryption prints a configuration for a person.
func (s *session) showEncryption(e *client.Encryption) error {
	p := &e.Policy
	age, renew := "until it is replaced", "by people only"
	if p.MaxKeyAge > 0 {
		age = "for " + tui.Age(p.MaxKeyAge)
	}
	if p.AutoRenew > 0 {
		renew = "by devices, " + tui.Age(p.AutoRenew) + " before it ends"
	}
	wrapped := map[bool]string{false: "to each of these, any opens them", true: "to these, all are needed"}[p.Mode == groups.CoIAll]
	if len(p.CoIs) == 0 {
		wrapped = "to nobody: only the members have them"
	}
	denied := ""
	if e.Denied != "" {
		denied = bad(tui.PrintableLine(e.Denied))
	}
	err := s.app.facts("room", bold(s.names.Room(e.Room)), "suite", e.Suite, "keys are wrapped", wrapped, "a key lasts", age,
		"it is renewed", renew, "new members read", historyWords(p.History), "status", statusWords(p), "cases", caseWords(&p.Cases),
		"sending", denied)
	if err != nil {
		return err
	}
	for i := range e.Communities {
		if err := s.showCommunity(&e.Communities[i], p); err != nil {
			return err
		}
	}
	return s.showChanges(e)
}

func (s *session) showCommunity(c *client.CommunityInfo, p *groups.Policy) error {
	certificate := "serial " + c.Serial + ", SHA-256 " + c.Certificate.Hex()
	valid := clock(c.NotBefore) + " to " + clock(c.NotAfter) + ", good at " + clock(c.StatusAt)
	if c.Problem != "" {
		certificate, valid = bad(tui.PrintableLine(c.Problem)), ""
	}
	reader := ""
	for _, r := range p.Readers {
		if r == c.Name {
			reader = warn("its devices may read without being members")
		}
	}
	return s.app.facts("community", bold(string(c.Name)), "  root", "SHA-256 "+c.Root.Hex(), "  certificate", certificate, "  valid", valid,
		"  lookup", c.Lookup, "  unwrap", strings.Join(c.Unwrap, " "), "  status", c.Status, "  officer", tui.PrintableLine(c.Officer), "  readers", reader)
}

// showChanges prints what has changed since the person accepted.
func (s *session) showChanges(e *client.Encryption) error {
	switch {
	case len(e.Policy.CoIs) == 0:
		return nil
	case e.First:
		return s.app.print("%s\n", warn("You have not accepted this configuration yet."))
	case e.Accepted:
		return s.app.print("%s\n", good("You have accepted this configuration."))
	}
	if err := s.app.print("%s\n", warn("Since you accepted it:")); err != nil {
		return err
	}
	for _, c := range e.Changes {
		if err := s.app.print("  %s\n", tui.PrintableLine(c)); err != nil {
			return err
		}
	}
	return nil
}

func historyWords(h groups.HistoryMode) string {
	switch h {
	case groups.HistoryAll:
		return "everything that was ever said"
	case groups.HistoryOwn:
		return "what was said while their person was a member"
	}
	return "from joining on"
}

func statusWords(p *groups.Policy) string {
	if p.StrictStatus {
		return "asked for before every wrapping"
	}
	return "as the lookup service has it, while it lasts"
}

func caseWords(c *groups.CaseRule) string {
	if c.Threshold == 0 {
		return "nobody may have keys opened for a case"
	}
	names := make([]string, len(c.Approvers))
	for i, a := range c.Approvers {
		names[i] = tui.PrintableLine(a.Name)
	}
	return warn(fmt.Sprintf("keys are opened for a case that %d of these approve: %s", c.Threshold, strings.Join(names, ", ")))
}
