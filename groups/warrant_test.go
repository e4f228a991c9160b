package groups

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/mls"
	"parley/mls/wire"
)

// Ousts makes names a Bailiff that takes one proof against a device: its name, and
// the minute in which it was given.
func (names) Ousts(w *Warrant, leaf *wire.Credential, _ []CoI, now time.Time) error {
	if w.Kind != WarrantRevoked || string(w.Proof) != string(leaf.Identity)+now.UTC().Format(" 15:04") {
		return Errorf(Denied, "it does not hold")
	}
	return nil
}

// nobody is a Directory that judges no warrants.
type nobody struct{ names Directory }

func (n nobody) Device(cred wire.Credential, key []byte, now time.Time) (DeviceID, error) {
	return n.names.Device(cred, key, now)
}

func against(d DeviceID) Warrant {
	return Warrant{Kind: WarrantRevoked, Device: d, Proof: fmt.Appendf(nil, "%s 09:00", d)}
}

// with adds warrants to the submission of a commit.
func with(t *testing.T, s Submission, list ...Warrant) Submission {
	t.Helper()
	b, err := ParseCommitBundle(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	b.Warrants = list
	s.Body = b.Marshal()
	return s
}

// "removed from its rooms by the next commit of any online device": who may not
// remove a device may if a warrant proves that it is to be out; and only it.
func TestAnyMemberRemovesByWarrant(t *testing.T) {
	w, a, ph, b := room(t, openPolicy())
	remove := func(o mls.CommitOptions, list ...Warrant) Submission {
		sub, _ := b.commit(w.hub, o)
		return with(t, sub, list...)
	}
	phoneOut := mls.CommitOptions{Removes: []wire.LeafIndex{ph.group.OwnLeaf()}}
	both := mls.CommitOptions{Removes: []wire.LeafIndex{a.group.OwnLeaf(), ph.group.OwnLeaf()}}
	forged, late, strange := against(phone), against(phone), against(phone)
	forged.Proof = []byte("forged")
	late.Proof = []byte(string(phone) + " 08:00")
	strange.Kind = 9
	w.refuse(remove(phoneOut), Denied, "no warrant")
	w.refuse(remove(phoneOut, forged), Denied, "a forged warrant")
	w.refuse(remove(phoneOut, late), Denied, "a warrant that does not hold at the time of the commit")
	w.refuse(remove(phoneOut, strange), Denied, "a warrant of unknown kind")
	w.refuse(remove(both, against(phone)), Denied, "a warrant against one, two are removed")
	w.refuse(remove(phoneOut, against(laptop)), Invalid, "a warrant against another")
	w.refuse(remove(phoneOut, against(phone), against(phone)), Invalid, "the same warrant twice")
	w.refuse(remove(phoneOut, against(phone), against(laptop)), Invalid, "one warrant too many")
	takeover := openPolicy()
	takeover.Admins = []UserID{bob.User()}
	phoneOut.Extensions = &wire.Extensions{takeover.Extension()}
	w.refuse(remove(phoneOut, against(phone)), Denied, "a warrant against a phone makes nobody an admin")
	phoneOut.Extensions = nil

	l, err := LoadLedger(w.hub.Snapshot(), nobody{names{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(remove(phoneOut, against(phone)), 1, w.now); KindOf(err) != Denied {
		t.Errorf("who judges no warrants takes one: %v", err)
	}
	sub, pending := b.commit(w.hub, phoneOut)
	a.follow(w.take(with(t, sub, against(phone)))) // follower and replay agree
	b.group = pending.Next
	if w.hub.Member(phone) {
		t.Error("it is still there")
	}
	w.take(b.message(w.hub, "gone"))
}

// A bundle without warrants is written as it always was, one with them in one
// spelling only, within bounds.
func TestWarrantsInABundle(t *testing.T) {
	plain := CommitBundle{Commit: []byte("commit"), GroupInfo: Hash{1}, KeyRecord: []byte("record")}
	full := plain
	full.Warrants = []Warrant{against(phone), {Kind: WarrantCut, Device: bob, Proof: bytes.Repeat([]byte{7}, MaxProof)}}
	got, err := ParseCommitBundle(full.Marshal())
	if err != nil || len(got.Warrants) != 2 || got.Warrants[1].Device != bob || !bytes.Equal(got.Marshal(), full.Marshal()) {
		t.Fatalf("%+v %v", got, err)
	}
	if !bytes.HasPrefix(full.Marshal(), plain.Marshal()) {
		t.Error("warrants change what stands before them")
	}
	many, long := full, full
	for range MaxWarrants {
		many.Warrants = append(many.Warrants, against(phone))
	}
	long.Warrants = []Warrant{{Kind: WarrantCut, Device: bob, Proof: make([]byte, MaxProof+1)}}
	named := full
	named.Warrants = []Warrant{{Kind: WarrantCut, Device: DeviceID(strings.Repeat("a", MaxName+1))}}
	for why, b := range map[string][]byte{
		"an empty list": append(plain.Marshal(), 0), "too many": many.Marshal(), "too long": long.Marshal(),
		"a long name": named.Marshal(), "cut short": full.Marshal()[:len(full.Marshal())-1],
	} {
		if _, err := ParseCommitBundle(b); KindOf(err) != Invalid {
			t.Errorf("%s: %v", why, err)
		}
	}
}
