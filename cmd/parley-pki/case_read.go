package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// readFlags is what the flags of case read say.
type readFlags struct {
	log, keys, key, bundle string
}

// A caseMessage is a message that a case has opened.
type caseMessage struct {
	Room   groups.RoomID   `json:"room"`
	Seq    groups.Seq      `json:"seq"`
	Epoch  groups.Epoch    `json:"epoch"`
	Time   time.Time       `json:"time"`
	Device groups.DeviceID `json:"device"`
	Kind   string          `json:"kind"`
	Text   string          `json:"text"`
	File   string          `json:"file,omitempty"`
}

func (t *tool) caseReadCommand() *cobra.Command {
	var f readFlags
	cmd := t.jsonFlag(&cobra.Command{
		Use:   "read --log FILE --keys FILE --key FILE --bundle FILE CASE",
		Short: "Read the messages of a case, with the export key",
		Long: `read opens the messages of a room in the case's period, and of the people the case
names, offline. Each message's signature is verified under its sender's leaf. With
--json each is an object on a line.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readCase(args[0])
			if err != nil {
				return err
			}
			return t.caseRead(cmd, c, &f)
		},
	})
	l := cmd.Flags()
	l.StringVar(&f.log, "log", "", "the room's exported log")
	l.StringVar(&f.keys, "keys", "keys.jsonl", "what case export wrote")
	l.StringVar(&f.key, "key", "", "the private key of the case's export certificate, in PEM")
	l.StringVar(&f.bundle, "bundle", "", "the trust bundles of the sites, one file or a folder of SITE.pem")
	return cmd
}

func (t *tool) caseRead(cmd *cobra.Command, c *caseFile, f *readFlags) error {
	name, err := coi.ParseName(c.CoI)
	if err != nil {
		return err
	}
	trust, err := readTrust(f.bundle, name.Site)
	if err != nil {
		return err
	}
	l, err := readRoomLog(f.log, trust)
	if err != nil {
		return err
	}
	parts, err := openExport(c, l, f)
	if err != nil {
		return err
	}
	shown := 0
	for _, past := range l.epochs {
		if parts[past.Record.Epoch] == nil {
			continue
		}
		list, err := readEpoch(c, l, past, parts[past.Record.Epoch])
		if err != nil {
			return err
		}
		shown += len(list)
		for _, m := range list {
			if err := t.showMessage(cmd, &m); err != nil {
				return err
			}
		}
	}
	if shown == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "no message of the case is in what was exported")
	}
	return nil
}

func (t *tool) showMessage(cmd *cobra.Command, m *caseMessage) error {
	if t.json {
		return printJSON(cmd, m)
	}
	text := m.Text
	if m.File != "" {
		text += " [file " + m.File + "]"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s: %q\n", m.Time.Format(time.RFC3339), m.Device, m.Kind, text)
	return err
}

// openExport opens the sealed keys of the log's room with the export key: for
// each epoch the key, or the shares of it.
func openExport(c *caseFile, l *roomLog, f *readFlags) (map[groups.Epoch][][]byte, error) {
	data, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fmt.Errorf("read export key: %w", err)
	}
	private, _, err := coi.ParseCoIKeyPEM(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.key, err)
	}
	id, err := coi.CoIKeyIdentifier(private.Public())
	if err != nil {
		return nil, err
	}
	in, err := os.Open(f.keys)
	if err != nil {
		return nil, fmt.Errorf("read export: %w", err)
	}
	defer in.Close()
	out := map[groups.Epoch][][]byte{}
	for dec := json.NewDecoder(in); ; {
		var k exportedKey
		if err := dec.Decode(&k); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.keys, err)
		}
		past := l.past(k.Epoch)
		if k.Room != l.room || past == nil || k.Case != c.Name() {
			continue
		}
		r := past.Record
		binding := wrap.Binding{Room: string(r.Room), Epoch: uint64(r.Epoch), KeyID: r.KeyID, Recipients: r.BindingHash()}
		part, err := wrap.Open(k.Sealed, wrap.Key{Certificate: identified(id), Private: private}, binding)
		if err != nil {
			return nil, fmt.Errorf("key of epoch %d of %s: %w", k.Epoch, k.Room, err)
		}
		if !slices.ContainsFunc(out[k.Epoch], func(old []byte) bool { return string(old) == string(part) }) {
			out[k.Epoch] = append(out[k.Epoch], part)
		}
	}
}

// readEpoch opens the messages of one epoch that the case covers.
func readEpoch(c *caseFile, l *roomLog, past *groups.Past, parts [][]byte) ([]caseMessage, error) {
	whole := parts[0]
	if len(parts) > 1 {
		var err error
		if whole, err = wrap.Combine(parts...); err != nil {
			return nil, err
		}
	}
	key, err := groups.ParseRoomKeyBytes(whole)
	if err != nil {
		return nil, fmt.Errorf("epoch %d of %s: %w (in a room that needs all of its CoIs, export from each)", past.Record.Epoch, l.room, err)
	}
	defer key.Erase()
	room := &mls.RoomKey{CipherSuite: key.Suite, SenderDataSecret: key.SenderDataSecret, EncryptionSecret: key.EncryptionSecret}
	if id, err := room.ID(&past.Context); err != nil || groups.Hash(id) != past.Record.KeyID {
		return nil, fmt.Errorf("epoch %d of %s: the exported key is not the one its record commits to", past.Record.Epoch, l.room)
	}
	h, err := mls.NewHistory(room, &past.Context)
	if err != nil {
		return nil, err
	}
	defer h.Erase()
	var out []caseMessage
	for _, e := range l.messages[past.Record.Epoch] {
		m, err := readMessage(h, past, &e)
		if err != nil {
			return nil, fmt.Errorf("entry %d of %s: %w", e.Seq, l.room, err)
		}
		if m.Time.Before(c.From) || !m.Time.Before(c.To) || len(c.People) > 0 && !slices.Contains(c.People, string(m.Device.User())) {
			continue
		}
		out = append(out, *m)
	}
	return out, nil
}

// readMessage opens one message and verifies whose it is.
func readMessage(h *mls.History, past *groups.Past, e *groups.Entry) (*caseMessage, error) {
	leaf, err := h.Sender(e.Body)
	if err != nil {
		return nil, err
	}
	proof, err := past.Tree.Proof(leaf)
	if err != nil {
		return nil, err
	}
	if err := h.Prove(proof); err != nil {
		return nil, err
	}
	opened, err := h.Open(e.Body)
	if err != nil {
		return nil, err
	}
	node := proof.LeafNode()
	if node.Credential.CredentialType != wire.CredentialTypeX509 || len(node.Credential.Certificates) == 0 {
		return nil, errors.New("its sender has no certificate")
	}
	name, err := coi.CertificateName(node.Credential.Certificates[0].CertData)
	if err != nil {
		return nil, err
	}
	content, err := client.ParseContent(opened.Plaintext)
	if err != nil {
		return nil, err
	}
	m := &caseMessage{
		Room: e.Room, Seq: e.Seq, Epoch: e.Epoch, Time: time.UnixMilli(int64(e.AcceptedAt)).UTC(),
		Device: groups.DeviceID(name.URI()), Kind: content.Kind.String(), Text: content.Text,
	}
	if content.File != nil {
		m.File = content.File.Name
	}
	return m, nil
}

// identified is a certificate as package wrap finds a key by it.
func identified(id []byte) *x509.Certificate { return &x509.Certificate{SubjectKeyId: id} }
