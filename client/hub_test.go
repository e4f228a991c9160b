package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/coi"
	"parley/groups"
	"parley/mls/wire"
)

// A hub is a gateway and a room's owner in one, in memory: it orders with a
// real Ledger and signs real heads. What it does wrong is asked for by tests.
type hub struct {
	t       *testing.T
	site    groups.SiteID
	node    groups.NodeID
	ca      *coi.CA
	devices *coi.CA
	trust   []client.SiteTrust
	signer  *ordering
	peers   []*hub // whose people this hub lets in
	ordCert []byte

	mu       sync.Mutex
	rooms    map[groups.RoomID]*hubRoom
	packages map[groups.DeviceID][]groups.KeyPackage
	blobs    map[groups.Hash][]byte
	partial  map[groups.Hash][]byte
	welcomes map[groups.DeviceID][]*devicev1.Welcome
	links    map[*hubLink]struct{}
	changed  chan struct{}

	// Faults, guarded by mu.
	down           bool                                                     // nobody can connect
	refuse         func(sub *devicev1.Submission) *devicev1.Refusal         // before the ledger is asked
	lose           func(sub *devicev1.Submission) bool                      // the answer is lost, with the link
	tamper         func(device groups.DeviceID, page *devicev1.RoomEntries) // before it is delivered
	noBlobs        groups.Kind                                              // why no blob is taken; Internal: they are
	failClaims     map[groups.UserID]string                                 // users of whom nothing can be had
	submitted      map[groups.RoomID]int                                    // commits that were asked for
	silent         bool                                                     // no tail says anything of any room
	mute           bool                                                     // no tail says anything at all
	lingers        bool                                                     // a stream's Close returns a second after its end
	forgetful      bool                                                     // only a device's last stay is known
	mangle         func(sub *groups.Submission)                             // changes it before the ledger is asked
	keys           map[groups.DeviceID]ed25519.PrivateKey                   // of devices' certificates
	swallow        bool                                                     // flags get a receipt and no entry
	hostile        bool                                                     // gives its history to anybody who asks
	unveil         func(device groups.DeviceID, page *devicev1.RoomEntries) // changes what a history fetch gets
	given          map[groups.DeviceID]int                                  // entries that history fetches were given
	noHistory      string                                                   // why a history fetch is closed, "" if it is not
	revoked        map[groups.DeviceID]bool                                 // whose certificates the device CA has revoked
	revokedSerials []*big.Int
	cois           *communities // nil: there are none
}

// A hubRoom is a room of a hub.
type hubRoom struct {
	ledger   *groups.Ledger
	entries  [][]byte
	head     *groups.SignedHead
	members  map[groups.DeviceID]*groups.Membership
	receipts map[string]*devicev1.SubmitResponse // by device and id
}

// ordering signs heads.
type ordering struct {
	key  ed25519.PrivateKey
	cert groups.Hash
}

func (o *ordering) SignHeads(root groups.Hash) ([]byte, error) {
	return ed25519.Sign(o.key, groups.HeadsTBS(root)), nil
}
func (o *ordering) Certificate() groups.Hash { return o.cert }

