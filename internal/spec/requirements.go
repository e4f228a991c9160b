package main

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// requirementsFile is the second page this program writes: what the layered
// keys promise, and which test breaks when a promise is broken.
const requirementsFile = "docs/requirements.md"

// A requirement is one promise to those who buy, run and audit the system.
type requirement struct{ id, text string }

// proofs maps a requirement's id to the tests that are named for it.
type proofs map[string][]string

var (
	// testNamed is a Go test of requirements: TestE16_RemovedRecordIsFound,
	// or TestE19A3_... for two of them.
	testNamed = regexp.MustCompile(`(?m)^func Test((?:[AEJSW][0-9]+)+)_(\w+)\(`)
	// scriptNamed is a script of the real programs: e17_one_admin.txtar.
	scriptNamed = regexp.MustCompile(`^((?:[aejsw][0-9]+)+)_\w+\.txtar$`)
	requireID   = regexp.MustCompile(`[AEJSWaejsw][0-9]+`)
)

// prove lists the tests that are named for requirements.
func prove(tree fs.FS) (proofs, error) {
	found := proofs{}
	note := func(ids, where string) {
		for _, id := range requireID.FindAllString(ids, -1) {
			id = strings.ToUpper(id)
			found[id] = append(found[id], where)
		}
	}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(passedOver, name):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		if m := scriptNamed.FindStringSubmatch(path.Base(name)); m != nil {
			note(m[1], "`"+name+"`")
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		body, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for _, m := range testNamed.FindAllStringSubmatch(string(body), -1) {
			note(m[1], fmt.Sprintf("`%s` Test%s_%s", path.Dir(name), m[1], m[2]))
		}
		return nil
	})
	return found, err
}

// requirementLists are the parts of the page.
var requirementLists = []struct {
	title, what string
	rows        []requirement
}{
	{"Encryption by Community of Interest", "what holds", encryptionRequirements},
	{"Who controls the keys", "what holds", controlRequirements},
	{"What is read in an envelope", "what holds", envelopeRequirements},
	{"Whether a certificate is revoked", "what holds", statusRequirements},
	{"Attacks", "what is tried, and fails", attackRequirements},
}

// requirementsPage renders docs/requirements.md. It fails on a test that is
// named for a requirement that does not exist.
func requirementsPage(tree fs.FS) (string, error) {
	found, err := prove(tree)
	if err != nil {
		return "", fmt.Errorf("read tests: %w", err)
	}
	var b strings.Builder
	b.WriteString(requirementsHead)
	for _, list := range requirementLists {
		fmt.Fprintf(&b, "\n## %s\n\n| id | %s | tests |\n|---|---|---|\n", list.title, list.what)
		for _, r := range list.rows {
			tests := found[r.id]
			slices.Sort(tests)
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.id, r.text, orNone(tests))
			delete(found, r.id)
		}
	}
	for id, tests := range found {
		return "", fmt.Errorf("%s is named for %s, which is no requirement", tests[0], id)
	}
	return b.String(), nil
}

func orNone(tests []string) string {
	if len(tests) == 0 {
		return "**none**"
	}
	return strings.Join(tests, "<br>")
}

const requirementsHead = `# What is required of layered keys, and what proves it

Written by ` + "`make gen`" + ` from the names of the tests; do not edit. A test named for an id breaks when that line stops being true. A line without a test is
not claimed.
`

var encryptionRequirements = []requirement{
	{"E1", "Every hop refuses plaintext and TLS below 1.3"},
	{"E2", "Disk of a gateway, with its journals and indexes, holds no text of a message"},
	{"E3", "Who has every secret of a gateway opens no message"},
	{"E4", "A stolen key opens one epoch of one room, nothing else"},
	{"E5", "A device that is let into a room is seen by all members before it can read; reading the past takes a CoI as well"},
	{"E6", "Memory of a gateway holds neither text nor a key that opens it; the program has no code that decrypts"},
	{"E7", "Keys are made on a member's device, from the system's random source"},
	{"E8", "A wrapped key moved to another room, epoch or CoI is refused by devices and by the unwrap service"},
	{"E9", "Any member makes a new key at any time; all devices use it from their next message on"},
	{"E10", "Under a key that has ended the device refuses to send, and the hub refuses what is sent anyway"},
	{"E11", "Any member restores such a room by making a key, also while the last one's maker is away"},
	{"E12", "The room's policy sets the greatest age of a key, and no record exceeds it"},
	{"E13", "Before a key is made its maker sees the whole encryption configuration, and what changed since it was accepted"},
	{"E14", "A configuration can be reported to the security officer by an entry that a gateway can not drop unseen"},
	{"E15", "The key in use is shown at any time: id, maker, age, end, CoIs, serials"},
	{"E16", "The record of all keys verifies offline; a record that is missing, moved or back-dated is found"},
	{"E17", "No administrator's credentials open another realm's service; a service that holds two roles does not start"},
	{"E18", "A key is wrapped on the device before any server sees it"},
	{"E19", "The lookup service gives public certificates only and holds no private key of a CoI"},
	{"E20", "Only the unwrap service uses a CoI's private key; the caller proves its certificate and its place in the room"},
	{"E21", "The layer can not be switched on before lookup, unwrap and, where asked for, status answer and agree"},
	{"E22", "A CoI's certificate replaced in both services is used from then on; what was wrapped before still opens"},
	{"E23", "Replaced in one service only, nothing is wrapped and nothing is lost"},
	{"E24", "A certificate's status is checked before each wrap, or is younger than it may be cached"},
	{"E25", "A revoked certificate is fetched again at once, and a good replacement is used without a person"},
	{"E26", "Without a good replacement, sending is denied as coi_revoked, and goes on by itself when there is one"},
	{"E27", "Status that is unknown, unreachable, forged, replayed, stale or another issuer's is never good"},
	{"E28", "With one unwrap service of several down, every key still opens"},
}

var controlRequirements = []requirement{
	{"J1", "Each bot is listed, with the rooms it is in and the CoIs it may use"},
	{"J2", "A bot that is cut off at the unwrap service opens nothing more, whatever a hostile gateway gives it"},
	{"J3", "What travels is documented; a program that shares no code opens an envelope"},
	{"J4", "The provider of messaging can not obtain a key of a CoI or of a room"},
	{"J5", "Certificates live in services apart from the gateway: their own programs, certificates, configurations"},
	{"J6", "A device and a key service authenticate each other without the gateway"},
	{"J7", "The enterprise decides which devices and bots get keys"},
	{"J8", "Forensic access is the enterprise's, by m of n approvers, for one scope, logged; the provider has none"},
	{"J9", "Different sets of people have access: for operation, for law, for security"},
}
