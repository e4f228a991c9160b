package groups

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	good := map[string]func(string) error{
		"mimi://alpha.example/u/alice":        func(s string) error { _, err := ParseUserID(s); return err },
		"mimi://alpha.example/d/alice/laptop": func(s string) error { _, err := ParseDeviceID(s); return err },
		"mimi://alpha.example/r/ops.team-1":   func(s string) error { _, err := ParseRoomID(s); return err },
		"mimi://alpha.example/n/a1":           func(s string) error { _, err := ParseNodeID(s); return err },
	}
	bad := []string{
		"", "alice", "mimi://", "mimi://alpha.example", "mimi://alpha.example/x/alice",
		"MIMI://alpha.example/u/alice", "mimi://Alpha.example/u/alice", "mimi://alpha/u/alice",
		"mimi://alpha.example/u/Alice", "mimi://alpha.example/u/al ice", "mimi://alpha.example/u/../etc",
		"mimi://alpha.example/u/.hidden", "mimi://alpha.example/u/alice/", "mimi://alpha.example//alice",
		"mimi://alpha.example/u/" + strings.Repeat("a", 65), "mimi://alpha.example/u/alice\x00",
		"mimi://alpha..example/u/alice", "mimi://alpha.example:99/u/alice", "mimi://älpha.example/u/alice",
	}
	for s, parse := range good {
		if err := parse(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		for _, b := range bad {
			if err := parse(b); KindOf(err) != Invalid {
				t.Errorf("%q passes as a name like %s: %v", b, s, err)
			}
		}
	}
	d := DeviceID("mimi://alpha.example/d/alice/laptop")
	if d.Site() != "alpha.example" || d.User() != "mimi://alpha.example/u/alice" || d.Name() != "laptop" || d.User().Name() != "alice" {
		t.Errorf("parts of %s: %s %s %s", d, d.Site(), d.User(), d.Name())
	}
}

func someEntry() *Entry {
	e := &Entry{Body: []byte("body")}
	e.EntryHeader = EntryHeader{
		Room: "mimi://alpha.example/r/ops", Seq: 7, Term: 2, Epoch: 3, Kind: KindMessage,
		AcceptedAt: 123, BodyHash: HashOf(e.Body), Prev: HashOf([]byte("prev")),
	}
	return e
}

func TestEntryRoundTrip(t *testing.T) {
	e := someEntry()
	got, err := ParseEntry(e.Marshal())
	if err != nil || got.Hash() != e.Hash() || !bytes.Equal(got.Body, e.Body) {
		t.Fatalf("%+v %v", got, err)
	}
	for n := range e.Marshal() {
		if _, err := ParseEntry(e.Marshal()[:n]); KindOf(err) != Invalid {
			t.Fatalf("truncated to %d: %v", n, err)
		}
	}
	if _, err := ParseEntry(append(e.Marshal(), 0)); KindOf(err) != Invalid {
		t.Fatalf("trailing byte: %v", err)
	}
}

func TestPolicyRoundTrip(t *testing.T) {
	p := Policy{
		Admins: []UserID{"mimi://alpha.example/u/alice"}, MembersMayAdd: true, BasicCredentials: true,
		MaxKeyAge: 30 * 24 * time.Hour, MaxKeyMessages: 9, DefaultKeyAge: 7 * 24 * time.Hour, AutoRenew: time.Hour, GraceEpochs: 2,
		CoIs: []CoI{{
			Name: "mimi://alpha.example/c/finance", Root: Hash{1}, Lookup: "https://lookup.alpha.example",
			Unwrap: []string{"https://one.alpha.example", "https://two.alpha.example"},
			Status: "http://status.alpha.example", Officer: "mimi://alpha.example/u/olga",
		}},
		Mode: CoIAll, StrictStatus: true, PostQuantum: true, History: HistoryAll,
		Readers: []CoIID{"mimi://alpha.example/c/finance"},
		Cases:   CaseRule{Threshold: 1, Approvers: []Approver{{Name: "olga", Key: Hash{2}}}},
	}
	for i, v := 0, reflect.ValueOf(p); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tested", v.Type().Field(i).Name)
		}
	}
	got, err := ParsePolicy(p.Extension().ExtensionData)
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Fatalf("%+v %v", got, err)
	}
	p.GraceEpochs = PastEpochs + 1
	if _, err := ParsePolicy(p.Extension().ExtensionData); KindOf(err) != Invalid {
		t.Fatalf("grace over the limit: %v", err)
	}
}

