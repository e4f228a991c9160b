package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

// defaultURL is where devices find the enrolment service if it never ran here.
const defaultURL = "https://" + defaultListen

func (t *tool) codeCommand() *cobra.Command {
	return group("code", "One-time codes with which devices enrol", t.codeNewCommand(), t.codeListCommand())
}

// A newCode is what code new prints as JSON.
type newCode struct {
	Code        string    `json:"code"`
	User        string    `json:"user"`
	Device      string    `json:"device,omitempty"`
	Bot         bool      `json:"bot,omitempty"`
	Expires     time.Time `json:"expires"`
	Service     string    `json:"service"`
	Fingerprint string    `json:"fingerprint"`
	Login       string    `json:"login"`
}

func (t *tool) codeNewCommand() *cobra.Command {
	var g service.Grant
	var ttl time.Duration
	var url string
	cmd := &cobra.Command{
		Use:   "new --user NAME [--device NAME] [--ttl DURATION]",
		Short: "Make a code for one device of a person",
		Long: `new makes a code that gives a person one certificate, for one device. Only its
hash is kept. Hand it over on a way on which you know the person: whoever has
the code can become that person's device.

With --bot the certificate says that no person holds the device: every member of
a room sees it.`,
		Example: `  parley-pki code new --dir pki --user alice --device laptop
  parley-pki code new --dir pki --user alice --ttl 1h
  parley-pki code new --dir pki --user bob --device phone --json
  parley-pki code new --dir pki --user archiver --device main --bot`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if g.User == "" {
				return &mistake{"who is the code for? give --user, a name such as alice"}
			}
			dir, err := t.open()
			if err != nil {
				return err
			}
			n, err := t.newCode(dir, g, ttl, url)
			if err != nil {
				return err
			}
			if t.json {
				return printJSON(cmd, n)
			}
			device := n.Device
			if device == "" {
				device = "a device of their own choice"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Code for %s, %s, once, until %s:\n\n  %s\n\nOn that device:\n\n  %s\n", n.User, device, when(n.Expires), n.Code, n.Login)
			return nil
		},
	}
	cmd.Flags().StringVar(&g.User, "user", "", "who the device belongs to")
	cmd.Flags().StringVar(&g.Device, "device", "", "the device's name (default: the person chooses)")
	cmd.Flags().BoolVar(&g.Bot, "bot", false, "the device is a bot or a service: its certificate says so")
	cmd.Flags().DurationVar(&ttl, "ttl", service.DefaultTTL, "how long the code lasts, at most 720h")
	cmd.Flags().StringVar(&url, "enroll", "", "the enrolment service's URL (default: where it last ran from this directory)")
	return t.jsonFlag(cmd)
}

func (t *tool) newCode(dir *service.Directory, g service.Grant, ttl time.Duration, url string) (*newCode, error) {
	own, err := dir.Own()
	if err != nil {
		return nil, err
	}
	codes, err := dir.Codes()
	if err != nil {
		return nil, err
	}
	if url == "" {
		if url, err = dir.ServiceURL(); err != nil {
			return nil, err
		}
	}
	if url == "" {
		url = defaultURL
	}
	g.Created = time.Now().UTC().Truncate(time.Second)
	g.Expires = g.Created.Add(ttl)
	code, err := codes.New(g)
	if err != nil {
		return nil, err
	}
	n := &newCode{Code: code.String(), User: g.User, Device: g.Device, Bot: g.Bot, Expires: g.Expires, Service: url}
	n.Fingerprint = fmt.Sprintf("%x", coi.FingerprintOf(own.Roots[0]))
	device := g.Device
	if device == "" {
		device = "DEVICE-NAME"
	}
	n.Login = fmt.Sprintf("parley login --enroll %s --code %s --device %s --fingerprint %s", quote(n.Service), n.Code, device, n.Fingerprint)
	return n, nil
}

// A codeLine is one code of code ls.
type codeLine struct {
	service.CodeState
	State string `json:"state"`
}

func (t *tool) codeListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List codes: unused, used, expired",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := t.open()
			if err != nil {
				return err
			}
			codes, err := dir.Codes()
			if err != nil {
				return err
			}
			states, err := codes.List()
			if err != nil {
				return err
			}
			lines, rows := []codeLine{}, []string{}
			for _, s := range states {
				l := codeLine{s, s.State(time.Now())}
				device := s.Device
				if s.Use != nil {
					device = s.Use.Device
				}
				lines = append(lines, l)
				rows = append(rows, fmt.Sprintf("%.8s\t%s\t%s\t%s\t%s", l.ID, l.State, l.User, device, when(l.Expires)))
			}
			if t.json {
				return printJSON(cmd, lines)
			}
			return printTable(cmd.OutOrStdout(), "ID\tSTATE\tUSER\tDEVICE\tUNTIL", rows)
		},
	})
}
