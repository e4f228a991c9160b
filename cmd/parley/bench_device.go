package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/coi"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// A benchDevice is a device of a load: it logs in, makes and joins rooms and
// seals as every device does, but keeps no history.
type benchDevice struct {
	client.Identity
	site   *rigSite
	signer crypto.Signer
	me     mls.Identity
	suite  *suite.Suite
	link   client.Link
	heads  *client.HeadVerifier
	kept   []*mls.KeyPackage // published, not used
	serial atomic.Uint64     // of the last submission; rooms of one device share it
}

// device makes a device and logs it in.
func (s *rigSite) device(ctx context.Context, user, name string) (*benchDevice, error) {
	id, key, err := s.identity(user, name)
	if err != nil {
		return nil, err
	}
	d := &benchDevice{Identity: id, site: s, signer: key}
	if d.suite, err = suite.Lookup(suite.X25519AES128SHA256Ed25519); err != nil {
		return nil, err
	}
	signer, err := d.suite.SignatureKeyOf(key)
	if err != nil {
		return nil, err
	}
	d.me = mls.Identity{Credential: wire.X509Credential(id.Chain...), Signer: signer}
	if d.link, err = client.Dial(ctx, id); err != nil {
		return nil, err
	}
	if err := d.login(ctx); err != nil {
		return nil, errors.Join(err, d.link.Close())
	}
	return d, nil
}

// login signs the gateway's challenge.
func (d *benchDevice) login(ctx context.Context) error {
	var challenge devicev1.ChallengeResponse
	if err := d.link.Call(ctx, &devicev1.ChallengeRequest{Device: string(d.Device)}, &challenge); err != nil {
		return err
	}
	message := coi.Login{Node: challenge.Node, Device: string(d.Device), Nonce: challenge.Nonce}.Message()
	signature, err := coi.Sign(d.signer, message)
	if err != nil {
		return err
	}
	var answer devicev1.LoginResponse
	err = d.link.Call(ctx, &devicev1.LoginRequest{
		Device: string(d.Device), Chain: d.Chain, Nonce: challenge.Nonce, Signature: signature,
	}, &answer)
	if err != nil {
		return err
	}
	d.heads = client.NewHeadVerifier(d.site.trust, answer.OrderingCertificates, time.Now)
	return nil
}

// publish makes the device one that can be added to n rooms.
func (d *benchDevice) publish(ctx context.Context, n int) error {
	req := new(devicev1.PublishKeyPackagesRequest)
	for range n {
		kp, err := mls.NewKeyPackage(d.suite, d.me, memberLeaf())
		if err != nil {
			return err
		}
		d.kept = append(d.kept, kp)
		req.KeyPackages = append(req.KeyPackages, kp.Message())
	}
	return d.link.Call(ctx, req, &devicev1.PublishKeyPackagesResponse{})
}

// A benchRoom is a room as a device of a load sees it.
type benchRoom struct {
	id     groups.RoomID
	device *benchDevice
	group  *mls.Group
	shelf  map[string][]byte // what the device has to store before a message leaves
	seq    groups.Seq        // the last head that was verified
	hash   groups.Hash
}

// createRoom makes a room of this device alone.
func (d *benchDevice) createRoom(ctx context.Context, name string) (*benchRoom, error) {
	id, err := groups.NewRoomID(d.site.name, name)
	if err != nil {
		return nil, err
	}
	policy := groups.DefaultPolicy(d.Device.User())
	r := &benchRoom{id: id, device: d, shelf: make(map[string][]byte)}
	r.group, err = mls.Create(mls.CreateOptions{
		Suite: d.suite, GroupID: []byte(id), Identity: d.me, Leaf: memberLeaf(),
		Extensions: wire.Extensions{policy.Extension()}, Credentials: anyone{},
	})
	if err != nil {
		return nil, err
	}
	info, err := r.group.GroupInfo(true)
	if err != nil {
		return nil, err
	}
	genesis := groups.Genesis{GroupInfo: info, Stamp: groups.AuthenticatedData{Device: d.Device, ID: d.nextID()}}
	sub := &devicev1.Submission{Kind: uint32(groups.KindCreate), Id: genesis.Stamp.ID[:], Body: genesis.Marshal()}
	return r, r.submit(ctx, sub)
}

// nextID names the next submission: the device's name makes it unique.
func (d *benchDevice) nextID() (id groups.SubmissionID) {
	serial := d.serial.Add(1)
	for i := range 8 {
		id[i] = byte(serial >> (8 * i))
	}
	return id
}

// serialOf is which of the device's submissions an id names.
func serialOf(id []byte) (serial uint64) {
	for i := range 8 {
		serial |= uint64(id[i]) << (8 * i)
	}
	return serial
}

// submit submits one submission and takes the receipt.
func (r *benchRoom) submit(ctx context.Context, sub *devicev1.Submission) error {
	sub.Room = string(r.id)
	var answer devicev1.SubmitResponse
	if err := r.device.link.Call(ctx, &devicev1.SubmitRequest{Submission: sub}, &answer); err != nil {
		return err
	}
	var receipt groups.Receipt
	rd := wire.NewReader(answer.Receipt)
	receipt.Decode(rd)
	if err := rd.Done(); err != nil {
		return err
	}
	if err := r.device.verify(answer.Head, receipt.Seq); err != nil {
		return err
	}
	r.seq, r.hash = receipt.Seq, receipt.Hash
	return nil
}