func TestErrorsAreFoundByKind(t *testing.T) {
	err := error(Errorf(StaleEpoch, "room is at epoch %d", 4))
	if !errors.Is(err, &Error{Kind: StaleEpoch}) || errors.Is(err, &Error{Kind: Denied}) {
		t.Fatal("errors.Is does not go by kind")
	}
	for k := Internal; k <= CoIUnavailable; k++ {
		if ParseKind(k.String()) != k {
			t.Fatalf("%v does not parse back", k)
		}
	}
	cause := errors.New("cause")
	if !errors.Is(Errorf(Invalid, "x: %w", cause), cause) {
		t.Fatal("cause is lost")
	}
}

// FuzzDecode gives every decoder of the package foreign bytes: no panic, and
// what is accepted encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	stamp := AuthenticatedData{Device: "mimi://alpha.example/d/alice/laptop", Seq: 3, Blobs: []Hash{{1}}}
	genesis := Genesis{GroupInfo: []byte("info"), Stamp: stamp, KeyRecord: []byte("record")}
	bundle := CommitBundle{Commit: []byte("commit"), Welcome: &Hash{2}, KeyRecord: []byte("record")}
	policy := DefaultPolicy("mimi://alpha.example/u/alice")
	head := SignedHead{Head: someHeads(1)[0], Path: []Hash{{3}}, Signature: []byte("sig")}
	for _, b := range [][]byte{
		someEntry().Marshal(), stamp.Marshal(), genesis.Marshal(), bundle.Marshal(),
		(&CommitBundle{Commit: []byte("commit"), Warrants: []Warrant{against(laptop)}}).Marshal(),
		policy.Extension().ExtensionData, head.Marshal(), nil, {1, 0xff}, bytes.Repeat([]byte{0xbf}, 64),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, again []byte, err error) {
			if err == nil && !bytes.Equal(again, b) {
				t.Fatalf("%s: %x became %x", what, b, again)
			}
			if err != nil && KindOf(err) != Invalid {
				t.Fatalf("%s: %v is not Invalid", what, err)
			}
		}
		if e, err := ParseEntry(b); err == nil {
			same("entry", e.Marshal(), nil)
		}
		if s, err := ParseSignedHead(b); err == nil {
			same("head", s.Marshal(), nil)
		}
		a, err := ParseAuthenticatedData(b)
		same("stamp", a.Marshal(), err)
		if c, err := ParseCommitBundle(b); err == nil {
			same("bundle", c.Marshal(), nil)
		}
		if g, err := ParseGenesis(b); err == nil {
			same("genesis", g.Marshal(), nil)
		}
		p, err := ParsePolicy(b)
		same("policy", p.Extension().ExtensionData, err)
	})
}

// FuzzHashText reads any bytes as a hash in hexadecimal: what is accepted is
// written as it was read, but for its case, and what is refused changes nothing.
func FuzzHashText(f *testing.F) {
	text, err := HashOf(nil).MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.ToUpper(text))
	f.Add(text[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		was := HashOf([]byte("was"))
		h := was
		if h.UnmarshalText(b) != nil {
			if h != was {
				t.Fatalf("a refused text has changed the hash")
			}
			return
		}
		again, err := h.MarshalText()
		if err != nil || !bytes.Equal(again, bytes.ToLower(b)) {
			t.Fatalf("%q is written as %q, %v", b, again, err)
		}
	})
}
