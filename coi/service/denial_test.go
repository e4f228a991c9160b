package service

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/groups"
)

// raw posts a call and returns all that a caller can see of the answer, and how
// long it took.
func (v *vault) raw(call string, m proto.Message) (seen string, took time.Duration) {
	v.t.Helper()
	body, err := proto.Marshal(m)
	must(v.t, err)
	began := time.Now()
	resp, err := v.server.Client().Post(v.server.URL+"/parley.unwrap.v1.UnwrapService/"+call, "application/proto", bytes.NewReader(body))
	must(v.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(v.t, err)
	resp.Header.Del("Date")
	seen = fmt.Sprintf("%s\n", resp.Status)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		seen += fmt.Sprintf("%s: %s\n", name, resp.Header[name])
	}
	return seen + string(data), time.Since(began)
}

// TestA21_DenialsAreTheSameInAllThatIsSeen: status, headers and bytes of every
// denial are the same, none leaves before its time, and none has touched a key.
func TestA21_DenialsAreTheSameInAllThatIsSeen(t *testing.T) {
	v := newVault(t)
	touched := v.count()
	v.unwrap.config.Refusal = 20 * time.Millisecond
	alice, bob, carol := v.device("alice", "laptop"), v.device("bob", "laptop"), v.device("carol", "laptop")
	v.grant(Rule{Subject: "mimi://alpha.example/u/bob", Effect: Denies, By: "test"})
	v.status.revoked[string(carol.chain[0])] = true
	e := v.room(opsRoom, finance).next(alice, bob, carol)
	by := func(m *member, change func(x *question)) *unwrapv1.UnwrapRequest {
		x := v.question(m)
		x.item(e, groups.StandingMember, m)
		if change != nil {
			change(x)
		}
		return x.signed()
	}
	damaged := func(change func(m *unwrapv1.UnwrapRequest)) *unwrapv1.UnwrapRequest {
		m := by(alice, nil)
		change(m)
		return m
	}
	spent := by(bob, nil)
	denials := map[string]*unwrapv1.UnwrapRequest{
		"the rules":         by(bob, nil),
		"an unknown CoI":    by(alice, func(x *question) { x.q.CoI = "mimi://alpha.example/c/nothing" }),
		"a long CoI":        by(alice, func(x *question) { x.q.CoI = groups.CoIID("mimi://alpha.example/c/" + strings.Repeat("x", 60)) }),
		"revoked":           by(carol, nil),
		"the time":          by(alice, func(x *question) { x.q.Time -= uint64(time.Hour / time.Millisecond) }),
		"the future":        by(alice, func(x *question) { x.q.Time += uint64(time.Hour / time.Millisecond) }),
		"another service":   by(alice, func(x *question) { x.q.Service = "mimi://alpha.example/s/unwrap9" }),
		"another device":    by(alice, func(x *question) { x.q.Device = groups.DeviceID(bob.name.URI()) }),
		"played again":      spent,
		"the signature":     damaged(func(m *unwrapv1.UnwrapRequest) { m.Signature[0] ^= 1 }),
		"no signature":      damaged(func(m *unwrapv1.UnwrapRequest) { m.Signature = nil }),
		"no chain":          damaged(func(m *unwrapv1.UnwrapRequest) { m.Chain = nil }),
		"another's chain":   damaged(func(m *unwrapv1.UnwrapRequest) { m.Chain = bob.chain }),
		"a chain of trash":  damaged(func(m *unwrapv1.UnwrapRequest) { m.Chain = [][]byte{{1, 2, 3}} }),
		"nothing asked for": by(alice, func(x *question) { x.q.Items = nil }),
		"a thousand items": by(bob, func(x *question) {
			for range 999 {
				x.item(e, groups.StandingMember, bob)
			}
		}),
	}
	want, _ := v.raw("Unwrap", spent)
	if !strings.Contains(want, "permission_denied") {
		t.Fatalf("no denial: %s", want)
	}
	for what, m := range denials {
		seen, took := v.raw("Unwrap", m)
		if seen != want {
			t.Errorf("%s is told as\n%s\nwant\n%s", what, seen, want)
		}
		if took < v.unwrap.config.Refusal {
			t.Errorf("%s is told after %s", what, took)
		}
	}
	if touched.Load() != 0 {
		t.Errorf("denials have touched a key %d times", touched.Load())
	}
	// A case, too, as long as it is not approved.
	c := newCourt(v, 2)
	v.unwrap.config.Refusal = 20 * time.Millisecond
	k := c.open(opsRoom)
	unknown := *k
	unknown.CoI = "mimi://alpha.example/c/nothing"
	want = ""
	for what, m := range map[string]*unwrapv1.ExportRequest{
		"nobody": {Case: k.Marshal()}, "one of two": {Case: k.Marshal(), Approvals: c.approve(k, 0)},
		"an unknown CoI": {Case: unknown.Marshal()}, "trash": {Case: []byte("case")},
	} {
		seen, took := v.raw("Export", m)
		if want == "" {
			want = seen
		}
		if seen != want || took < v.unwrap.config.Refusal || !strings.Contains(seen, "permission_denied") {
			t.Errorf("%s is told after %s as\n%s\nwant\n%s", what, took, seen, want)
		}
	}
}

