package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls/wire"
)

// keyPackage makes one of a caller, with signatures that nobody checks here.
func (c *caller) keyPackage() *wire.KeyPackage {
	return &wire.KeyPackage{
		Version: wire.MLS10, CipherSuite: 1, InitKey: []byte("init"),
		LeafNode: wire.LeafNode{
			EncryptionKey: []byte("enc"), SignatureKey: keyBytes(c.key.Public()),
			Credential:     wire.X509Credential(c.cert),
			Capabilities:   wire.Capabilities{Credentials: []wire.CredentialType{wire.CredentialTypeX509, wire.CredentialTypeBasic}},
			LeafNodeSource: wire.LeafNodeSourceKeyPackage,
			Lifetime:       wire.Lifetime{NotAfter: uint64(time.Now().Add(time.Hour).Unix())},
			Signature:      []byte("sig"),
		},
		Signature: []byte("sig"),
	}
}

func encodeKeyPackage(p *wire.KeyPackage) []byte {
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatKeyPackage, KeyPackage: p})
}

func (c *caller) publish(packages ...[]byte) (uint32, error) {
	r, err := c.PublishKeyPackages(context.Background(), connect.NewRequest(&devicev1.PublishKeyPackagesRequest{KeyPackages: packages}))
	if err != nil {
		return 0, err
	}
	return r.Msg.Count, nil
}

func TestPublishKeyPackages(t *testing.T) {
	f := serve(t, nil)
	h := f.http2()
	a := f.login(alice, h)
	good := encodeKeyPackage(a.keyPackage())
	if n, err := a.publish(good, good); err != nil || n != 2 {
		t.Fatalf("published %d: %v", n, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256 := f.callerWith(phone, h, key)
	if err := p256.login(); err != nil {
		t.Fatal(err)
	}
	if n, err := p256.publish(encodeKeyPackage(p256.keyPackage())); err != nil || n != 1 {
		t.Errorf("with an ECDSA key: %d, %v", n, err)
	}
	change := func(do func(p *wire.KeyPackage)) []byte {
		p := a.keyPackage()
		do(p)
		return encodeKeyPackage(p)
	}
	other := f.login(bob, h)
	for _, x := range []struct {
		name  string
		kind  groups.Kind
		bytes []byte
	}{
		{"nothing", groups.Invalid, nil},
		{"noise", groups.Invalid, []byte("noise")},
		{"truncated", groups.Invalid, good[:len(good)-1]},
		{"trailing", groups.Invalid, append(bytes.Clone(good), 0)},
		{"large", groups.TooLarge, make([]byte, maxKeyPackage+1)},
		{"another message", groups.Invalid, wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatWelcome, Welcome: &wire.Welcome{CipherSuite: 1}})},
		{"unknown suite", groups.Invalid, change(func(p *wire.KeyPackage) { p.CipherSuite = 4 })},
		{"a leaf of a commit", groups.Invalid, change(func(p *wire.KeyPackage) { p.LeafNode.LeafNodeSource = wire.LeafNodeSourceCommit })},
		{"an old one", groups.Invalid, change(func(p *wire.KeyPackage) { p.LeafNode.Lifetime.NotAfter = 1 })},
		{"init key", groups.Invalid, change(func(p *wire.KeyPackage) { p.InitKey = p.LeafNode.EncryptionKey })},
		{"no such credential", groups.Invalid, change(func(p *wire.KeyPackage) { p.LeafNode.Capabilities = wire.Capabilities{} })},
		{"another device's", groups.Denied, encodeKeyPackage(other.keyPackage())},
		{"another key", groups.Invalid, change(func(p *wire.KeyPackage) { p.LeafNode.SignatureKey = []byte("x") })},
		{"unknown certificate", groups.Denied, change(func(p *wire.KeyPackage) { p.LeafNode.Credential = wire.X509Credential([]byte("x")) })},
		{"no certificate", groups.Invalid, change(func(p *wire.KeyPackage) { p.LeafNode.Credential = wire.X509Credential() })},
		{"another name", groups.Denied, change(func(p *wire.KeyPackage) { p.LeafNode.Credential = wire.BasicCredential([]byte(bob)) })},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := a.publish(good, x.bytes)
			refused(t, err, x.kind)
			r, err := a.CountKeyPackages(context.Background(), connect.NewRequest(&devicev1.CountKeyPackagesRequest{}))
			if err != nil || r.Msg.Count != 2 {
				t.Errorf("a refused batch left %v, %v", r, err)
			}
		})
	}
	basic := change(func(p *wire.KeyPackage) { p.LeafNode.Credential = wire.BasicCredential([]byte(alice)) })
	if _, err := a.publish(basic); err != nil {
		t.Errorf("a basic credential of its own: %v", err)
	}
	_, err = a.publish()
	refused(t, err, groups.Invalid)
	_, err = a.publish(make([][]byte, groups.MaxKeyPackages+1)...)
	refused(t, err, groups.Invalid)
}

