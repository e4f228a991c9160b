package client

import (
	"crypto/x509"
	"testing"
	"time"

	"parley/groups"
)

// TestALookDoesNotTakeAStatusFromACommit: a commit that had just fetched a status
// for itself found it gone when somebody looked at the community meanwhile, and
// gave up after some rounds of that.
func TestALookDoesNotTakeAStatusFromACommit(t *testing.T) {
	now := time.Now()
	finance := &groups.CoI{Name: "mimi://alpha.example/c/finance", Root: groups.Hash{1}}
	seen := func(certificate string) *standing {
		return &standing{
			root: finance.Root, leaf: &x509.Certificate{Raw: []byte(certificate)},
			strict: true, checked: now, until: now.Add(time.Hour),
		}
	}
	k := &desk{now: func() time.Time { return now }, standing: make(map[groups.CoIID]*standing)}
	k.put(finance.Name, seen("one"))
	k.saw(finance, seen("one"))
	if k.known(finance, true) == nil {
		t.Error("the status that was fetched for a commit is gone")
	}
	k.saw(finance, seen("two"))
	if s := k.known(finance, false); s == nil || string(s.leaf.Raw) != "two" || k.known(finance, true) != nil {
		t.Error("another certificate is not seen, or wrapped to by a look's status")
	}
}