// TestA21_ADenialLeavesAtTheEndOfItsStep: whatever the checks took, its time is
// one of few.
func TestA21_ADenialLeavesAtTheEndOfItsStep(t *testing.T) {
	const step = 150 * time.Millisecond
	for took, want := range map[time.Duration]time.Duration{
		-time.Hour: step, 0: step, time.Microsecond: step, step - 1: step, step: 2 * step, step + 1: 2 * step, 10*step + 7: 11 * step,
	} {
		if got := denialAfter(took, step); got != want || got <= took {
			t.Errorf("after %s it leaves at %s, want %s", took, got, want)
		}
	}
}

// TestA21_DeniedItemsSayNoMoreThanThat: what is denied inside of an answer has
// one shape, and the answer does not show the log's words about it.
func TestA21_DeniedItemsSayNoMoreThanThat(t *testing.T) {
	v := newVault(t)
	alice, bob := v.device("alice", "laptop"), v.device("bob", "laptop")
	bot := v.newMember("archiver", "main", true)
	v.grant(Rule{CoI: finance, Subject: bot.name.URI(), Effect: Grants, Rooms: []string{"mimi://alpha.example/r/other"}, By: "test"})
	r := v.room(opsRoom, finance)
	e0, e1 := r.next(alice, bot), r.next(alice, bot)
	x := v.question(alice)
	x.item(e1, groups.StandingMember, alice)
	equal(t, "alice", x.parts(e1), true) // the room is known from here on
	ask := func(m *member, change func(x *question)) *unwrapv1.UnwrapResponse {
		x := v.question(m)
		change(x)
		resp, err := v.client.Unwrap(context.Background(), connect.NewRequest(x.signed()))
		must(t, err)
		return resp.Msg
	}
	size := 0
	for what, m := range map[string]*unwrapv1.UnwrapResponse{
		"no member":        ask(bob, func(x *question) { x.item(e1, groups.StandingMember, alice) }),
		"no reader":        ask(bob, func(x *question) { x.item(e1, groups.StandingReader, nil) }),
		"no newcomer":      ask(bob, func(x *question) { x.item(e0, groups.StandingNewcomer, nil) }),
		"not in this room": ask(bot, func(x *question) { x.item(e1, groups.StandingMember, bot) }),
		"an older epoch":   ask(alice, func(x *question) { x.item(e0, groups.StandingMember, alice) }),
		"a wrong key id": ask(alice, func(x *question) {
			e := *e1
			e.record.KeyID[0] ^= 1
			must(t, e.record.Sign(alice.sign))
			x.item(&e, groups.StandingMember, alice)
		}),
	} {
		if size == 0 {
			size = len(m.Sealed)
		}
		if len(m.Sealed) != size {
			t.Errorf("%s: %d bytes, another denial %d", what, len(m.Sealed), size)
		}
		for _, b := range m.Entries {
			e, err := ParseAuditEntry(b)
			must(t, err)
			if e.Decision == Refused || e.Why != "" {
				t.Errorf("%s: the answer shows %+v", what, e)
			}
		}
	}
}

// A witness is a key that says what the log holds when it is touched.
type witness struct {
	ecdh.KeyExchanger
	v    *vault
	held *atomic.Int64 // entries of grants at that time
}

func (k witness) ECDH(p *ecdh.PublicKey) ([]byte, error) {
	n := int64(0)
	for _, e := range k.v.entries() {
		if e.Decision == Granted {
			n++
		}
	}
	k.held.Store(n)
	return k.KeyExchanger.ECDH(p)
}