// "10 key package claims an hour per target"
func TestClaimKeyPackages(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.Claims = 2 })
	now := time.Now()
	f.world.now = func() time.Time { return now }
	h := f.http2()
	a, b := f.login(alice, h), f.login(bob, h)
	for range 5 {
		if _, err := b.publish(encodeKeyPackage(b.keyPackage())); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(suite uint32, users ...string) (*devicev1.ClaimKeyPackagesResponse, error) {
		r, err := a.ClaimKeyPackages(context.Background(), connect.NewRequest(&devicev1.ClaimKeyPackagesRequest{Users: users, Room: string(testRoom), Suite: suite}))
		if err != nil {
			return nil, err
		}
		return r.Msg, nil
	}
	user, nobody := string(bob.User()), "mimi://alpha.example/u/nobody"
	m, err := claim(1, user, nobody, user)
	if err != nil || len(m.KeyPackages) != 1 || len(m.Failures) != 1 || m.Failures[0].Kind != "not_found" || m.Failures[0].User != nobody {
		t.Fatalf("claim: %v, %v", m, err)
	}
	claim(1, user)
	if m, err = claim(1, user, "mimi://alpha.example/u/carol"); err != nil || len(m.KeyPackages) != 0 || len(m.Failures) != 2 {
		t.Fatalf("over the rate: %v, %v", m, err)
	}
	if m.Failures[0].Kind != "busy" {
		t.Errorf("over the rate: %v", m.Failures)
	}
	now = now.Add(time.Hour)
	if err := a.login(); err != nil {
		t.Fatal(err)
	}
	if m, err = claim(1, user); err != nil || len(m.KeyPackages) != 1 {
		t.Errorf("an hour later: %v, %v", m, err)
	}
	_, err = claim(1)
	refused(t, err, groups.Invalid)
	_, err = claim(9, user)
	refused(t, err, groups.Invalid)
	_, err = claim(1, "bob")
	refused(t, err, groups.Invalid)
	_, err = claim(1, make([]string, maxClaimUsers+1)...)
	refused(t, err, groups.Invalid)
}

// Members only; who is none does not learn that there is such a room.
func TestRoomsAreForMembers(t *testing.T) {
	f := serve(t, nil)
	h := f.http2()
	a, b := f.login(alice, h), f.login(bob, h)
	a.must(testRoom, groups.KindCreate, "x")
	ctx := context.Background()
	list, err := a.ListRooms(ctx, connect.NewRequest(&devicev1.ListRoomsRequest{}))
	if err != nil || len(list.Msg.Rooms) != 1 {
		t.Fatalf("rooms: %v, %v", list, err)
	}
	if r := list.Msg.Rooms[0]; r.Room != string(testRoom) || r.Seq != 1 || r.State != "live" || r.JoinedSeq != 1 || r.OwnerNode != string(testNode) || r.Sites[0] != string(testSite) {
		t.Errorf("room %v", r)
	}
	info, err := a.GetGroupInfo(ctx, connect.NewRequest(&devicev1.GetGroupInfoRequest{Room: string(testRoom)}))
	if err != nil || string(info.Msg.GroupInfo) != "group info" || info.Msg.Seq != 1 {
		t.Errorf("group info %v, %v", info, err)
	}
	_, err = b.GetGroupInfo(ctx, connect.NewRequest(&devicev1.GetGroupInfoRequest{Room: string(testRoom)}))
	refused(t, err, groups.NotFound)
	_, err = b.DescribeRoom(ctx, connect.NewRequest(&devicev1.DescribeRoomRequest{Room: string(testRoom)}))
	refused(t, err, groups.NotFound)
	_, err = b.Ack(ctx, connect.NewRequest(&devicev1.AckRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, 1)}}))
	refused(t, err, groups.NotFound)
	_, err = b.Ack(ctx, connect.NewRequest(&devicev1.AckRequest{Cursors: []*devicev1.Cursor{nil}}))
	refused(t, err, groups.Invalid)
	_, err = b.Ack(ctx, connect.NewRequest(&devicev1.AckRequest{Welcomes: []*devicev1.Cursor{cursor("x", 1)}}))
	refused(t, err, groups.Invalid)
	a.must(testRoom, groups.KindCommit, "add "+string(bob))
	w, err := b.ListWelcomes(ctx, connect.NewRequest(&devicev1.ListWelcomesRequest{}))
	if err != nil || len(w.Msg.Welcomes) != 1 || w.Msg.Welcomes[0].Seq != 2 || len(w.Msg.Welcomes[0].Head) == 0 {
		t.Errorf("welcomes %v, %v", w, err)
	}
	a.must(testRoom, groups.KindCommit, "remove "+string(bob))
	list, err = b.ListRooms(ctx, connect.NewRequest(&devicev1.ListRoomsRequest{}))
	if err != nil || len(list.Msg.Rooms) != 0 {
		t.Errorf("after the removal: %v, %v", list, err)
	}
	d, err := b.ListDevices(ctx, connect.NewRequest(&devicev1.ListDevicesRequest{User: string(alice.User())}))
	if err != nil || len(d.Msg.Devices) != 1 || d.Msg.Devices[0].Device != string(alice) || d.Msg.Devices[0].LastSeenUnix == 0 {
		t.Errorf("devices %v, %v", d, err)
	}
	_, err = b.ListDevices(ctx, connect.NewRequest(&devicev1.ListDevicesRequest{User: "mimi://beta.example/u/carol"}))
	refused(t, err, groups.NotFound)
}

