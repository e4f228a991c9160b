package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/coi"
	"parley/groups"
)

// A keysJSON is what keys --json prints.
type keysJSON struct {
	Device      groups.DeviceID `json:"device"`
	Certificate certificateJSON `json:"certificate"`
	KeyPackages *packagesJSON   `json:"key_packages,omitempty"`
	Rooms       []roomKeyJSON   `json:"rooms"`
}

type certificateJSON struct {
	Fingerprint string    `json:"fingerprint"`
	Issuer      string    `json:"issuer"`
	NotBefore   time.Time `json:"not_before"`
	Until       time.Time `json:"until"`
}

type packagesJSON struct {
	Published int `json:"published"`
	Private   int `json:"private"`
}

type roomKeyJSON struct {
	Room          groups.RoomID `json:"room"`
	Epoch         groups.Epoch  `json:"epoch"`
	Suite         string        `json:"suite"`
	KeyMade       time.Time     `json:"key_made"`
	KeyMessages   uint64        `json:"key_messages"`
	Authenticator string        `json:"authenticator"`
}

func keysCommand(a *app) *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "keys [ROOM]",
		Short: "Show this device's certificate, key packages and room keys",
		Long: `Keys shows the device's certificate, how many key packages the gateway has left to
add it to rooms with, and the key of each room: its epoch, its age, and the code by
which people see that they have the same key. With a room it shows the record of that
room's key: who made it, when, why, and which communities it is wrapped to.

With --json it prints {"device","certificate":{"fingerprint","issuer","not_before","until"},
"key_packages":{"published","private"},"rooms":[{"room","epoch","suite","key_made",
"key_messages","authenticator"}]}; key_packages is left out with --offline. With a room it prints a key. ` + keyHelp,
		Args:              arguments(0, 1, "one room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.offline(func(s *session) error { return s.roomKey(args[0]) })
			}
			if offline {
				return a.offline(func(s *session) error { return s.keys(nil) })
			}
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error {
				if err := s.caughtUp(ctx); err != nil {
					return err
				}
				have, err := s.KeyPackages(ctx)
				if err != nil {
					return err
				}
				return s.keys(&packagesJSON{have.Published, have.Private})
			})
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask the gateway for key packages")
	cmd.AddCommand(keysHistoryCommand(a), keysNewCommand(a), keysFlagCommand(a), keysExportCommand(a), keysVerifyCommand(a), keysEnvelopeCommand(a))
	return cmd
}

func (s *session) keys(packages *packagesJSON) error {
	id := s.Identity()
	if len(id.Chain) == 0 {
		return client.ErrNoIdentity
	}
	cert, err := x509.ParseCertificate(id.Chain[0])
	if err != nil {
		return fmt.Errorf("own certificate: %w", err)
	}
	rooms, err := s.Rooms()
	if err != nil {
		return err
	}
	print := coi.FingerprintOf(cert)
	out := keysJSON{
		Device:      id.Device,
		Certificate: certificateJSON{hex.EncodeToString(print[:]), cert.Issuer.String(), cert.NotBefore.UTC(), cert.NotAfter.UTC()},
		KeyPackages: packages,
		Rooms:       []roomKeyJSON{},
	}
	t := newTable("ROOM", "EPOCH", "KEY AGE", "MESSAGES", "CODE", "SUITE")
	for i := range rooms {
		r := &rooms[i]
		if r.State != client.RoomLive {
			continue
		}
		if *r, err = s.Room(r.Room); err != nil { // with its authenticator
			return err
		}
		out.Rooms = append(out.Rooms, roomKeyJSON{r.Room, r.Epoch, r.Suite, r.KeyMade.UTC(), r.KeyMessages, hex.EncodeToString(r.Authenticator)})
		t.add(bold(s.names.Room(r.Room)), number(r.Epoch), since(r.KeyMade), number(r.KeyMessages), tui.Code(r.Authenticator), r.Suite)
	}
	if s.app.json {
		return s.app.printJSON(out)
	}
	left := ""
	if packages != nil {
		left = fmt.Sprintf("%d at the gateway, %d private parts here", packages.Published, packages.Private)
	}
	err = s.app.facts("device", bold(s.names.Device(id.Device)), "certificate", out.Certificate.Fingerprint,
		"issuer", tui.PrintableLine(out.Certificate.Issuer), "valid", day(cert.NotBefore)+" to "+day(cert.NotAfter), "key packages", left)
	if err != nil {
		return err
	}
	return t.print(s.app, "this device is in no room")
}

// A deviceJSON is what devices --json prints of a device.
type deviceJSON struct {
	Device      groups.DeviceID `json:"device"`
	KeyPackages int             `json:"key_packages"`
	LastSeen    time.Time       `json:"last_seen,omitzero"`
	Own         bool            `json:"own"`
}

func devicesCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "devices [USER]",
		Short: "List your devices, or those of a person of your site",
		Long: `Devices asks the gateway for a person's devices, yours if none is named. A device
without key packages can not be added to rooms.

With --json it prints an array of {"device","key_packages","last_seen","own"}.`,
		Args: arguments(0, 1, "one person"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error {
				user := s.User()
				if len(args) == 1 {
					users, err := s.users(args)
					if err != nil {
						return err
					}
					user = users[0]
				}
				if user.Site() != s.ID().Site() {
					return usagef("%s is of another site: parley room members ROOM shows the devices of theirs that are in a room", s.names.User(user))
				}
				return s.devices(ctx, user)
			})
		},
	}
}

func (s *session) devices(ctx context.Context, user groups.UserID) error {
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	devices, err := s.Devices(ctx, user)
	if err != nil {
		return err
	}
	list := make([]deviceJSON, len(devices))
	t := newTable("DEVICE", "KEY PACKAGES", "LAST SEEN", "")
	for i, d := range devices {
		list[i] = deviceJSON{d.Device, d.KeyPackages, d.LastSeen, d.Device == s.ID()}
		own := ""
		if list[i].Own {
			own = "(this device)"
		}
		t.add(bold(s.names.Device(d.Device)), fmt.Sprint(d.KeyPackages), clock(d.LastSeen), own)
	}
	if s.app.json {
		return s.app.printJSON(list)
	}
	return t.print(s.app, "the gateway knows no device of "+s.names.User(user))
}
