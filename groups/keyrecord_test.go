package groups

import (
	"bytes"
	"testing"
	"time"

	"parley/mls"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// coiPolicy names two communities.
func coiPolicy() Policy {
	p := openPolicy()
	p.CoIs = []CoI{
		{Name: "mimi://alpha.example/c/finance", Root: Hash{1}, Lookup: "https://127.0.0.1:1/s/lookup", Unwrap: []string{"https://127.0.0.1:2/s/unwrap"}, Officer: "mimi://alpha.example/u/olga"},
		{Name: "mimi://beta.example/c/legal", Root: Hash{2}, Lookup: "https://127.0.0.1:3/s/lookup", Unwrap: []string{"https://127.0.0.1:4/s/unwrap", "https://127.0.0.1:5/s/unwrap"}, Status: "http://127.0.0.1:6/s/ocsp"},
	}
	return p
}

// someRecipients are who a record of coiPolicy is for.
func someRecipients() []CoIRecipient {
	return []CoIRecipient{
		{Name: "mimi://alpha.example/c/finance", Certificate: Hash{3}, Serial: []byte{1}},
		{Name: "mimi://beta.example/c/legal", Certificate: Hash{4}, Serial: []byte{2, 0xff}, Status: Hash{5}, StatusAt: 6},
	}
}

func someRecord() *KeyRecord {
	return &KeyRecord{
		Room: ops, Epoch: 3, ContextHash: Hash{1}, KeyID: Hash{2}, AuthorLeaf: 1, AuthorCert: Hash{3},
		CreatedAt: 1000, NotAfter: 2000, Reason: KeyJoined, Recipients: someRecipients(),
		Envelope: []byte("envelope"), Prev: Hash{4}, Signature: []byte("signature"),
	}
}

func someProof() *tree.MembershipProof {
	leaf := &wire.LeafNode{
		EncryptionKey: []byte("e"), SignatureKey: []byte("s"), Credential: wire.BasicCredential([]byte(laptop)),
		LeafNodeSource: wire.LeafNodeSourceUpdate,
	}
	return &tree.MembershipProof{NLeaves: 1, DirectPathNodes: []*wire.Node{{NodeType: wire.NodeTypeLeaf, LeafNode: leaf}}}
}

func someRequest() *KeyRequest {
	proven := Proven{Record: someRecord().Marshal(), Context: []byte("context"), Author: someProof()}
	return &KeyRequest{
		CoI: "mimi://alpha.example/c/finance", Device: laptop, Service: "mimi://alpha.example/s/unwrap",
		Time: 7, Nonce: [16]byte{8}, ResponseKey: []byte("key"), Reason: "a new laptop",
		Anchors: []Anchor{{Proven: proven, Next: &Vouch{1, someProof()}}, {Proven: proven, Self: someProof()}},
		Items: []KeyItem{
			{Proven: proven, Standing: StandingMember, Member: someProof()},
			{Proven: proven, Standing: StandingUser, Member: someProof(), Anchor: &Vouch{0, someProof()}},
			{Proven: proven, Standing: StandingReader},
		},
	}
}

func someFlag() *Flag {
	return &Flag{
		Room: ops, Epoch: 3, ConfigHash: Hash{1}, AuthorLeaf: 1, CreatedAt: 9, Officer: "mimi://alpha.example/u/olga",
		Text: []byte("sealed"), Stamp: AuthenticatedData{Device: laptop}, Signature: []byte("signature"),
	}
}

// FuzzDecodeKeys gives the decoders of the key layer foreign bytes: no panic,
// and what is accepted encodes to the same bytes.
func FuzzDecodeKeys(f *testing.F) {
	p, entry := coiPolicy(), RecordEntry{someRecord().Marshal(), AuthenticatedData{Device: laptop}}
	p.Readers, p.Cases = []CoIID{p.CoIs[1].Name}, CaseRule{1, []Approver{{"olga", Hash{1}}}}
	key := RoomKey{1, make([]byte, 32), make([]byte, 32)}
	for _, b := range [][]byte{
		someRecord().Marshal(), entry.Marshal(), someRequest().Marshal(), someFlag().Marshal(),
		p.Extension().ExtensionData, RoomKeyBytes(key), nil, {1, 0xff},
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, again func() []byte, err error) {
			if k := KindOf(err); err != nil && k != Invalid && k != TooLarge {
				t.Fatalf("%s: %v is neither Invalid nor TooLarge", what, err)
			}
			if err == nil && !bytes.Equal(again(), b) {
				t.Fatalf("%s: %x became %x", what, b, again())
			}
		}
		record, err := ParseKeyRecord(b)
		same("record", record.Marshal, err)
		entry, err := ParseRecordEntry(b)
		same("record entry", entry.Marshal, err)
		request, err := ParseKeyRequest(b)
		same("request", request.Marshal, err)
		flag, err := ParseFlag(b)
		same("flag", flag.Marshal, err)
		policy, err := ParsePolicy(b)
		same("policy", func() []byte { return policy.Extension().ExtensionData }, err)
		key, err := ParseRoomKeyBytes(b)
		same("room key", func() []byte { return RoomKeyBytes(key) }, err)
	})
}