// TestA18_TheLogIsOnDiskWhenTheKeyIsTouched: not soon after.
func TestA18_TheLogIsOnDiskWhenTheKeyIsTouched(t *testing.T) {
	v := newVault(t)
	key, ok := v.keys[0].Private.(interface {
		ECDH() (*ecdh.PrivateKey, error)
	})
	if !ok {
		t.Fatalf("%T", v.keys[0].Private)
	}
	private, err := key.ECDH()
	must(t, err)
	held := new(atomic.Int64)
	v.keys[0].Private = witness{private, v, held}
	alice := v.device("alice", "laptop")
	r := v.room(opsRoom, finance)
	for i := range 3 {
		e := r.next(alice)
		x := v.question(alice)
		x.item(e, groups.StandingMember, alice)
		if i > 0 {
			x.anchor(r.epochs[i-1], true)
			x.q.Anchors[0].Next = r.epochs[i-1].vouch(1, e)
			x.anchor(e, true)
			x.q.Items[0].Anchor = e.vouch(1, e)
		}
		held.Store(-1)
		equal(t, "alice", x.parts(e), true)
		if held.Load() != int64(i+1) {
			t.Errorf("key %d was touched when the log held %d grants", i+1, held.Load())
		}
	}
}

// TestA11_TenThousandKeysAreTooMany: by the quotas that a service begins with, a
// device has five thousand at once; its person, and the CoI, have theirs.
func TestA11_TenThousandKeysAreTooMany(t *testing.T) {
	v := newVault(t)
	touched := v.count()
	alice, phone, bob := v.device("alice", "laptop"), v.device("alice", "phone"), v.device("bob", "laptop")
	e := v.room(opsRoom, finance).next(alice, phone, bob)
	ask := func(m *member, n int) bool {
		x := v.question(m)
		for range n {
			x.item(e, groups.StandingMember, m)
		}
		before := touched.Load()
		a, err := x.send()
		if err != nil {
			if connect.CodeOf(err) != connect.CodeResourceExhausted || touched.Load() != before {
				t.Errorf("%v, and the key was touched %d times", err, touched.Load()-before)
			}
			return false
		}
		return len(a.Parts) == n && touched.Load() == before+int64(n)
	}
	quotas := func(q Quotas) {
		v.quotas = q
		v.restart()
	}
	quotas(Quotas{})
	granted := 0
	for range 10 {
		if !ask(alice, 1000) {
			break
		}
		granted += 1000
	}
	if granted != 5000 || ask(alice, 1) {
		t.Errorf("%d of 10000 keys at once, or one more", granted)
	}
	many := Quota{1 << 20, 1}
	quotas(Quotas{Device: many, User: Quota{3, 1}, CoI: many})
	if !ask(alice, 2) || ask(phone, 2) || !ask(bob, 2) {
		t.Error("the devices of one person do not share a quota, or those of two do")
	}
	quotas(Quotas{Device: many, User: many, CoI: Quota{3, 1}})
	if !ask(alice, 2) || ask(bob, 2) {
		t.Error("the people of one CoI do not share its quota")
	}
	v.clock = v.clock.Add(2 * time.Second)
	if !ask(bob, 2) {
		t.Error("time gives nothing back")
	}
}

// TestS4S18_AResponderThatNeverAnswersLetsNobodyIn: it takes the call, and that is
// all it does.
func TestS4S18_AResponderThatNeverAnswersLetsNobodyIn(t *testing.T) {
	v := newVault(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() }) // connections wait in its queue, and nobody answers
	trust, err := v.trust()
	must(t, err)
	if client := PeerClient(trust, "alpha.example", nil); client.Timeout <= 0 || client.Timeout > 10*time.Second {
		t.Errorf("a responder may take %s", client.Timeout)
	}
	status := &StatusClient{
		URL:    map[string]string{"alpha.example": "http://" + listener.Addr().String()},
		Client: func(string) *http.Client { return &http.Client{Timeout: 50 * time.Millisecond} },
	}
	alice := v.device("alice", "laptop")
	cert, err := x509.ParseCertificate(alice.chain[0])
	must(t, err)
	if err := status.Check(context.Background(), cert, v.devices.Cert); err == nil {
		t.Error("good, says nobody")
	}
	touched := v.count()
	e := v.room(opsRoom, finance).next(alice)
	v.unwrap.config.Status = status
	x := v.question(alice)
	x.item(e, groups.StandingMember, alice)
	x.refused()
	if touched.Load() != 0 {
		t.Error("the key was touched")
	}
	log := v.entries()
	if last := log[len(log)-1]; last.Decision != Refused || last.Certificate != sha256.Sum256(alice.chain[0]) {
		t.Errorf("the log says %+v", last)
	}
}
