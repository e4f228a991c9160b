package main

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/service"
)

func (t *tool) caseCommand() *cobra.Command {
	cmd := group("case", "Open room keys for forensics or a court, with approvals",
		t.caseOpenCommand(), t.caseApproveCommand(), t.caseShowCommand(), t.caseListCommand(),
		t.caseExportCommand(), t.caseReadCommand())
	cmd.Long = `A case opens the keys of some rooms for some time, to a named key, once enough
approvers have signed it with keys of their own. A room is opened only if its own
policy names such access and these approvers; its members see that before they
make a key. Every key stands in the unwrap service's log.

  parley-pki case open --coi mimi://alpha.example/c/finance --room mimi://alpha.example/r/ops \
      --from 2030-01-01T00:00:00Z --to 2030-02-01T00:00:00Z --basis "order 7/2030" \
      --approver legal.pub --approver board.pub --threshold 2 --export export.crt --out case.pem
  parley-pki case approve --key legal.key case.pem      # each on their own machine
  parley-pki case export case.pem --log ops.jsonl --unwrap https://127.0.0.1:7446 --bundle alpha.pem --out keys.jsonl
  parley-pki case read case.pem --log ops.jsonl --keys keys.jsonl --key export.key --bundle alpha.pem

An approver's key is Ed25519 or ECDSA, such as openssl genpkey -algorithm ed25519
makes. --log is a room's log as a member or a gateway exports it: a line for each
entry, {"seq":1,"header":"...","body":"..."}, both in base64. To make the export
certificate is the CoI CA's: it is a CoI of its own, such as c/export.`
	return cmd
}

// The PEM types of a case file: a case, then its approvals.
const (
	pemCase     = "PARLEY CASE"
	pemApproval = "PARLEY CASE APPROVAL"
)

// A caseFile is a case and the approvals that came with it.
type caseFile struct {
	*service.Case
	raw       []byte
	approvals []*service.Approval
	signed    [][]byte // the same, encoded
}

func readCase(path string) (*caseFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read case: %w", err)
	}
	f := &caseFile{}
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		switch {
		case block == nil && f.Case == nil:
			return nil, fmt.Errorf("%s holds no case (-----BEGIN %s-----)", path, pemCase)
		case block == nil:
			return f, nil
		case block.Type == pemCase && f.Case == nil:
			f.raw = block.Bytes
			if f.Case, err = service.ParseCase(block.Bytes); err != nil {
				return nil, fmt.Errorf("read %s: %w", path, err)
			}
		case block.Type == pemApproval:
			a, err := service.ParseApproval(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", path, err)
			}
			f.approvals, f.signed = append(f.approvals, a), append(f.signed, block.Bytes)
		default:
			return nil, fmt.Errorf("%s: a %s in a case's file", path, block.Type)
		}
	}
}

// write writes the case's file.
func (f *caseFile) write(path string) error {
	var b bytes.Buffer
	must(pem.Encode(&b, &pem.Block{Type: pemCase, Bytes: f.raw}))
	for _, a := range f.signed {
		must(pem.Encode(&b, &pem.Block{Type: pemApproval, Bytes: a}))
	}
	return service.WriteFile(path, b.Bytes())
}

// must is for writes to memory, which do not fail.
func must(err error) {
	if err != nil {
		panic("BUG: " + err.Error())
	}
}

// caseFlags is what the flags of case open say.
type caseFlags struct {
	c                   service.Case
	from, to            string
	life                time.Duration
	approvers           []string
	threshold           uint8
	export, out, coiArg string
}

func (t *tool) caseOpenCommand() *cobra.Command {
	var f caseFlags
	cmd := &cobra.Command{
		Use:   "open --coi URI --room URI --from TIME --to TIME --basis TEXT --approver FILE --export CERT --out FILE",
		Short: "Write a case, for approvers to sign",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.fill(time.Now()); err != nil {
				return err
			}
			file := &caseFile{Case: &f.c, raw: f.c.Marshal()}
			if err := file.write(f.out); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "opened case %s in %s: %d of %d approvers have to sign it before %s\n",
				f.c.Name(), f.out, f.c.Threshold, len(f.c.Approvers), when(f.c.Expires))
			return nil
		},
	}
	l := cmd.Flags()
	l.StringVar(&f.coiArg, "coi", "", "the CoI whose key opens, such as mimi://alpha.example/c/finance")
	l.StringArrayVar(&f.c.Rooms, "room", nil, "a room (repeat for several)")
	l.StringArrayVar(&f.c.People, "person", nil, "only messages of this person are read, mimi://alpha.example/u/bob (repeat for several; default everybody)")
	l.StringVar(&f.from, "from", "", "the first time, such as 2030-01-01T00:00:00Z")
	l.StringVar(&f.to, "to", "", "the end of the period")
	l.StringVar(&f.c.Basis, "basis", "", "the legal basis: a court's order, a ticket")
	l.DurationVar(&f.life, "expires", 7*24*time.Hour, "how long the case may be used")
	l.StringArrayVar(&f.approvers, "approver", nil, "a file with an approver's public key or certificate in PEM (repeat for several)")
	l.Uint8Var(&f.threshold, "threshold", 2, "how many of them have to sign")
	l.StringVar(&f.export, "export", "", "the certificate that the keys are sealed to, in PEM")
	l.StringVar(&f.out, "out", "case.pem", "the case's file")
	return cmd
}

