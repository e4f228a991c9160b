package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// defaultTimeout is how long a command waits for the network.
const defaultTimeout = 30 * time.Second

// root is the command tree.
func root(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "parley",
		Short: "Talk in end-to-end encrypted rooms across organisations",
		Long: `parley is one device of one person: it keeps the device's keys, rooms and history
in a home directory, encrypted, and talks to the gateway of the person's site.

  parley login --enroll https://127.0.0.1:7443 --ca ca.pem --code 7QK3-0FXA-9M2T-C8WD
  parley room create ops --member bob@beta.example
  parley send ops "hello"
  parley chat ops

Names: ops is a room of your own site and alice a person of it; ops@beta.example,
bob@beta.example and bob@beta.example/phone are elsewhere; full URIs always work.
Messages are named by the first digits of their id.

Exit status: 0 done, 1 failed, 2 called in a wrong way.
With --json, answers are JSON with stable snake_case names, times in RFC 3339 and
names as full URIs; each command's help says what it prints.`,
		Version:       version().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	f := cmd.PersistentFlags()
	f.StringVar(&a.home, "home", "", "the device's directory (default $PARLEY_HOME, else ~/.parley if it is there, else $XDG_DATA_HOME/parley)")
	f.StringVar(&a.gateway, "gateway", "", "address or URL of the one gateway to use (default: the first of your site's that answers)")
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "how long to wait for the network")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "tell on standard error what the device does")
	cmd.AddGroup(
		&cobra.Group{ID: "talk", Title: "Talk:"},
		&cobra.Group{ID: "rooms", Title: "Rooms and devices:"},
		&cobra.Group{ID: "operate", Title: "Operate:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			cmd.AddCommand(c)
		}
	}
	add("talk", chatCommand(a), sendCommand(a), readCommand(a), tailCommand(a), getCommand(a), syncCommand(a))
	add("rooms", loginCommand(a), whoamiCommand(a), roomCommand(a), devicesCommand(a), botsCommand(a), keysCommand(a), historyCommand(a))
	add("operate", demoCommand(a), benchCommand(a), nodeCommand(a), peerCommand(a), versionCommand(a))
	cmd.SetHelpCommandGroupID("operate")
	cmd.SetCompletionCommandGroupID("operate")
	a.mark(cmd)
	return cmd
}

// mark notes, for every command below cmd, when its arguments have been found
// good: what is wrong before that is the caller's fault.
func (a *app) mark(cmd *cobra.Command) {
	if act := cmd.RunE; act != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			switch scheme, _, url := strings.Cut(a.gateway, "://"); {
			case a.timeout <= 0:
				return usagef("--timeout %s: it has to be longer than nothing", a.timeout)
			case url && scheme != "https":
				return usagef("--gateway %s: write host:port, or a URL that begins with https://", a.gateway)
			}
			a.started = true
			return act(cmd, args)
		}
	} else if cmd.HasSubCommands() && cmd.HasParent() {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			text := "there is no command " + cmd.CommandPath() + " " + args[0]
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += ", did you mean " + near[0] + "?"
			}
			return usagef("%s", text)
		}
	}
	for _, sub := range cmd.Commands() {
		a.mark(sub)
	}
}