// "blobs in resumable chunks, named by hash"
func TestBlobs(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.BlobBytes = 1 << 20 })
	h := f.http2()
	a, b := f.login(alice, h), f.login(bob, h)
	ctx := context.Background()
	content := make([]byte, 3*groups.BlobChunk+100)
	rand.Read(content)
	hash := groups.HashOf(content)
	put := func(hash []byte, size, offset uint64, chunk []byte) (*devicev1.PutBlobResponse, error) {
		r, err := a.PutBlob(ctx, connect.NewRequest(&devicev1.PutBlobRequest{Hash: hash, Size: size, Offset: offset, Chunk: chunk}))
		if err != nil {
			return nil, err
		}
		return r.Msg, nil
	}
	get := func(c *caller, offset uint64) ([]byte, error) {
		s, err := c.GetBlob(ctx, connect.NewRequest(&devicev1.GetBlobRequest{Hash: hash[:], Offset: offset}))
		if err != nil {
			return nil, err
		}
		defer s.Close()
		var got []byte
		for s.Receive() {
			got = append(got, s.Msg().Chunk...)
			if s.Msg().Size != uint64(len(content)) {
				t.Errorf("size %d", s.Msg().Size)
			}
		}
		return got, s.Err()
	}
	size := uint64(len(content))
	none, err := a.StatBlob(ctx, connect.NewRequest(&devicev1.StatBlobRequest{Hash: hash[:]}))
	if err != nil || none.Msg.Have != 0 || none.Msg.Complete {
		t.Errorf("stat of an unknown blob: %v, %v", none, err)
	}
	for at := 0; at < len(content); {
		m, err := put(hash[:], size, uint64(at), content[at:min(at+groups.BlobChunk, len(content))])
		if err != nil {
			t.Fatal(err)
		}
		if again, err := put(hash[:], size, 0, content[:10]); err != nil || again.Have != m.Have {
			t.Fatalf("at a wrong offset: %v, %v", again, err)
		}
		if at = int(m.Have); m.Complete != (at == len(content)) {
			t.Errorf("at %d complete is %v", at, m.Complete)
		}
		if !m.Complete {
			_, err := get(b, 0)
			refused(t, err, groups.NotFound)
		}
	}
	st, err := b.StatBlob(ctx, connect.NewRequest(&devicev1.StatBlobRequest{Hash: hash[:]}))
	if err != nil || !st.Msg.Complete || st.Msg.Have != size {
		t.Errorf("stat %v, %v", st, err)
	}
	for _, offset := range []int{0, 1, groups.BlobChunk, len(content)} {
		if got, err := get(b, uint64(offset)); err != nil || !bytes.Equal(got, content[offset:]) {
			t.Errorf("from %d: %d bytes, %v", offset, len(got), err)
		}
	}
	_, err = get(b, size+1)
	refused(t, err, groups.Invalid)
	for _, x := range []struct {
		name         string
		kind         groups.Kind
		hash         []byte
		size, offset uint64
		chunk        []byte
	}{
		{"short hash", groups.Invalid, hash[1:], 10, 0, []byte("x")},
		{"large blob", groups.TooLarge, make([]byte, 32), groups.MaxBlob + 1, 0, []byte("x")},
		{"large chunk", groups.TooLarge, make([]byte, 32), groups.MaxBlob, 0, make([]byte, groups.BlobChunk+1)},
		{"no chunk", groups.Invalid, make([]byte, 32), 10, 0, nil},
		{"past the end", groups.Invalid, make([]byte, 32), 10, 9, []byte("xx")},
		{"far past the end", groups.Invalid, make([]byte, 32), 10, 1 << 63, []byte("xx")},
		{"half a chunk", groups.Invalid, make([]byte, 32), 2 * groups.BlobChunk, 0, []byte("xx")},
		{"another content", groups.Invalid, make([]byte, 32), 1, 0, []byte("x")},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := put(x.hash, x.size, x.offset, x.chunk)
			refused(t, err, x.kind)
		})
	}
	for i := uint64(0); err == nil || i == 0; i++ {
		if _, err = put(make([]byte, 32), groups.MaxBlob, i*groups.BlobChunk, make([]byte, groups.BlobChunk)); i > 20 {
			break
		}
	}
	refused(t, err, groups.Busy)
}

