package service

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/coi"
	"parley/groups"
)

const (
	archiver = "mimi://alpha.example/d/archiver/main"
	indexer  = "mimi://alpha.example/d/indexer/main"
	alice    = "mimi://alpha.example/d/alice/laptop"
)

// cutOff asks which of some devices are cut off, and believes only a statement
// that holds.
func (v *vault) cutOff(about string, devices ...string) (list []string, err error) {
	v.t.Helper()
	nonce := []byte("sixteen octets..")
	resp, err := v.client.Cuts(context.Background(), connect.NewRequest(&unwrapv1.CutsRequest{Coi: about, Devices: devices, Nonce: nonce}))
	if err != nil {
		return nil, err
	}
	trust, err := v.trust()
	must(v.t, err)
	c, err := trust.VerifyCuts(resp.Msg.Signed, coi.CutOptions{Now: v.clock, MaxAge: time.Second, CoI: about, Nonce: nonce})
	must(v.t, err)
	for _, cut := range c.List {
		list = append(list, cut.Device)
	}
	return list, nil
}

func (v *vault) wantCut(devices ...string) {
	v.t.Helper()
	got, err := v.cutOff(finance, alice, indexer, archiver)
	must(v.t, err)
	if !slices.Equal(got, devices) {
		v.t.Errorf("cut off are %q, want %q", got, devices)
	}
}

// TestCutsAreStatedAndLifted: "cut by one command at the unwrap service": its
// signed answer says so from the next question on, also after a restart, until the
// cut is lifted; and the log has both.
func TestCutsAreStatedAndLifted(t *testing.T) {
	v := newVault(t)
	v.wantCut()
	v.grant(Rule{CoI: finance, Subject: archiver, Effect: Grants, Rooms: []string{string(opsRoom)}, By: "carol"})
	v.wantCut()
	v.grant(Rule{Subject: archiver, Effect: Denies, By: "carol"})
	v.wantCut(archiver)
	v.grant(Rule{CoI: finance, Subject: indexer, Effect: Denies, By: "carol"})
	v.restart()
	v.wantCut(archiver, indexer)
	if list, err := v.cutOff(finance, alice); err != nil || len(list) > 0 {
		t.Errorf("who was not asked about is named: %q, %v", list, err)
	}
	_, err := v.rules.Lift(Lift{Device: archiver, By: "dora"})
	must(t, err)
	v.wantCut(indexer)
	if _, err := v.rules.Lift(Lift{Device: archiver, By: "dora"}); err == nil {
		t.Error("a cut is lifted twice")
	}
	bot := v.newMember("archiver", "main", true)
	r := v.room(opsRoom, finance)
	x := v.question(bot)
	x.item(r.next(bot), groups.StandingMember, bot)
	x.refused() // lifted is not entitled
	log := v.changes()
	for _, want := range []string{"deny " + archiver + " every CoI, by carol", archiver + ", cut off at ", "is so no longer, by dora"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	v.restart()
	v.wantCut(indexer)
	v.grant(Rule{CoI: finance, Subject: alice, Effect: Grants, By: "carol"})
	v.wantCut(indexer)
	if n := strings.Count(v.changes(), "no longer"); n != 1 {
		t.Errorf("the lift is %d times in the log", n)
	}
}

// changes is what the log says of changes of the rules, a line for each.
func (v *vault) changes() string {
	var said []string
	for _, e := range v.entries() {
		if e.Decision == Changed {
			said = append(said, e.Why)
		}
	}
	return strings.Join(said, "\n")
}

// TestOnlyWholeCutsTakeOut: what is denied for a time, in some rooms, to another
// CoI, or to a person or a site with all devices, ends keys and takes no device
// out of a room.
func TestOnlyWholeCutsTakeOut(t *testing.T) {
	v := newVault(t)
	for _, r := range []Rule{
		{Subject: archiver, Effect: Denies, Until: v.clock.Add(time.Hour)},
		{Subject: archiver, Effect: Denies, Rooms: []string{string(opsRoom)}},
		{CoI: "mimi://alpha.example/c/legal", Subject: indexer, Effect: Denies},
		{Subject: "mimi://alpha.example/u/archiver", Effect: Denies},
		{Subject: "mimi://alpha.example", Effect: Denies},
	} {
		v.grant(r)
	}
	v.wantCut()
}

// TestQuestionsAboutCutsAreBounded: what is asked wrongly, too much at once, or of
// a CoI of others is refused in words; a service without a certificate, or with
// rules that can not be read, says nothing at all.
func TestQuestionsAboutCutsAreBounded(t *testing.T) {
	v := newVault(t)
	nonce := make([]byte, coi.CutNonce)
	for _, c := range []struct {
		q    *unwrapv1.CutsRequest
		want connect.Code
	}{
		{&unwrapv1.CutsRequest{Coi: finance, Nonce: nonce}, connect.CodeInvalidArgument},
		{&unwrapv1.CutsRequest{Coi: finance, Devices: []string{archiver}}, connect.CodeInvalidArgument},
		{&unwrapv1.CutsRequest{Coi: finance, Devices: []string{finance}, Nonce: nonce}, connect.CodeInvalidArgument},
		{&unwrapv1.CutsRequest{Coi: finance, Devices: slices.Repeat([]string{archiver}, coi.MaxCuts+1), Nonce: nonce}, connect.CodeInvalidArgument},
		{&unwrapv1.CutsRequest{Coi: "mimi://beta.example/c/legal", Devices: []string{archiver}, Nonce: nonce}, connect.CodeNotFound},
	} {
		if _, err := v.client.Cuts(context.Background(), connect.NewRequest(c.q)); connect.CodeOf(err) != c.want {
			t.Errorf("%v: %v, want %v", c.q, err, c.want)
		}
	}
	good := v.own
	v.own = tls.Certificate{}
	if _, err := v.cutOff(finance, archiver); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("without a certificate: %v", err)
	}
	v.own = good
	must(t, WriteFile(v.rules.path, []byte("{")))
	if _, err := v.cutOff(finance, archiver); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("with broken rules: %v", err)
	}
}
