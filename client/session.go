package client

import (
	"context"
	"fmt"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/coi"
	"parley/groups"
)

// A session is one login at one gateway. Its maps and plain fields are guarded
// by Device.mu.
type session struct {
	link Link

	heads    *HeadVerifier
	expires  time.Time // zero if the gateway does not say
	loggedIn time.Time
	caughtUp bool
	watched  bool                        // the communities of all rooms were looked at
	flying   map[MessageID]groups.RoomID // submissions without outcome, at most maxFlying
	due      map[groups.RoomID]time.Time // rooms that need a commit, and when
	gaps     map[groups.RoomID]int       // how often entries were missing
	shut     map[groups.RoomID]int       // how often the gateway would not serve a room
	asked    map[groups.RoomID]int       // shut, when it was asked again
	early    map[groups.RoomID]bool      // rooms with a Welcome that waits
	over     map[groups.RoomID]bool      // rooms of whose stay no more comes
	readUp   bool                        // what was there of rooms that are read has been read
	closed   map[groups.RoomID]time.Time // when the gateway would not give a room that is read
	looked   bool                        // for members that are to be out, in all rooms
	kept     bool                        // the first round of upkeep is done

	// Channels of one: who is poked looks at everything again.
	wakeSend chan struct{} // the outbox has something to send
	wakeAck  chan struct{} // a cursor has moved
	wakeWork chan struct{} // there is upkeep to do
	wakeTail chan struct{} // the tail has to be opened again
	wakeTell chan struct{} // a key is to be announced
	wakeRead chan struct{} // the tail of rooms that are read has to be opened again
	wakeOpen chan struct{} // there is something to be opened with keys of others
}

func newSession(link Link) *session {
	one := func() chan struct{} { return make(chan struct{}, 1) }
	return &session{
		link:   link,
		flying: make(map[MessageID]groups.RoomID),
		due:    make(map[groups.RoomID]time.Time),
		gaps:   make(map[groups.RoomID]int),
		shut:   make(map[groups.RoomID]int),
		asked:  make(map[groups.RoomID]int),
		early:  make(map[groups.RoomID]bool),
		over:   make(map[groups.RoomID]bool),
		closed: make(map[groups.RoomID]time.Time),

		wakeSend: one(), wakeAck: one(), wakeWork: one(), wakeTail: one(), wakeTell: one(),
		wakeRead: one(), wakeOpen: one(),
	}
}

// poke wakes whoever waits on a channel of one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake already
	}
}

// renewEarly is how long before its end a session is renewed.
const renewEarly = 30 * time.Second

// login opens a session, or renews it: the device signs the gateway's
// challenge with the key of its certificate.
func (d *Device) login(ctx context.Context, s *session) error {
	me := d.self.Load()
	var challenge devicev1.ChallengeResponse
	if err := s.link.Call(ctx, &devicev1.ChallengeRequest{Device: string(d.id)}, &challenge); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	node, err := groups.ParseNodeID(challenge.Node)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	if node.Site() != d.id.Site() {
		return groups.Errorf(groups.Denied, "log in: %s is not a node of %s", node, d.id.Site())
	}
	signature, err := coi.Sign(me.signer, coi.Login{Node: challenge.Node, Device: string(d.id), Nonce: challenge.Nonce}.Message())
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	var answer devicev1.LoginResponse
	err = s.link.Call(ctx, &devicev1.LoginRequest{
		Device: string(d.id), Chain: me.Chain, Nonce: challenge.Nonce, Signature: signature,
	}, &answer)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.heads = NewHeadVerifier(me.trust, answer.OrderingCertificates, d.cfg.Now)
	s.loggedIn = d.cfg.Now()
	if answer.ExpiresUnix > 0 {
		s.expires = time.Unix(answer.ExpiresUnix, 0)
	}
	return nil
}

// renewal returns how long the session may go on before it is renewed.
func (d *Device) renewal(s *session) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.expires.IsZero() {
		return 24 * time.Hour
	}
	left := s.expires.Sub(d.cfg.Now())
	return max(left-min(renewEarly, left/4), time.Second)
}

// renew keeps the session alive until ctx ends.
func (d *Device) renew(ctx context.Context, s *session) error {
	for {
		if err := pause(ctx, d.renewal(s)); err != nil {
			return err
		}
		if err := d.login(ctx, s); err != nil {
			return err
		}
	}
}

// online returns the session in use, for an act that needs one.
func (d *Device) online(act string) (*session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return nil, offlineError(act)
	}
	return d.session, nil
}

// attend has a room looked after by upkeep, after a while. The caller holds
// d.mu.
func (d *Device) attend(room groups.RoomID, after time.Duration) {
	s := d.session
	if s == nil {
		return // the next session looks at all rooms
	}
	due := d.cfg.Now().Add(after)
	if was, there := s.due[room]; !there || due.Before(was) {
		s.due[room] = due
		poke(s.wakeWork)
	}
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
