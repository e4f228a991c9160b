package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionJSON struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"`
}

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Version prints what was built, and with what.

With --json it prints {"version","go","revision"}.`,
		Args: arguments(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			v := version()
			if a.json {
				return a.printJSON(v)
			}
			return a.print("parley %s %s\n", v.Version, v.Go)
		},
	}
}

// version is what the build says about itself.
func version() versionJSON {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versionJSON{Version: "(unknown)"}
	}
	v := versionJSON{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
