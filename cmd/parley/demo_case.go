package main

import (
	"context"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/groups"
	"parley/mls/suite"
)

// openCase opens a case about the first lines in the vault, with two approvers;
// with one of them it does not open.
func (d *demo) openCase(ctx context.Context) (string, error) {
	alice := d.inVault(d.laptop)
	if _, err := alice.run(ctx, "room", "export", alice.room, "--out", "vault.jsonl"); err != nil {
		return "", err
	}
	pki := func(words ...string) error { _, err := d.exec(ctx, d.pki, words...); return err }
	from, to := d.story.start.UTC().Format(time.RFC3339Nano), d.said.UTC().Format(time.RFC3339Nano)
	if err := pki("coi", "issue", "export", "--dir", d.finance.dir("coi"), "--key-type", "p256", "--key-out", "export.key", "--out", "export.crt"); err != nil {
		return "", err
	}
	err := pki("case", "open", "--coi", d.finance.uri(), "--room", "mimi://"+string(d.alpha.name)+"/r/"+vault, "--from", from, "--to", to,
		"--basis", "order 7", "--approver", "counsel.pub", "--approver", "board.pub",
		"--threshold", "2", "--export", "export.crt", "--out", "case.pem")
	if err != nil {
		return "", err
	}
	export := []string{"case", "export", "case.pem", "--log", "vault.jsonl", "--unwrap", "https://" + d.finance.unwrap, "--bundle", "bundles", "--out", "case.keys"}
	if err := d.bundles(ctx); err != nil {
		return "", err
	}
	if err := pki("case", "approve", "--key", "counsel.key", "case.pem"); err != nil {
		return "", err
	}
	if _, err := d.quietly(ctx, d.pki, export...); err == nil {
		return "", fmt.Errorf("the case opens with one approval")
	}
	if err := os.RemoveAll(filepath.Join(d.dir, "case.keys")); err != nil {
		return "", err
	}
	if err := pki("case", "approve", "--key", "board.key", "case.pem"); err != nil {
		return "", err
	}
	if err := pki(export...); err != nil {
		return "", err
	}
	return d.readCase(ctx)
}

// readCase reads what the case has opened: what was said in its period.
func (d *demo) readCase(ctx context.Context) (string, error) {
	out, err := d.exec(ctx, d.pki, "case", "read", "case.pem", "--log", "vault.jsonl", "--keys", "case.keys", "--key", "export.key", "--bundle", "bundles", "--json")
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(out))
	for _, line := range vaultLines {
		if !strings.Contains(text, line) {
			return "", fmt.Errorf("the case does not show %q:\n%s", line, text)
		}
	}
	if n := strings.Count(text, "\n") + 1; n != len(vaultLines) {
		return "", fmt.Errorf("the case shows %d messages, not %d:\n%s", n, len(vaultLines), text)
	}
	return faint("with one approval nothing was given out; what was said later stays closed"), nil
}

// allowCases names the approvers to finance's unwrap service.
func (d *demo) allowCases() error {
	file := filepath.Join(d.dir, d.finance.dir("unwrap"), "config.toml")
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var list []string
	for _, name := range approverNames {
		list = append(list, fmt.Sprintf("{ name = %q, key = %q }", name, filepath.Join(d.dir, name+".pub")))
	}
	rule := fmt.Sprintf("\n[cases]\nthreshold = %d\napprover = [%s]\n", len(list), strings.Join(list, ", "))
	return os.WriteFile(file, append(b, rule...), 0o600)
}

// bundles puts both sites' trust bundles into one folder.
func (d *demo) bundles(ctx context.Context) error {
	dir := filepath.Join(d.dir, "bundles")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, s := range []*demoSite{d.alpha, d.beta} {
		out, err := d.quietly(ctx, d.pki, "export-ca", "--dir", s.pki)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, string(s.name)+".pem"), out, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// breakGlass opens the newest envelope with openssl and the community's key
// alone.
func (d *demo) breakGlass(ctx context.Context) (string, error) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		return warn("openssl is not installed here: left out"), nil
	}
	alice := d.inVault(d.laptop)
	if _, err := alice.run(ctx, "keys", "envelope", alice.room, "--out", "vault.p7m"); err != nil {
		return "", err
	}
	keys, err := filepath.Glob(filepath.Join(d.dir, d.finance.dir("unwrap"), "keys", d.finance.name+".*.key"))
	if err != nil || len(keys) == 0 {
		return "", fmt.Errorf("the key of %s is not there: %w", d.finance.name, err)
	}
	key, err := filepath.Rel(d.dir, keys[len(keys)-1])
	if err != nil {
		return "", err
	}
	_, err = d.exec(ctx, openssl, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "vault.p7m",
		"-recip", strings.TrimSuffix(key, ".key")+".crt", "-inkey", key, "-out", "vault.der")
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(filepath.Join(d.dir, "vault.der"))
	if err != nil {
		return "", err
	}
	return d.checkOpened(ctx, content)
}

// checkOpened: what openssl found is the room key that the record commits to.
func (d *demo) checkOpened(ctx context.Context, content []byte) (string, error) {
	var opened struct {
		Secret     []byte
		Attributes asn1.RawValue
	}
	if _, err := asn1.Unmarshal(content, &opened); err != nil {
		return "", fmt.Errorf("what openssl opened: %w", err)
	}
	key, err := groups.ParseRoomKeyBytes(opened.Secret)
	if err != nil {
		return "", err
	}
	out, err := d.quietly(ctx, d.parley, d.inVault(d.laptop).words([]string{"keys", "export", vault})...)
	if err != nil {
		return "", err
	}
	var list []groups.ExportedRecord
	if err := json.Unmarshal(out, &list); err != nil {
		return "", err
	}
	record, err := groups.ParseKeyRecord(list[len(list)-1].Record)
	if err != nil {
		return "", err
	}
	s, err := suite.Lookup(suite.ID(key.Suite))
	if err != nil {
		return "", err
	}
	if id := groups.KeyID(s, key, record.ContextHash); id != record.KeyID {
		return "", fmt.Errorf("openssl opened key %v, the record names %v", id, record.KeyID)
	}
	if !slices.Contains([]int{16, 32, 48, 64}, len(key.EncryptionSecret)) {
		return "", fmt.Errorf("an encryption secret of %d bytes", len(key.EncryptionSecret))
	}
	return faint("it holds the very key that the record commits to: " + record.KeyID.String()[:16]), nil
}