func newHub(t *testing.T, site groups.SiteID) *hub {
	t.Helper()
	now := time.Now()
	ca := must(coi.NewCA(string(site), now))
	ord := must(ca.IssueOrdering("a1", now))
	devices := must(ca.IssueIntermediate(now))
	return &hub{
		t: t, site: site, node: groups.NodeID("mimi://" + string(site) + "/n/a1"), ca: ca, devices: devices,
		trust:    []client.SiteTrust{{Site: site, Roots: [][]byte{ca.Cert.Raw}, Intermediates: [][]byte{devices.Cert.Raw}}},
		signer:   &ordering{ord.Key.(ed25519.PrivateKey), sha256.Sum256(ord.Cert.Raw)},
		ordCert:  ord.Cert.Raw,
		rooms:    make(map[groups.RoomID]*hubRoom),
		packages: make(map[groups.DeviceID][]groups.KeyPackage),
		blobs:    make(map[groups.Hash][]byte), partial: make(map[groups.Hash][]byte),
		welcomes:  make(map[groups.DeviceID][]*devicev1.Welcome),
		links:     make(map[*hubLink]struct{}),
		submitted: make(map[groups.RoomID]int),
		revoked:   make(map[groups.DeviceID]bool),
		given:     make(map[groups.DeviceID]int),
		keys:      make(map[groups.DeviceID]ed25519.PrivateKey),
		changed:   make(chan struct{}),
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// signal wakes all streams. The caller holds mu.
func (h *hub) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// set changes the hub's behaviour.
func (h *hub) set(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
	h.signal()
}

// cut ends all links, as a network would.
func (h *hub) cut() {
	h.mu.Lock()
	links := slices.Collect(maps.Keys(h.links))
	h.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
}

func refusal(err error) error {
	e, ok := errors.AsType[*groups.Error](err)
	if !ok {
		return err
	}
	return &groups.RemoteError{Peer: "hub", Kind: e.Kind, Text: e.Text, Epoch: e.Epoch, Seq: e.Seq}
}

// submit orders a submission.
func (h *hub) submit(l *hubLink, sub *devicev1.Submission) (*devicev1.SubmitResponse, error) {
	if h.refuse != nil {
		if r := h.refuse(sub); r != nil {
			return nil, &groups.RemoteError{Peer: "hub", Kind: groups.ParseKind(r.Kind), Text: r.Text, Epoch: groups.Epoch(r.Epoch), Seq: groups.Seq(r.Seq)}
		}
	}
	id := groups.RoomID(sub.Room)
	r := h.rooms[id]
	if r == nil {
		r = &hubRoom{
			ledger:   groups.NewLedger(id, client.Directory{Trust: h.coiTrust()}),
			members:  make(map[groups.DeviceID]*groups.Membership),
			receipts: make(map[string]*devicev1.SubmitResponse),
		}
	}
	key := string(l.device) + string(sub.Id)
	if again := r.receipts[key]; again != nil {
		return again, nil
	}
	s := groups.Submission{Room: id, Kind: groups.EntryKind(sub.Kind), Device: l.device, Body: sub.Body, Attachments: sub.Attachments}
	copy(s.ID[:], sub.Id)
	if s.Kind == groups.KindCommit {
		h.submitted[id]++
	}
	if h.mangle != nil {
		h.mangle(&s)
	}
	if h.swallow && s.Kind == groups.KindFlag {
		w := wire.NewWriter(nil)
		head := r.ledger.Head()
		(&groups.Receipt{Room: id, ID: s.ID, Seq: head.Seq + 1, Hash: groups.Hash{1}, Epoch: head.Epoch}).Encode(w)
		return &devicev1.SubmitResponse{Receipt: w.Bytes(), Head: r.head.Marshal()}, nil
	}
	step, err := r.ledger.Accept(s, 1, time.Now())
	if err != nil {
		return nil, refusal(err)
	}
	h.rooms[id] = r
	return h.append(r, s, step), nil
}

// append makes a step the room's next entry.
func (h *hub) append(r *hubRoom, s groups.Submission, step *groups.Step) *devicev1.SubmitResponse {
	r.ledger = step.Next
	r.entries = append(r.entries, step.Entry.Marshal())
	signed := must(groups.SignHeads([]groups.Head{r.ledger.Head()}, h.signer))
	r.head = &signed[0]
	tree := groups.HashOf(step.Tree)
	if step.Tree != nil {
		h.blobs[tree] = step.Tree
	}
	for _, d := range step.Removed {
		r.members[d].Leave(step.Entry.Seq)
	}
	for _, d := range step.Added {
		if r.members[d] == nil {
			r.members[d] = &groups.Membership{Room: s.Room}
		}
		r.members[d].Enter(step.Entry.Seq)
		if step.Welcome != nil {
			hash := step.Entry.Hash()
			w := &devicev1.Welcome{
				Room: string(s.Room), Seq: uint64(step.Entry.Seq), Epoch: uint64(step.Next.Head().Epoch),
				Welcome: step.Welcome, Tree: tree[:], EntryHash: hash[:], Head: r.head.Marshal(),
			}
			if step.KeyRecord != nil {
				w.KeyRecord = step.KeyRecord.Marshal()
			}
			h.welcomes[d] = append(h.welcomes[d], w)
		}
	}
	w := wire.NewWriter(nil)
	receipt := groups.Receipt{
		Room: s.Room, ID: s.ID, Seq: step.Entry.Seq, Hash: step.Entry.Hash(), Epoch: step.Entry.Epoch, AcceptedAt: step.Entry.AcceptedAt,
	}
	receipt.Encode(w)
	answer := &devicev1.SubmitResponse{Receipt: w.Bytes(), Head: r.head.Marshal()}
	r.receipts[string(s.Device)+string(s.ID[:])] = answer
	h.signal()
	return answer
}

func (h *hub) coiTrust() *coi.Trust {
	sites := []coi.Site{coi.NewSite(string(h.site), []*x509Cert{h.ca.Cert, h.devices.Cert})}
	for _, p := range h.peers {
		sites = append(sites, coi.NewSite(string(p.site), []*x509Cert{p.ca.Cert, p.devices.Cert}))
	}
	return must(coi.NewTrust(sites...))
}

// entries decodes a room's log.
func (h *hub) log(id groups.RoomID) []*groups.Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []*groups.Entry
	for _, b := range h.rooms[id].entries {
		list = append(list, must(groups.ParseEntry(b)))
	}
	return list
}

// A hubLink is one device's link.
type hubLink struct {
	h      *hub
	device groups.DeviceID
	nonce  []byte
	ctx    context.Context
	cancel context.CancelFunc
}

// connect is client.Config.Connect.
func (h *hub) connect(context.Context, client.Identity) (client.Link, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return nil, groups.Errorf(groups.Unavailable, "the hub is down")
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &hubLink{h: h, ctx: ctx, cancel: cancel}
	h.links[l] = struct{}{}
	return l, nil
}

func (l *hubLink) Close() error {
	l.cancel()
	l.h.mu.Lock()
	delete(l.h.links, l)
	l.h.mu.Unlock()
	return nil
}

func (l *hubLink) broken() error {
	if l.ctx.Err() != nil {
		return groups.Errorf(groups.Unavailable, "the link is cut")
	}
	return nil
}

func (l *hubLink) Call(ctx context.Context, req, resp proto.Message) error {
	if err := errors.Join(ctx.Err(), l.broken()); err != nil {
		return groups.Errorf(groups.Unavailable, "%w", err)
	}
	got, err := l.call(req)
	if err != nil {
		return err
	}
	proto.Merge(resp, got)
	return l.broken()
}

func (l *hubLink) call(req proto.Message) (proto.Message, error) {
	h := l.h
	h.mu.Lock()
	defer h.mu.Unlock()
	switch req := req.(type) {
	case *devicev1.ChallengeRequest:
		l.nonce = []byte("nonce of " + req.Device)
		return &devicev1.ChallengeResponse{Nonce: l.nonce, Node: string(h.node), Site: string(h.site)}, nil
	case *devicev1.LoginRequest:
		return l.login(req)
	case *devicev1.PublishKeyPackagesRequest:
		for _, b := range req.KeyPackages {
			h.packages[l.device] = append(h.packages[l.device], groups.KeyPackage{Device: l.device, Bytes: b})
		}
		return &devicev1.PublishKeyPackagesResponse{Count: uint32(len(h.packages[l.device]))}, nil
	case *devicev1.CountKeyPackagesRequest:
		return &devicev1.CountKeyPackagesResponse{Count: uint32(len(h.packages[l.device]))}, nil
	case *devicev1.ClaimKeyPackagesRequest:
		return h.claim(req), nil
	case *devicev1.ListDevicesRequest:
		answer := new(devicev1.ListDevicesResponse)
		for _, d := range slices.Sorted(maps.Keys(h.packages)) {
			if string(d.User()) == req.User {
				answer.Devices = append(answer.Devices, &devicev1.Device{Device: string(d), KeyPackages: uint32(len(h.packages[d]))})
			}
		}
		return answer, nil
	case *devicev1.ListWelcomesRequest:
		return &devicev1.ListWelcomesResponse{Welcomes: slices.Clone(h.welcomes[l.device])}, nil
	case *devicev1.SubmitRequest:
		answer, err := h.submit(l, req.Submission)
		if err == nil && h.lose != nil && h.lose(req.Submission) {
			l.cancel()
		}
		return answer, err
	case *devicev1.AckRequest:
		for _, c := range req.Welcomes {
			h.welcomes[l.device] = slices.DeleteFunc(h.welcomes[l.device], func(w *devicev1.Welcome) bool { return w.Room == c.Room && w.Seq <= c.Seq })
		}
		return &devicev1.AckResponse{}, nil
	case *devicev1.DescribeRoomRequest:
		return h.describe(l.device, groups.RoomID(req.Room))
	case *devicev1.StatBlobRequest:
		return h.stat(req)
	case *devicev1.PutBlobRequest:
		return h.put(req)
	}
	return nil, groups.Errorf(groups.Invalid, "unexpected %T", req)
}

func (l *hubLink) login(req *devicev1.LoginRequest) (proto.Message, error) {
	subject, err := l.h.coiTrust().Verify(req.Chain, coi.Device, time.Now())
	if err == nil {
		err = coi.VerifySignature(subject.Key, coi.Login{Node: string(l.h.node), Device: req.Device, Nonce: l.nonce}.Message(), req.Signature)
	}
	if err != nil || subject.URI != req.Device {
		return nil, &groups.RemoteError{Peer: "hub", Kind: groups.Denied, Text: "login"}
	}
	l.device = groups.DeviceID(req.Device)
	return &devicev1.LoginResponse{
		Session: "s", ExpiresUnix: time.Now().Add(time.Hour).Unix(), OrderingCertificates: [][]byte{l.h.ordCert},
	}, nil
}

func (h *hub) claim(req *devicev1.ClaimKeyPackagesRequest) *devicev1.ClaimKeyPackagesResponse {
	answer := new(devicev1.ClaimKeyPackagesResponse)
	for _, u := range req.Users {
		if why := h.failClaims[groups.UserID(u)]; why != "" {
			answer.Failures = append(answer.Failures, &devicev1.ClaimFailure{User: u, Kind: "unavailable", Text: why})
			continue
		}
		for d, list := range h.packages {
			if string(d.User()) == u && len(list) > 0 {
				answer.KeyPackages = append(answer.KeyPackages, &devicev1.KeyPackage{Device: string(d), KeyPackage: list[0].Bytes})
				h.packages[d] = list[1:]
			}
		}
	}
	return answer
}

func (h *hub) stat(req *devicev1.StatBlobRequest) (proto.Message, error) {
	hash := groups.Hash(req.Hash)
	if b, ok := h.blobs[hash]; ok {
		return &devicev1.StatBlobResponse{Have: uint64(len(b)), Size: uint64(len(b)), Complete: true}, nil
	}
	return &devicev1.StatBlobResponse{Have: uint64(len(h.partial[hash]))}, nil
}

func (h *hub) put(req *devicev1.PutBlobRequest) (proto.Message, error) {
	hash := groups.Hash(req.Hash)
	if h.noBlobs != groups.Internal {
		return nil, &groups.RemoteError{Kind: h.noBlobs, Text: "no blobs"}
	}
	if int(req.Offset) != len(h.partial[hash]) || len(req.Chunk) > groups.BlobChunk {
		return nil, &groups.RemoteError{Kind: groups.Invalid, Text: "offset"}
	}
	h.partial[hash] = append(h.partial[hash], req.Chunk...)
	have := uint64(len(h.partial[hash]))
	if have == req.Size {
		if groups.HashOf(h.partial[hash]) != hash {
			return nil, &groups.RemoteError{Kind: groups.Invalid, Text: "hash"}
		}
		h.blobs[hash] = h.partial[hash]
	}
	return &devicev1.PutBlobResponse{Have: have, Complete: have == req.Size}, nil
}

// A hubStream is a stream whose answers are made by next, which returns nil to
// wait for the hub to change.
type hubStream[T any] struct {
	l      *hubLink
	ctx    context.Context
	cancel context.CancelFunc
	next   func() (*T, error)
}

func newStream[T any](l *hubLink, ctx context.Context, next func() (*T, error)) *hubStream[T] {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	return &hubStream[T]{l, ctx, func() { stop(); cancel() }, next}
}

func (s *hubStream[T]) Receive() (*T, error) {
	for {
		s.l.h.mu.Lock()
		answer, err := s.next()
		changed := s.l.h.changed
		s.l.h.mu.Unlock()
		switch {
		case s.ctx.Err() != nil:
			return nil, groups.Errorf(groups.Unavailable, "the stream has ended")
		case answer != nil || err != nil:
			return answer, err
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
		}
	}
}

func (s *hubStream[T]) Close() error {
	s.cancel()
	s.l.h.mu.Lock()
	lingers := s.l.h.lingers
	s.l.h.mu.Unlock()
	if lingers {
		time.Sleep(time.Second)
	}
	return nil
}

func (l *hubLink) Blob(ctx context.Context, req *devicev1.GetBlobRequest) (client.Receiver[devicev1.GetBlobResponse], error) {
	l.h.mu.Lock()
	blob, ok := l.h.blobs[groups.Hash(req.Hash)]
	l.h.mu.Unlock()
	if !ok {
		return nil, &groups.RemoteError{Kind: groups.NotFound, Text: "no such blob"}
	}
	rest := blob[req.Offset:]
	return newStream(l, ctx, func() (*devicev1.GetBlobResponse, error) {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		n := min(len(rest), 10_000)
		part := rest[:n]
		rest = rest[n:]
		return &devicev1.GetBlobResponse{Size: uint64(len(blob)), Chunk: part}, nil
	}), nil
}

// A tailing is one Tail stream.
type tailing struct {
	l       *hubLink
	at      map[groups.RoomID]groups.Seq
	welcome map[string]bool
	caught  bool
}

func (l *hubLink) Tail(ctx context.Context, req *devicev1.TailRequest) (client.Receiver[devicev1.TailResponse], error) {
	if req.History {
		return l.tailPast(ctx, req), nil
	}
	t := &tailing{l: l, at: make(map[groups.RoomID]groups.Seq), welcome: make(map[string]bool)}
	for _, c := range req.Cursors {
		t.at[groups.RoomID(c.Room)] = groups.Seq(c.Seq)
	}
	return newStream(l, ctx, t.next), nil
}

// next returns what is new for the device: of each room what is left of the
// stay that its cursor lies in, and then the Welcome of the next.
func (t *tailing) next() (*devicev1.TailResponse, error) {
	h, device := t.l.h, t.l.device
	if h.mute {
		return nil, nil
	}
	answer := new(devicev1.TailResponse)
	for _, id := range slices.Sorted(maps.Keys(h.rooms)) {
		r := h.rooms[id]
		m := r.members[device]
		if m == nil || h.silent {
			continue
		}
		if t.at[id] == 0 {
			t.at[id] = m.Joined - 1
			if w := h.welcomes[device]; len(w) > 0 {
				t.at[id] = min(t.at[id], groups.Seq(w[0].Seq)-1)
			}
		}
		stay, in := m.After(t.at[id])
		if h.forgetful {
			stay, in = m.Stay, true
		}
		for _, w := range h.welcomes[device] {
			key := w.Room + string(w.EntryHash)
			if w.Room == string(id) && !t.welcome[key] && groups.Seq(w.Seq) <= stay.Joined {
				t.welcome[key] = true
				answer.Welcomes = append(answer.Welcomes, w)
			}
		}
		from := max(t.at[id], stay.Joined-1)
		end := groups.Seq(len(r.entries))
		if stay.Left > 0 {
			end = stay.Left
		}
		if to := min(end, from+50); in && from < to {
			page := &devicev1.RoomEntries{Room: string(id), Entries: slices.Clone(r.entries[from:to]), Head: r.head.Marshal()}
			if h.tamper != nil {
				h.tamper(device, page)
			}
			answer.Rooms = append(answer.Rooms, page)
			t.at[id] = to
		}
	}
	if len(answer.Rooms)+len(answer.Welcomes) == 0 {
		if t.caught {
			return nil, nil
		}
		t.caught = true
		answer.CaughtUp = true
	}
	return answer, nil
}

// A hubSubmit is a SubmitStream.
type hubSubmit struct {
	*hubStream[devicev1.SubmitStreamResponse]
	queue []*devicev1.SubmitStreamResponse // guarded by hub.mu
}

func (l *hubLink) Submit(ctx context.Context) (client.SubmitStream, error) {
	s := new(hubSubmit)
	s.hubStream = newStream(l, ctx, func() (*devicev1.SubmitStreamResponse, error) {
		if len(s.queue) == 0 {
			return nil, nil
		}
		next := s.queue[0]
		s.queue = s.queue[1:]
		return next, nil
	})
	return s, nil
}

func (s *hubSubmit) Send(req *devicev1.SubmitStreamRequest) error {
	h := s.l.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.ctx.Err() != nil {
		return groups.Errorf(groups.Unavailable, "the stream has ended")
	}
	answer := new(devicev1.SubmitStreamResponse)
	for _, sub := range req.Submissions {
		got, err := h.submit(s.l, sub)
		if err != nil {
			e, ok := errors.AsType[*groups.RemoteError](err)
			if !ok {
				return err
			}
			answer.Refused = append(answer.Refused, &devicev1.Refused{Id: sub.Id, Refusal: &devicev1.Refusal{
				Kind: e.Kind.String(), Text: e.Text, Epoch: uint64(e.Epoch), Seq: uint64(e.Seq),
			}})
			continue
		}
		answer.Receipts = append(answer.Receipts, got.Receipt)
		answer.Heads = append(answer.Heads, got.Head)
		if h.lose != nil && h.lose(sub) {
			s.l.cancel()
			return nil
		}
	}
	s.queue = append(s.queue, answer)
	h.signal()
	return nil
}

// A forked is a room's log at the moment in which its hub begins to lie.
type forked struct {
	id  groups.RoomID
	old hubRoom
}

// fork remembers a room, so that another history can begin here.
func (h *hub) fork(id groups.RoomID) forked {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := *h.rooms[id]
	old.entries = slices.Clone(old.entries)
	return forked{id, old}
}

// crossOver replaces a room's log by the remembered one, and orders there the
// last message of a device, which has seen the other history.
func (h *hub) crossOver(f forked, from groups.DeviceID) {
	now := h.rooms[f.id]
	body := must(groups.ParseEntry(now.entries[len(now.entries)-1])).Body
	other := f.old
	other.members, other.receipts = now.members, now.receipts
	h.rooms[f.id] = &other
	// An honest ledger refuses a message that has seen more than there is, so
	// the histories have to be of one length first.
	for len(other.entries) < len(now.entries)-1 {
		h.repeat(f.id, must(groups.ParseEntry(other.entries[len(other.entries)-1])).Body)
	}
	h.repeat(f.id, body)
}

// repeat puts a message next without asking the ledger.
func (h *hub) repeat(id groups.RoomID, body []byte) {
	r := h.rooms[id]
	last := must(groups.ParseEntry(r.entries[len(r.entries)-1]))
	e := groups.Entry{Body: body}
	e.EntryHeader = last.EntryHeader
	e.Seq, e.Prev, e.BodyHash, e.Kind = last.Seq+1, last.Hash(), sha256.Sum256(body), groups.KindMessage
	r.entries = append(r.entries, e.Marshal())
	head := r.head.Head
	head.Seq, head.Hash = e.Seq, e.Hash()
	signed := must(groups.SignHeads([]groups.Head{head}, h.signer))
	r.head = &signed[0]
	h.signal()
}
