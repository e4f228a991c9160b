package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/client/tui"
	"parley/groups"
)

// maxStatus bounds a node's answer.
const maxStatus = 16 << 20

func nodeCommand(a *app) *cobra.Command {
	return statusCommand(a, status{
		noun: "node", path: "/nodes", short: "Look at the nodes of a site",
		list: "List the nodes of a site, as one of them sees them",
		none: "the node knows no other node",
	})
}

func peerCommand(a *app) *cobra.Command {
	return statusCommand(a, status{
		noun: "peer", path: "/peers", short: "Look at the links to other sites",
		list: "List the links of a node to other sites",
		none: "the node has no peer",
	})
}

// A status is something the admin port of a node tells: an array of objects.
type status struct{ noun, path, short, list, none string }

func statusCommand(a *app, st status) *cobra.Command {
	var admin string
	cmd := &cobra.Command{Use: st.noun, Short: st.short, Args: cobra.ArbitraryArgs}
	ls := &cobra.Command{
		Use:   "ls",
		Short: st.list,
		Long: st.list + `. It asks the admin port of a parleyd on this machine and
needs no device.

With --json it prints the node's answer, an array of objects.`,
		Example: "  parley " + st.noun + " ls --admin 127.0.0.1:8445",
		Args:    arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := net.SplitHostPort(admin); err != nil {
				return usagef("--admin %q: give the address of a node's admin port, such as 127.0.0.1:8445 (admin.listen in its config)", admin)
			}
			return a.status(cmd.Context(), "http://"+admin+st.path, st.none)
		},
	}
	ls.Flags().StringVar(&admin, "admin", "", "address of the node's admin port, such as 127.0.0.1:8445")
	cmd.AddCommand(ls)
	return cmd
}

// status asks a node and prints what it says.
func (a *app) status(ctx context.Context, url, none string) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usagef("--admin: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return groups.Errorf(groups.Unavailable, "ask the node: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err != nil {
		return fmt.Errorf("ask the node: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: is it the admin port of a parleyd?", url, resp.Status)
	}
	var rows []map[string]any
	if err := json.Unmarshal(body, &rows); err != nil {
		return fmt.Errorf("%s does not answer like a parleyd: %w", url, err)
	}
	if rows == nil {
		rows = []map[string]any{}
	}
	if a.json {
		return a.printJSON(rows)
	}
	return columns(rows).print(a, none)
}

// first are the columns that stand before the others.
var first = []string{"node", "site", "name", "state", "addresses", "address"}

// columns makes a table of objects, whatever their members are.
func columns(rows []map[string]any) *table {
	members := map[string]bool{}
	for _, row := range rows {
		for name := range row {
			members[name] = true
		}
	}
	var heads []string
	for _, name := range first {
		if members[name] {
			heads = append(heads, name)
			delete(members, name)
		}
	}
	heads = append(heads, slices.Sorted(maps.Keys(members))...)
	t := newTable()
	shown := make([]string, len(heads))
	for i, name := range heads {
		shown[i] = faint(strings.ToUpper(strings.ReplaceAll(name, "_", " ")))
	}
	t.rows = [][]string{shown}
	for _, row := range rows {
		cells := make([]string, len(heads))
		for i, name := range heads {
			cells[i] = cell(row[name])
		}
		t.add(cells...)
	}
	return t
}

// cell writes a JSON value for a person.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = cell(e)
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, name+" "+cell(v[name]))
		}
		return strings.Join(parts, ", ")
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return clock(t)
		}
		return tui.PrintableLine(v)
	case float64:
		return fmt.Sprintf("%.15g", v)
	}
	return tui.PrintableLine(fmt.Sprint(v))
}
