package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/groups"
)

// roomCommand is what an operator does about rooms that are parked. It asks the
// running node over its admin port.
func roomCommand(path *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "room",
		Short: "Look at rooms that are parked, and let them go on",
		Long: `A room is parked, which is read-only, when its log here is not what was promised:
the disk has lost entries, the data was put back to an older copy, or two
histories were signed. Mostly it comes back by itself, from a site or a node that
has a longer copy. These commands ask a node that runs on this machine.`,
	}
	cmd.AddCommand(roomParkedCommand(path), roomRefillCommand(path), roomLossCommand(path))
	return cmd
}

func roomParkedCommand(path *string) *cobra.Command {
	return &cobra.Command{
		Use:   "parked",
		Short: "List the rooms that are parked, and why",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var rows []roomRow
			if err := askAdmin(cmd.Context(), *path, http.MethodGet, "/rooms", &rows); err != nil {
				return err
			}
			n := 0
			for _, row := range rows {
				if row.Parked != "" {
					n++
					showParked(cmd.OutOrStdout(), row)
				}
			}
			if n == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no room is parked")
			}
			return nil
		},
	}
}

// showParked says what is wrong with a room and what may be done.
func showParked(w io.Writer, row roomRow) {
	fmt.Fprintf(w, "%s\n  why:    %s\n  held:   entry %d\n", row.Room, row.Parked, row.Seq)
	switch {
	case row.Damaged:
		fmt.Fprintf(w, "  ends:   after the next start of this node, which mends the log and has a copy refill it\n")
	case row.Refill > 0:
		fmt.Fprintf(w, "  ends:   by itself, when entry %d is back from a site or node that has it\n", row.Refill)
	case row.Owned:
		fmt.Fprintf(w, "  ends:   when its loss is accepted (parleyd room accept-loss)\n")
	default:
		fmt.Fprintf(w, "  ends:   when %s is in order; it is asked again now and then\n", row.Owner)
	}
}

func roomRefillCommand(path *string) *cobra.Command {
	return &cobra.Command{
		Use:     "refill ROOM",
		Short:   "Ask now for what a parked room lacks",
		Example: "  parleyd room refill mimi://alpha.example/r/ops",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var row roomRow
			if err := askAdmin(cmd.Context(), *path, http.MethodPost, "/rooms/refill?room="+url.QueryEscape(args[0]), &row); err != nil {
				return err
			}
			if row.Parked == "" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is not parked, it stands at entry %d\n", row.Room, row.Seq)
				return nil
			}
			showParked(cmd.OutOrStdout(), row)
			return nil
		},
	}
}

func roomLossCommand(path *string) *cobra.Command {
	sure := false
	cmd := &cobra.Command{
		Use:   "accept-loss ROOM",
		Short: "Let a parked room go on without what it lost",
		Long: `accept-loss gives up, for good, what a parked room lacks here, and lets it go on
from its last entry under a new term. What people were told was sent is then
gone. Sites, nodes and devices that hold what is given up see another history: they
refuse the room from then on, and their people have to make a new one.

It is for when nobody can give back what is missing. Try refill first.`,
		Example: "  parleyd room accept-loss mimi://alpha.example/r/ops --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !sure {
				return fmt.Errorf("accept-loss gives up entries that were promised: say --yes if nobody can give them back")
			}
			var loss lossRow
			if err := askAdmin(cmd.Context(), *path, http.MethodPost, "/rooms/accept-loss?room="+url.QueryEscape(args[0]), &loss); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s goes on after entry %d under term %d\n", loss.Room, loss.Held, loss.Term)
			if loss.Lost > loss.Held {
				fmt.Fprintf(cmd.OutOrStdout(), "lost: entries %d to %d, and whatever followed\n", loss.Held+1, loss.Lost)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "it is understood what is lost")
	return cmd
}

const (
	// adminTime bounds a question to the admin port.
	adminTime = 30 * time.Second
	// maxAdminAnswer bounds what it answers, in bytes.
	maxAdminAnswer = 64 << 20
)

// askAdmin asks the node that runs from a config.
func askAdmin(ctx context.Context, path, method, what string, into any) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Admin.Listen+what, nil)
	if err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	req.Header.Set(actHeader, "parleyd room")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return groups.Errorf(groups.Unavailable, "ask the node: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	if err != nil {
		return fmt.Errorf("ask the node: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the node says: %s", strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s does not answer like a parleyd: %w", c.Admin.Listen, err)
	}
	return nil
}
