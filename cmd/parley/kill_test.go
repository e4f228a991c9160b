package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	pki "parley/coi/service"
	"parley/groups"
	"parley/mls/wire"
)

// defaultKills is how many processes are killed where PARLEY_KILLS does not say:
// each node once.
const defaultKills = 3

// killRig is two sites of three nodes: alpha has n1 and n2, beta has n3. Each node
// orders rooms of its own and follows and relays for those of the others.
type killRig struct {
	*rig
	homes    []*rigSite // one a node: where its devices log in
	running  []*service
	devices  []*benchDevice
	login    []sync.Mutex // by device
	senders  []*killSender
	readable []*benchRoom // one a room
}

// TestAcceptedMessagesSurviveKills quotes I2: "A receipt means: durable, in the log,
// at this sequence number", and I4: every node's copy holds the same bytes, through
// SIGKILL of owners, followers and relaying nodes under load. PARLEY_KILLS=20 makes
// it a longer one.
func TestAcceptedMessagesSurviveKills(t *testing.T) {
	b := builtPrograms(t)
	kills := defaultKills
	if s := os.Getenv("PARLEY_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	began := time.Now()
	dice := mrand.New(mrand.NewPCG(seed, 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := startKillRig(ctx, t, b)
	r.populate(ctx, t)

	stop := make(chan struct{})
	var sending sync.WaitGroup
	for _, s := range r.senders {
		sending.Go(func() { s.run(ctx, stop) })
	}
	for i := range kills {
		r.strike(ctx, t, dice, i)
		t.Logf("after %v", time.Since(began).Round(time.Millisecond))
	}
	close(stop)
	done := make(chan struct{})
	go func() { sending.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		for _, s := range r.senders {
			t.Log(s.String())
		}
		t.Fatal("messages are not accepted two minutes after the last node came back")
	}
	t.Logf("all is accepted after %v", time.Since(began).Round(time.Millisecond))
	r.verify(ctx, t)
}

func startKillRig(ctx context.Context, t *testing.T, b binaries) *killRig {
	t.Helper()
	r := &killRig{rig: &rig{bench: newBench(&app{streams: streams{err: io.Discard}}), dir: t.TempDir(), program: b.parleyd}}
	key := make([]byte, 32)
	rand.Read(key)
	check(t, os.WriteFile(filepath.Join(r.dir, gossipKey), key, 0o600))
	nodes := make([]*localNode, 3)
	for i, site := range []groups.SiteID{"alpha.example", "alpha.example", "beta.example"} {
		nodes[i] = &localNode{Site: site, Node: fmt.Sprintf("n%d", i+1), PKI: string(site), Limits: unlimited}
	}
	check(t, placeNodes(nodes...))
	for name, own := range map[groups.SiteID][]*localNode{"alpha.example": nodes[:2], "beta.example": nodes[2:]} {
		s := &rigSite{name: name, node: own[0]}
		plan := pki.Plan{Site: string(name)}
		for _, n := range own {
			plan.Nodes = append(plan.Nodes, n.Node)
		}
		var err error
		s.pki, err = pki.InitDirectory(filepath.Join(r.dir, string(name)), plan, time.Now())
		check(t, err)
		s.ca, err = s.pki.DeviceCA()
		check(t, err)
		r.sites = append(r.sites, s)
	}
	check(t, r.introduce())
	nodes[0].Gossip, nodes[1].Gossip = nodes[1:2], nodes[:1]
	nodes[0].Peers, nodes[1].Peers, nodes[2].Peers = nodes[2:], nodes[2:], nodes[:2]
	for _, n := range nodes {
		home := *r.sites[0]
		if home.name != n.Site {
			home = *r.sites[1]
		}
		home.node = n
		r.homes = append(r.homes, &home)
		check(t, os.WriteFile(filepath.Join(r.dir, n.file()), []byte(n.config()), 0o600))
		s, err := startNode(ctx, r.dir, r.program, n)
		check(t, err)
		r.running = append(r.running, s)
	}
	t.Cleanup(func() {
		for _, s := range r.running {
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

// populate gives each node a device that makes two rooms there with all others in
// them, and each device a sender for every room.
func (r *killRig) populate(ctx context.Context, t *testing.T) {
	t.Helper()
	var users []groups.UserID
	for i, home := range r.homes {
		d, err := home.device(ctx, fmt.Sprintf("user%d", i), "bench")
		check(t, err)
		t.Cleanup(func() { d.link.Close() })
		check(t, d.publish(ctx, 6))
		r.devices, users = append(r.devices, d), append(users, d.Device.User())
	}
	r.login = make([]sync.Mutex, len(r.devices))
	for i, d := range r.devices {
		for j := range 2 {
			room, err := d.createRoom(ctx, fmt.Sprintf("kill-%d-%d", i, j))
			check(t, err)
			var others []groups.UserID
			for _, u := range users {
				if u != d.Device.User() {
					others = append(others, u)
				}
			}
			check(t, eventually(ctx, func(context.Context) (bool, error) {
				err := room.add(ctx, others...)
				return err == nil, ignoring(err, errNoKeyPackages)
			}))
			r.readable = append(r.readable, room)
			r.senders = append(r.senders, &killSender{rig: r, which: i, room: room})
		}
	}
	for i, d := range r.devices {
		var joined []*benchRoom
		check(t, eventually(ctx, func(context.Context) (bool, error) {
			var list devicev1.ListWelcomesResponse
			err := d.link.Call(ctx, &devicev1.ListWelcomesRequest{}, &list)
			return len(list.Welcomes) == len(r.readable)-2, err
		}))
		check(t, eventually(ctx, func(context.Context) (_ bool, err error) {
			joined, err = d.joinRooms(ctx)
			return err == nil, nil // the tree may be on its way
		}))
		for _, room := range joined {
			r.senders = append(r.senders, &killSender{rig: r, which: i, room: room})
		}
	}
}

func ignoring(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// strike kills a node, in each fourth round two at once, and starts it again.
func (r *killRig) strike(ctx context.Context, t *testing.T, dice *mrand.Rand, round int) {
	t.Helper()
	time.Sleep(time.Duration(200+dice.IntN(1500)) * time.Millisecond) // the load runs
	victims := []int{round % len(r.homes)}
	if round >= len(r.homes) {
		victims[0] = dice.IntN(len(r.homes))
	}
	if round%4 == 3 {
		victims = append(victims, (victims[0]+1+dice.IntN(2))%len(r.homes))
	}
	for _, v := range victims {
		check(t, r.running[v].kill())
	}
	time.Sleep(time.Duration(dice.IntN(1000)) * time.Millisecond)
	for _, v := range victims {
		s, err := startNode(ctx, r.dir, r.program, r.homes[v].node)
		check(t, err)
		r.running[v] = s
	}
	t.Logf("round %d: nodes %v were killed and came back", round, victims)
}

// again logs a device in anew.
func (r *killRig) again(ctx context.Context, which int) {
	r.login[which].Lock()
	defer r.login[which].Unlock()
	d := r.devices[which]
	if d.link.Call(ctx, &devicev1.CountKeyPackagesRequest{}, &devicev1.CountKeyPackagesResponse{}) == nil {
		return // another sender was faster
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d.login(ctx) // fails while the node is away: the sender tries again
}

// A killSender sends into one room, in frames of a few, each until it is accepted.
type killSender struct {
	rig   *killRig
	which int // of the devices
	room  *benchRoom

	mu       sync.Mutex
	receipts []groups.Receipt
	waiting  map[groups.SubmissionID]*devicev1.Submission
	last     string // what was told last
	fatal    error
}

const killFrame = 16

func (s *killSender) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%s into %s: %d receipts, %d wait, last: %s", s.room.device.Device, s.room.id, len(s.receipts), len(s.waiting), s.last)
}

// run sends until stop, and then until all it has sent is accepted.
func (s *killSender) run(ctx context.Context, stop <-chan struct{}) {
	s.waiting = make(map[groups.SubmissionID]*devicev1.Submission)
	for {
		s.mu.Lock()
		rest, fatal := len(s.waiting), s.fatal
		s.mu.Unlock()
		select {
		case <-stop:
			if rest == 0 {
				return
			}
		default:
		}
		if fatal != nil || ctx.Err() != nil {
			return
		}
		if err := s.stream(ctx, stop); err != nil {
			s.mu.Lock()
			s.last = err.Error()
			s.mu.Unlock()
		}
		time.Sleep(20 * time.Millisecond)
		s.rig.again(ctx, s.which)
	}
}

// stream sends on one stream until it breaks or stop.
func (s *killSender) stream(ctx context.Context, stop <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.room.device.link.Submit(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		s.mu.Lock()
		var subs []*devicev1.Submission
		for _, sub := range s.waiting {
			subs = append(subs, sub)
		}
		s.mu.Unlock()
		select {
		case <-stop:
			if len(subs) == 0 {
				return nil
			}
		default:
			for len(subs) < killFrame {
				sub, err := s.room.seal("some words that are not lost")
				if err != nil {
					return err
				}
				s.room.keep()
				subs = append(subs, sub)
				s.mu.Lock()
				s.waiting[groups.SubmissionID(sub.Id)] = sub
				s.mu.Unlock()
			}
		}
		if err := stream.Send(&devicev1.SubmitStreamRequest{Submissions: subs}); err != nil {
			return err
		}
		for answered := 0; answered < len(subs); {
			resp, err := stream.Receive()
			if err != nil {
				return err
			}
			n, err := s.take(resp)
			if err != nil {
				return err
			}
			answered += n
		}
	}
}

// take files what became of submissions: a refusal that does not pass is a fault.
func (s *killSender) take(resp *devicev1.SubmitStreamResponse) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range resp.Receipts {
		var receipt groups.Receipt
		receipt.Decode(wire.NewReader(b))
		if s.waiting[receipt.ID] == nil {
			return 0, fmt.Errorf("a receipt for %x, which does not wait", receipt.ID)
		}
		delete(s.waiting, receipt.ID)
		s.receipts = append(s.receipts, receipt)
	}
	for _, refused := range resp.Refused {
		s.last = refused.Refusal.GetKind() + ": " + refused.Refusal.GetText()
		if !groups.ParseKind(refused.Refusal.GetKind()).Temporary() {
			s.fatal = errors.New(s.last)
		}
	}
	if len(resp.Refused) > 0 {
		time.Sleep(20 * time.Millisecond)
	}
	return len(resp.Receipts) + len(resp.Refused), nil
}

// verify reads all rooms at all nodes, and holds them against each other and
// against all receipts.
func (r *killRig) verify(ctx context.Context, t *testing.T) {
	t.Helper()
	newest := make(map[groups.RoomID]groups.Receipt)
	total := 0
	for _, s := range r.senders {
		if s.fatal != nil {
			t.Errorf("%s: refused for good: %v", s, s.fatal)
		}
		total += len(s.receipts)
		for _, receipt := range s.receipts {
			if receipt.Seq > newest[s.room.id].Seq {
				newest[s.room.id] = receipt
			}
		}
	}
	var first map[groups.RoomID]map[groups.Seq][]byte
	for i := range r.devices {
		var logs map[groups.RoomID]map[groups.Seq][]byte
		check(t, eventually(ctx, func(context.Context) (bool, error) {
			r.again(ctx, i)
			var err error
			if logs, err = r.logs(ctx, r.devices[i]); err != nil {
				return false, nil
			}
			for room, receipt := range newest {
				if logs[room][receipt.Seq] == nil {
					return false, nil
				}
			}
			return true, nil
		}))
		if first == nil {
			first = logs
		}
		for room, log := range logs {
			r.chained(t, room, log)
			for seq, entry := range log {
				if other := first[room][seq]; other != nil && !bytes.Equal(other, entry) {
					t.Errorf("%s: entry %d is another one at %s", room, seq, r.homes[i].node.Node)
				}
			}
		}
		for _, s := range r.senders {
			for _, receipt := range s.receipts {
				e, err := groups.ParseEntry(logs[s.room.id][receipt.Seq])
				if err != nil || e.Hash() != receipt.Hash {
					t.Errorf("LOST: %s: entry %d is not the one of its receipt at %s: %v", s.room.id, receipt.Seq, r.homes[i].node.Node, err)
				}
			}
		}
	}
	t.Logf("%d messages in %d rooms were accepted; each is in its place at every node", total, len(newest))
}

// logs reads all rooms of a device as far as they go.
func (r *killRig) logs(ctx context.Context, d *benchDevice) (map[groups.RoomID]map[groups.Seq][]byte, error) {
	req := &devicev1.TailRequest{}
	for _, room := range r.readable {
		req.Cursors = append(req.Cursors, &devicev1.Cursor{Room: string(room.id)})
	}
	stream, err := d.link.Tail(ctx, req)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	logs := make(map[groups.RoomID]map[groups.Seq][]byte)
	for {
		resp, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return logs, nil
		}
		if err != nil {
			return nil, err
		}
		for _, room := range resp.Rooms {
			id := groups.RoomID(room.Room)
			if logs[id] == nil {
				logs[id] = make(map[groups.Seq][]byte)
			}
			for _, b := range room.Entries {
				e, err := groups.ParseEntry(b)
				if err != nil {
					return nil, err
				}
				logs[id][e.Seq] = b
			}
		}
	}
}

// chained checks a log's hash chain, and that no submission stands in it twice.
func (r *killRig) chained(t *testing.T, room groups.RoomID, log map[groups.Seq][]byte) {
	t.Helper()
	ids := make(map[string]groups.Seq)
	var prev *groups.Entry // the one before
	for seq := groups.Seq(1); len(log) > 0 && seq <= groups.Seq(len(log)+2); seq++ {
		if log[seq] == nil {
			if prev != nil && seq <= groups.Seq(len(log)) {
				t.Errorf("%s: there is no entry %d", room, seq)
			}
			continue // before the device was in the room
		}
		e, err := groups.ParseEntry(log[seq])
		check(t, err)
		if prev != nil && e.Prev != prev.Hash() {
			t.Errorf("%s: entry %d does not follow entry %d", room, seq, prev.Seq)
		}
		prev = e
		if e.Kind != groups.KindMessage {
			continue
		}
		m, err := wire.ParsePrivateMessage(e.Body)
		check(t, err)
		stamp, err := groups.ParseAuthenticatedData(m.AuthenticatedData)
		check(t, err)
		key := string(stamp.Device) + string(stamp.ID[:])
		if ids[key] != 0 {
			t.Errorf("%s: entries %d and %d are the same submission", room, ids[key], seq)
		}
		ids[key] = seq
	}
}
