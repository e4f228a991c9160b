package mls

import (
	"errors"
	"reflect"
	"testing"

	"parley/mls/tree"
	"parley/mls/wire"
)

// "the sender of a message MUST generate a fresh random four-byte value": a
// message sealed again with the same key, as after a crash, has another nonce.
func TestReuseGuardIsRandom(t *testing.T) {
	list := people(t, testSuite(t), 2)
	e := list[0].group.epoch
	met := make(map[[4]byte]bool)
	for range 64 {
		ac := wire.AuthenticatedContent{Content: wire.FramedContent{
			GroupID: list[0].group.GroupID(), Sender: wire.Member(0), ContentType: wire.ContentTypeApplication,
		}}
		sealed, _, err := e.protectPrivate(&ac, 0) // nobody moves on: the same key each time
		must(t, err)
		m, err := wire.ParsePrivateMessage(sealed)
		must(t, err)
		data, err := e.openSenderData(&m)
		must(t, err)
		met[data.ReuseGuard] = true
	}
	if len(met) < 63 {
		t.Errorf("%d reuse guards of 64 messages", len(met))
	}
}

// A commit names no more PSKs than there is room for, and a Welcome neither.
func TestTooManyPSKs(t *testing.T) {
	list := people(t, testSuite(t), 2)
	unlock(list, Policy{PSKs: purse{"known": []byte("key")}})
	var many []wire.Proposal
	var ids []wire.PreSharedKeyID
	for range tree.MaxPSKs + 1 {
		p := psk(ExternalPSK([]byte("known")), 32)
		many, ids = append(many, p), append(ids, p.PreSharedKey.PSK)
	}
	f := &forgery{t: t, by: list[0], group: list[0].group, list: values(many...)}
	refuses(t, "1,025 keys", list[1].group, f.message(), tree.ErrTooManyPSKs)
	f.list = f.list[1:]
	handle(t, list[1].group, f.message())
	if err := verifyPSKs(list[0].suite, ids); !errors.Is(err, tree.ErrTooManyPSKs) {
		t.Errorf("welcome: %v", err)
	}
	must(t, verifyPSKs(list[0].suite, ids[1:]))
}

// "The generation of Commit messages MUST NOT modify a client's state": whether
// it succeeds or not.
func TestCommitLeavesItsMakerAlone(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 4)
	g := list[0].group
	kp := newPerson(t, s, "eve").keyPackage(t)
	member := list[1].keyPackage(t)
	m, err := list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start})
	must(t, err)
	handle(t, g, m)
	before := snapshot(g)
	for what, o := range map[string]CommitOptions{
		"what waits":     {},
		"an Add":         {Adds: []*wire.KeyPackage{&kp.Public}},
		"a Remove":       {Removes: []wire.LeafIndex{2}},
		"a PSK":          {PSKs: []wire.PreSharedKeyID{ResumptionPSK(g.GroupID(), g.Epoch())}},
		"a ReInit":       {IgnorePending: true, ReInit: &wire.ReInit{Version: 1, CipherSuite: 1}},
		"one too many":   {Adds: []*wire.KeyPackage{&member.Public}},
		"its own Remove": {Removes: []wire.LeafIndex{0}},
		"no such leaf":   {Removes: []wire.LeafIndex{9}},
		"no such PSK":    {PSKs: []wire.PreSharedKeyID{ExternalPSK([]byte("unknown"))}},
	} {
		o.Now = start
		_, err := g.Commit(o)
		if !reflect.DeepEqual(before, snapshot(g)) {
			t.Errorf("%s: the Group has changed (%v)", what, err)
		}
	}
}