// "Wrapped key replayed into other group/generation/CoI": every field of a
// record but the signature is signed.
func TestE8_EveryFieldOfARecordIsSigned(t *testing.T) {
	s, _ := suite.Lookup(1)
	d := newDevice(t, laptop)
	leaf := &wire.LeafNode{SignatureKey: d.id.Signer.PublicKey(), Credential: d.id.Credential}
	good := someRecord()
	good.AuthorCert = CredentialHash(&leaf.Credential)
	if err := good.Sign(d.id.Signer); err != nil {
		t.Fatal(err)
	}
	if err := good.Verify(s, leaf); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*KeyRecord){
		"room":             func(r *KeyRecord) { r.Room = "mimi://alpha.example/r/other" },
		"epoch":            func(r *KeyRecord) { r.Epoch++ },
		"context":          func(r *KeyRecord) { r.ContextHash[0] ^= 1 },
		"key id":           func(r *KeyRecord) { r.KeyID[0] ^= 1 },
		"author":           func(r *KeyRecord) { r.AuthorLeaf++ },
		"certificate":      func(r *KeyRecord) { r.AuthorCert[0] ^= 1 },
		"made":             func(r *KeyRecord) { r.CreatedAt-- },
		"end":              func(r *KeyRecord) { r.NotAfter++ },
		"reason":           func(r *KeyRecord) { r.Reason = KeyLeft },
		"fewer recipients": func(r *KeyRecord) { r.Recipients = r.Recipients[:1] },
		"recipient":        func(r *KeyRecord) { r.Recipients[0].Name = "mimi://alpha.example/c/other" },
		"its certificate":  func(r *KeyRecord) { r.Recipients[0].Certificate[0] ^= 1 },
		"its serial":       func(r *KeyRecord) { r.Recipients[1].Serial = nil },
		"its status":       func(r *KeyRecord) { r.Recipients[1].Status = Hash{} },
		"status time":      func(r *KeyRecord) { r.Recipients[1].StatusAt++ },
		"envelope":         func(r *KeyRecord) { r.Envelope = nil },
		"previous":         func(r *KeyRecord) { r.Prev = Hash{} },
		"signature":        func(r *KeyRecord) { r.Signature[5] ^= 1 },
		"no signature":     func(r *KeyRecord) { r.Signature = nil },
	} {
		r, err := ParseKeyRecord(bytes.Clone(good.Marshal()))
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		if err := r.Verify(s, leaf); KindOf(err) != Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
		if r.Hash() == good.Hash() {
			t.Errorf("%s: the hash stays", name)
		}
	}
}