// verify checks a signed head, which has to be at or after seq.
func (d *benchDevice) verify(head []byte, seq groups.Seq) error {
	return d.verifyLast([][]byte{head}, seq)
}

// verifyLast checks the last of the heads that came with receipts of one room,
// which has to be at or after seq: it covers what the others do, and a device
// that has fallen behind looks into no more than that.
func (d *benchDevice) verifyLast(heads [][]byte, seq groups.Seq) error {
	var last *groups.SignedHead
	for _, b := range heads {
		signed, err := groups.ParseSignedHead(b)
		if err != nil {
			return err
		}
		if last == nil || signed.Head.Seq > last.Head.Seq {
			last = signed
		}
	}
	if last == nil || last.Head.Seq < seq {
		return fmt.Errorf("no head covers entry %d", seq)
	}
	return last.Verify(d.heads)
}

// errNoKeyPackages says that somebody can not be added now.
var errNoKeyPackages = errors.New("key packages can not be had")

// add adds people, in one commit. All of their devices that can be had are
// added; that there are as many as people is for the caller to know.
func (r *benchRoom) add(ctx context.Context, users ...groups.UserID) error {
	req := &devicev1.ClaimKeyPackagesRequest{Room: string(r.id), Suite: uint32(r.device.suite.ID())}
	for _, u := range users {
		req.Users = append(req.Users, string(u))
	}
	var claimed devicev1.ClaimKeyPackagesResponse
	if err := r.device.link.Call(ctx, req, &claimed); err != nil {
		return err
	}
	if len(claimed.KeyPackages) < len(users) {
		return fmt.Errorf("%w: of %d of %d people there were some: %v", errNoKeyPackages, len(claimed.KeyPackages), len(users), claimed.Failures)
	}
	adds := make([]*wire.KeyPackage, len(claimed.KeyPackages))
	for i, kp := range claimed.KeyPackages {
		m, err := wire.Unmarshal[wire.MLSMessage](kp.KeyPackage)
		if err != nil || m.KeyPackage == nil {
			return fmt.Errorf("key package of %s: %w", kp.Device, err)
		}
		adds[i] = m.KeyPackage
	}
	stamp := groups.AuthenticatedData{Device: r.device.Device, ID: r.device.nextID(), Seq: r.seq, Hash: r.hash}
	p, err := r.group.Commit(mls.CommitOptions{
		MessageOptions: mls.MessageOptions{Now: time.Now(), AuthenticatedData: stamp.Marshal()}, Adds: adds,
	})
	if err != nil {
		return err
	}
	welcome := groups.HashOf(p.Welcome)
	bundle := groups.CommitBundle{Commit: p.Commit, Welcome: &welcome, GroupInfo: groups.HashOf(p.GroupInfo)}
	err = r.submit(ctx, &devicev1.Submission{
		Kind: uint32(groups.KindCommit), Id: stamp.ID[:], Body: bundle.Marshal(), Attachments: [][]byte{p.Welcome, p.GroupInfo},
	})
	if err == nil {
		r.group = p.Next
	}
	return err
}

// joinRooms uses all Welcomes that wait.
func (d *benchDevice) joinRooms(ctx context.Context) ([]*benchRoom, error) {
	var list devicev1.ListWelcomesResponse
	if err := d.link.Call(ctx, &devicev1.ListWelcomesRequest{}, &list); err != nil {
		return nil, err
	}
	var rooms []*benchRoom
	for _, w := range list.Welcomes {
		tree, err := d.fetch(ctx, w.Room, w.Tree)
		if err != nil {
			return nil, err
		}
		r := &benchRoom{id: groups.RoomID(w.Room), device: d, shelf: make(map[string][]byte), seq: groups.Seq(w.Seq)}
		copy(r.hash[:], w.EntryHash)
		for _, kp := range d.kept {
			r.group, err = mls.Join(mls.JoinOptions{
				Welcome: w.Welcome, KeyPackage: kp, Signer: d.me.Signer, RatchetTree: tree, Credentials: anyone{},
			})
			if !errors.Is(err, mls.ErrNotForUs) {
				break
			}
		}
		if err != nil {
			return nil, err
		}
		rooms = append(rooms, r)
	}
	return rooms, nil
}

// fetch downloads a blob.
func (d *benchDevice) fetch(ctx context.Context, room string, hash []byte) (blob []byte, err error) {
	stream, err := d.link.Blob(ctx, &devicev1.GetBlobRequest{Hash: hash, Room: room})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for {
		chunk, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return blob, nil
		}
		if err != nil {
			return nil, err
		}
		blob = append(blob, chunk.Chunk...)
	}
}

// seal encrypts one text, as a device does that sends it. What has to be stored
// before it leaves is taken by keep.
func (r *benchRoom) seal(text string) (*devicev1.Submission, error) {
	content := client.Text(text)
	plaintext, err := content.Marshal()
	if err != nil {
		return nil, err
	}
	stamp := groups.AuthenticatedData{Device: r.device.Device, ID: r.device.nextID(), Seq: r.seq, Hash: r.hash}
	body, err := r.group.Seal(stamp.Marshal(), plaintext, 0)
	if err != nil {
		return nil, err
	}
	return &devicev1.Submission{Room: string(r.id), Kind: uint32(groups.KindMessage), Id: stamp.ID[:], Body: body}, nil
}

// keep puts the ratchets where they have to be before what was sealed leaves
// (I7); a load keeps them in memory.
func (r *benchRoom) keep() {
	for _, record := range r.group.TakeChanges() {
		r.shelf[record.Key] = record.Value
	}
}