// fill makes the case of the flags.
func (f *caseFlags) fill(now time.Time) (err error) {
	c := &f.c
	rand.Read(c.ID[:])
	c.Opened, c.Expires, c.Threshold = now.UTC().Truncate(time.Millisecond), now.Add(f.life).UTC().Truncate(time.Millisecond), f.threshold
	if c.CoI, err = parseCoI(f.coiArg, ""); err != nil {
		return err
	}
	for _, at := range []struct {
		flag, text string
		into       *time.Time
	}{{"--from", f.from, &c.From}, {"--to", f.to, &c.To}} {
		if *at.into, err = time.Parse(time.RFC3339, at.text); err != nil {
			return fmt.Errorf("%s %q: write a time such as 2030-01-31T18:00:00Z", at.flag, at.text)
		}
	}
	for _, path := range f.approvers {
		key, err := service.PublicKeyHash(path)
		if err != nil {
			return err
		}
		c.Approvers = append(c.Approvers, key)
	}
	if f.export == "" {
		return &mistake{"to whom are the keys sealed? give --export, a certificate in PEM"}
	}
	data, err := os.ReadFile(f.export)
	if err != nil {
		return fmt.Errorf("read export certificate: %w", err)
	}
	certs, err := coi.ParseCertificatesPEM(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.export, err)
	}
	c.Export = certs[0].Raw
	return c.Check(now)
}

func (t *tool) caseApproveCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "approve --key FILE CASE",
		Short: "Sign a case with your own key",
		Long: `approve shows what a case would open, and adds your signature to its file. Nothing
of the case can be changed afterwards without losing it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := readCase(args[0])
			if err != nil {
				return err
			}
			if err := f.Check(time.Now()); err != nil {
				return err
			}
			data, err := os.ReadFile(key)
			if err != nil {
				return fmt.Errorf("read your key: %w", err)
			}
			signer, err := coi.ParseKeyPEM(data)
			if err != nil {
				return fmt.Errorf("read %s: %w", key, err)
			}
			a, err := service.Approve(f.Case, signer, time.Now())
			if err != nil {
				return err
			}
			f.approvals, f.signed = append(f.approvals, a), append(f.signed, a.Marshal())
			if err := f.write(args[0]); err != nil {
				return err
			}
			return t.showCase(cmd, f)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "your private key in PEM (PKCS #8)")
	must(cmd.MarkFlagRequired("key"))
	return cmd
}

// A caseView is a case as it is printed.
type caseView struct {
	ID        string    `json:"id"`
	Basis     string    `json:"basis"`
	CoI       string    `json:"coi"`
	Rooms     []string  `json:"rooms"`
	People    []string  `json:"people"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Expires   time.Time `json:"expires"`
	Threshold uint8     `json:"threshold"`
	Approvers int       `json:"approvers"`
	Approved  []string  `json:"approved"` // key hashes
	Ready     bool      `json:"ready"`
}

func (t *tool) caseShowCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "show CASE",
		Short: "Show a case and who has approved it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := readCase(args[0])
			if err != nil {
				return err
			}
			return t.showCase(cmd, f)
		},
	})
}

func (t *tool) showCase(cmd *cobra.Command, f *caseFile) error {
	by, err := f.ApprovedBy(f.approvals)
	if err != nil {
		return err
	}
	v := caseView{
		ID: f.Name(), Basis: f.Basis, CoI: f.CoI, Rooms: f.Rooms, People: f.People, From: f.From, To: f.To, Expires: f.Expires,
		Threshold: f.Threshold, Approvers: len(f.Approvers), Approved: []string{}, Ready: len(by) >= int(f.Threshold),
	}
	for _, key := range by {
		v.Approved = append(v.Approved, hashText(key))
	}
	if t.json {
		return printJSON(cmd, v)
	}
	people := "everybody"
	if len(v.People) > 0 {
		people = strings.Join(v.People, ", ")
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "case %s: %s\n  opens     the keys of %s with %s\n  people    %s\n  from      %s\n  to        %s\n  until     %s\n",
		v.ID, v.Basis, strings.Join(v.Rooms, ", "), v.CoI, people, when(v.From), when(v.To), when(v.Expires))
	fmt.Fprintf(out, "  approved  %d of %d, %d are needed\n", len(v.Approved), v.Approvers, v.Threshold)
	for _, key := range v.Approved {
		fmt.Fprintf(out, "            key %s\n", key)
	}
	return nil
}

func (t *tool) caseListCommand() *cobra.Command {
	return t.jsonFlag(&cobra.Command{
		Use:   "ls",
		Short: "List the cases that the unwrap service's log knows",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			realm, err := service.OpenRealm(t.dir, service.RoleUnwrap)
			if err != nil {
				return err
			}
			type seen struct {
				ID       string    `json:"id"`
				Basis    string    `json:"basis"`
				Exported uint32    `json:"keys_exported"`
				Refused  uint32    `json:"refused"`
				Last     time.Time `json:"last"`
			}
			list, at := []*seen{}, map[string]*seen{}
			_, err = service.ReadAudit(realm.Audit(), nil, func(_ int64, e *service.AuditEntry) error {
				if e.Case == "" {
					return nil
				}
				s := at[e.Case]
				if s == nil {
					s = &seen{ID: e.Case, Basis: e.Reason}
					at[e.Case], list = s, append(list, s)
				}
				if s.Last = e.Time; e.Decision == service.Exported {
					s.Exported += e.Count
				} else {
					s.Refused++
				}
				return nil
			})
			if err != nil {
				return err
			}
			if t.json {
				return printJSON(cmd, list)
			}
			var rows []string
			for _, s := range list {
				rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%s\t%s", s.ID, s.Exported, s.Refused, when(s.Last), s.Basis))
			}
			return printTable(cmd.OutOrStdout(), "CASE\tKEYS\tREFUSED\tLAST\tBASIS", rows)
		},
	})
}
