package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// printJSON writes a value on one line.
func printJSON(cmd *cobra.Command, v any) error {
	return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
}

// printTable writes rows under a header, in columns.
func printTable(w io.Writer, header string, rows []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, header)
	for _, r := range rows {
		fmt.Fprintln(t, r)
	}
	return t.Flush()
}

// when writes a time as people read it.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// quote makes a word safe to paste into a shell.
func quote(word string) string {
	for _, r := range word {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' || r == '/' || r == ':' || r == '=') {
			return "'" + escape(word) + "'"
		}
	}
	return word
}

func escape(word string) string {
	out := ""
	for _, r := range word {
		if r == '\'' {
			out += `'\''`
			continue
		}
		out += string(r)
	}
	return out
}