// The commitment of a record is the one that members compute.
func TestKeyIDIsThatOfTheRoomKey(t *testing.T) {
	for _, id := range suite.IDs() {
		s, _ := suite.Lookup(id)
		key := mls.RoomKey{CipherSuite: wire.CipherSuite(id), SenderDataSecret: suite.Random(s.HashSize()), EncryptionSecret: suite.Random(s.HashSize())}
		context := wire.GroupContext{CipherSuite: wire.CipherSuite(id), GroupID: []byte(ops), Epoch: 4}
		want, err := key.ID(&context)
		if err != nil {
			t.Fatal(err)
		}
		b := RoomKeyBytes(RoomKey{CipherSuite(id), key.SenderDataSecret, key.EncryptionSecret})
		got, err := ParseRoomKeyBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		if KeyID(s, got, ContextHash(&context)) != want {
			t.Errorf("suite %d: another commitment than mls has", id)
		}
		for n := range b {
			if _, err := ParseRoomKeyBytes(b[:n]); KindOf(err) != Invalid {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
	}
}

func TestKeyRequestRoundTrip(t *testing.T) {
	q := someRequest()
	got, err := ParseKeyRequest(q.Marshal())
	if err != nil || !bytes.Equal(got.SigningBytes(), q.SigningBytes()) {
		t.Fatalf("%+v %v", got, err)
	}
	q.Anchors[1].Next = &Vouch{0, someProof()}
	if _, err := ParseKeyRequest(q.Marshal()); KindOf(err) != Invalid {
		t.Errorf("anchors vouch for each other: %v", err)
	}
	q.Anchors[1].Next, q.Items[0].Anchor = nil, &Vouch{2, someProof()}
	if _, err := ParseKeyRequest(q.Marshal()); KindOf(err) != Invalid {
		t.Errorf("an anchor that is not there: %v", err)
	}
	q.Items[0].Anchor, q.Items[0].Standing = nil, 9
	if _, err := ParseKeyRequest(q.Marshal()); KindOf(err) != Invalid {
		t.Errorf("an unknown standing: %v", err)
	}
}

// "Policy v2": what may be a room's, and what not.
func TestPoliciesThatNoRoomMayHave(t *testing.T) {
	good := coiPolicy()
	good.Readers, good.History, good.AutoRenew = []CoIID{good.CoIs[0].Name}, HistoryAll, time.Hour
	good.Cases = CaseRule{2, []Approver{{"olga", Hash{1}}, {"paul", Hash{2}}}}
	back, err := ParsePolicy(good.Extension().ExtensionData)
	if err != nil || back.Valid() != nil || back.AutoRenew != time.Hour || len(back.CoIs) != 2 || !back.ReaderSite("alpha.example") || back.ReaderSite("beta.example") {
		t.Fatalf("%+v %v %v", back, err, back.Valid())
	}
	for name, change := range map[string]func(*Policy){
		"no admin":            func(p *Policy) { p.Admins = nil },
		"bad admin":           func(p *Policy) { p.Admins = []UserID{"olga"} },
		"not sorted":          func(p *Policy) { p.CoIs[0], p.CoIs[1] = p.CoIs[1], p.CoIs[0] },
		"named twice":         func(p *Policy) { p.CoIs[1] = p.CoIs[0] },
		"bad name":            func(p *Policy) { p.CoIs[1].Name = "mimi://beta.example/u/legal" },
		"no root":             func(p *Policy) { p.CoIs[0].Root = Hash{} },
		"no lookup":           func(p *Policy) { p.CoIs[0].Lookup = "" },
		"lookup in the clear": func(p *Policy) { p.CoIs[0].Lookup = "http://127.0.0.1:1/s/lookup" },
		"no unwrap":           func(p *Policy) { p.CoIs[0].Unwrap = nil },
		"unwrap of no host":   func(p *Policy) { p.CoIs[0].Unwrap = []string{"https:///s/unwrap"} },
		"strict, no status":   func(p *Policy) { p.StrictStatus = true },
		"officer to trick":    func(p *Policy) { p.CoIs[0].Officer = "olga\u202e" },
		"unknown mode":        func(p *Policy) { p.Mode = 2 },
		"unknown history":     func(p *Policy) { p.History = 3 },
		"foreign reader":      func(p *Policy) { p.Readers[0] = "mimi://alpha.example/c/other" },
		"reader twice":        func(p *Policy) { p.Readers = []CoIID{p.Readers[0], p.Readers[0]} },
		"default over max":    func(p *Policy) { p.DefaultKeyAge = p.MaxKeyAge + time.Second },
		"too few approvers":   func(p *Policy) { p.Cases.Approvers = p.Cases.Approvers[:1] },
		"no threshold":        func(p *Policy) { p.Cases.Threshold = 0 },
		"one approver twice":  func(p *Policy) { p.Cases.Approvers[1].Key = Hash{1} },
		"one name twice":      func(p *Policy) { p.Cases.Approvers[1].Name = "olga" },
		"history for nobody":  func(p *Policy) { p.CoIs, p.Readers, p.Cases = nil, nil, CaseRule{} },
	} {
		p, err := ParsePolicy(good.Extension().ExtensionData)
		if err != nil {
			t.Fatal(err)
		}
		change(&p)
		if err := p.Valid(); KindOf(err) != Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
