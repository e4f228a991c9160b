package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/rogpeppe/go-internal/testscript"

	lookupv1 "parley/api/lookup/v1"
	"parley/api/lookup/v1/lookupv1connect"
	"parley/coi"
	"parley/coi/service"
)

// word N FROM TO: takes the Nth word of a variable.
func word(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: word N FROM TO")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	words := strings.Fields(ts.Getenv(args[1]))
	if n > len(words) {
		ts.Fatalf("%s has %d words", args[1], len(words))
	}
	ts.Setenv(args[2], words[n-1])
}

// lookup URL BUNDLE COI WANT: asks a lookup service, as a device does, until it
// shows what is wanted: "active good, retired revoked". Every certificate and
// every stapled status is checked.
func lookup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: lookup URL BUNDLE COI WANT")
	}
	bundle, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	site, err := service.BundleSite(bundle)
	ts.Check(err)
	trust, err := coi.NewTrust(site)
	ts.Check(err)
	client := service.PeerClient(trust, site.Name, nil)
	defer client.CloseIdleConnections()
	asked := lookupv1connect.NewLookupServiceClient(client, args[0])
	got := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := asked.Lookup(context.Background(), connect.NewRequest(&lookupv1.LookupRequest{Names: []string{args[2]}}))
		ts.Check(err)
		var shown []string
		for _, c := range resp.Msg.Cois[0].Certificates {
			shown = append(shown, judge(ts, trust, c))
		}
		if got = strings.Join(shown, ", "); got == args[3] {
			return
		}
	}
	ts.Fatalf("lookup shows %q, want %q", got, args[3])
}

// judge says in two words how a certificate stands.
func judge(ts *testscript.TestScript, trust *coi.Trust, c *lookupv1.Certificate) string {
	now := time.Now()
	s, err := trust.VerifyCoI(c.Chain, now)
	ts.Check(err)
	use := "retired"
	if c.Active {
		use = "active"
	}
	if len(c.Status) == 0 {
		return use + " without-status"
	}
	status, err := coi.CheckStatus(c.Status, s.Leaf, s.Issuer, coi.StatusOptions{Now: now})
	ts.Check(err)
	return use + " " + status.State.String()
}
