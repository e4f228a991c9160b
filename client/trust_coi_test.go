package client

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	enrollv1 "parley/api/enroll/v1"
	"parley/coi"
)

// TestTrustSaysWhereCoIsAre: what the identity realm answers about CoIs, its own
// site's and a peer's, is kept and used: roots to verify them under, and where
// their services are.
func TestTrustSaysWhereCoIsAre(t *testing.T) {
	now := time.Now()
	answer := &enrollv1.TrustResponse{}
	certs := map[string][]byte{}
	for _, site := range []string{"alpha.example", "beta.example"} {
		root, err := coi.NewCA(site, now)
		ca, err2 := coi.NewCoIAuthority(site, now)
		key, err3 := coi.NewCoIKey("p256")
		if err != nil || err2 != nil || err3 != nil {
			t.Fatal(err, err2, err3)
		}
		name := coi.Name{Purpose: coi.CoI, Site: site, Local: "finance"}
		cert, err := ca.IssueCoI(name, coi.CoIPlan{Request: &coi.CoIRequest{Key: key.Public()}}, now)
		if err != nil {
			t.Fatal(err)
		}
		certs[name.URI()] = cert.Raw
		answer.Sites = append(answer.Sites, &enrollv1.SiteTrust{
			Site: site, Roots: coi.Chain(root.Cert), CoiRoots: coi.Chain(ca.Cert),
			Cois: []*enrollv1.CoI{{Name: name.URI(), Lookup: "https://127.0.0.1:7445", Unwrap: []string{"https://127.0.0.1:7446"}, Ocsp: "https://127.0.0.1:7447", Officer: "mimi://" + site + "/u/carol"}},
		})
	}
	var id Identity
	id.setTrust(answer)
	stored, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var back Identity
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	trust, err := newTrust(back.Trust)
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range certs {
		if s, err := trust.VerifyCoI([][]byte{der}, now); err != nil || s.URI != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := coi.Community{Name: "mimi://beta.example/c/finance", Lookup: "https://127.0.0.1:7445", Unwrap: []string{"https://127.0.0.1:7446"}, OCSP: "https://127.0.0.1:7447", Officer: "mimi://beta.example/u/carol"}
	if got := trust.Sites()[1].CoIs; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("beta's CoIs: %+v", got)
	}
	back.Trust[0].CoIRoots = back.Trust[0].Roots
	if _, err := newTrust(back.Trust); coi.ReasonOf(err) != coi.WrongPurpose {
		t.Errorf("a root of devices as CoI root: %v", err)
	}
}