// FuzzSubmission: what devices send is taken whole or refused with a kind.
func FuzzSubmission(f *testing.F) {
	f.Add([]byte{})
	s, _ := protoCodec{}.Marshal(submission(testRoom, groups.KindMessage, "x"))
	f.Add(s)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(devicev1.Submission)
		if (protoCodec{}).Unmarshal(b, m) != nil {
			return
		}
		sub, err := submissionOf(alice, m)
		if err != nil {
			if k := groups.KindOf(err); k != groups.Invalid && k != groups.TooLarge {
				t.Fatalf("refused with %s", k)
			}
			return
		}
		if _, err := groups.ParseRoomID(string(sub.Room)); err != nil || sub.Device != alice || len(sub.Body) == 0 || len(sub.Body) > groups.MaxBody {
			t.Fatalf("accepted %+v", sub)
		}
	})
}

// FuzzKeyPackage: only key packages of the device itself get through.
func FuzzKeyPackage(f *testing.F) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	c := &caller{device: alice, key: key, cert: []byte("cert")}
	f.Add(encodeKeyPackage(c.keyPackage()))
	f.Add([]byte{0, 1, 0, 5})
	w := newWorld()
	w.certs["cert"] = worldCert{alice, key.Public(), time.Now().Add(time.Hour)}
	config := Config{Authenticator: w}.withDefaults()
	f.Fuzz(func(t *testing.T, b []byte) {
		r := keyPackageReader{config: &config, device: alice, now: time.Now()}
		p, err := r.read(b)
		if err != nil {
			if k := groups.KindOf(err); k == groups.Internal {
				t.Fatalf("refused with %s: %v", k, err)
			}
			return
		}
		m, err := wire.Unmarshal[wire.MLSMessage](p.Bytes)
		if err != nil || p.Device != alice || !bytes.Equal(encodeKeyPackage(m.KeyPackage), b) {
			t.Fatalf("accepted %x", b)
		}
	})
}

// FuzzLogin: no nonce but ours, no signature but the key's.
func FuzzLogin(f *testing.F) {
	c := newChallenges()
	now := time.Now()
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	f.Add(make([]byte, nonceSize), []byte("sig"))
	f.Add(c.issue(bob, now), make([]byte, 64))
	f.Fuzz(func(t *testing.T, nonce, sig []byte) {
		if c.check(nonce, alice, now) == nil {
			t.Fatalf("took the nonce %x", nonce)
		}
		if signedBy(pub, nonce, sig) {
			t.Fatalf("took the signature %x", sig)
		}
	})
}

// FuzzFrame: a page is read by protobuf as what it was made of, in binary and
// in JSON.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("body"), uint8(3), true)
	f.Fuzz(func(t *testing.T, body []byte, n uint8, head bool) {
		read := groups.Page{}
		for i := range n {
			read.Entries = append(read.Entries, groups.Stored{Seq: groups.Seq(i) + 5, Kind: groups.KindMessage, Bytes: body})
		}
		if head {
			read.Head = &groups.SignedHead{Head: groups.Head{Room: testRoom, Seq: 300}}
		}
		p, err := newPage(testRoom, 4, read)
		if err != nil {
			t.Fatal(err)
		}
		fr := newFrame()
		fr.add(p)
		fr.rest.CaughtUp = true
		for _, c := range []connect.Codec{protoCodec{}, jsonCodec{name: "json"}} {
			b, err := c.Marshal(fr)
			if err != nil {
				t.Fatal(err)
			}
			m := new(devicev1.TailResponse)
			if err := c.Unmarshal(b, m); err != nil {
				t.Fatal(err)
			}
			if !m.CaughtUp || n == 0 && len(m.Rooms) != 0 {
				t.Fatalf("%s: %v", c.Name(), m)
			}
			if n == 0 {
				continue
			}
			if len(m.Rooms) != 1 || m.Rooms[0].Room != string(testRoom) || len(m.Rooms[0].Entries) != int(n) || (len(m.Rooms[0].Head) > 0) != head {
				t.Fatalf("%s: %v", c.Name(), m)
			}
			for _, e := range m.Rooms[0].Entries {
				if !bytes.Equal(e, body) {
					t.Fatalf("%s: entry %x", c.Name(), e)
				}
			}
		}
	})
}
