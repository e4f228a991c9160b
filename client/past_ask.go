package client

import (
	"cmp"
	"context"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"slices"

	"parley/coi"
	"parley/coi/wrap"
	"parley/groups"
)

const (
	// askBatch is how many keys are asked for at once.
	askBatch = 256
	// pastReason is what the service's log says the keys are for.
	pastReason = "history of a room on a device of a member"
	readReason = "a reader's device"
)

// errUnasked says that no service could be asked.
var errUnasked = errors.New("no unwrap service answers")

// open asks for the keys of all epochs with messages that wait, batch by batch,
// and opens the messages of each.
func (p *past) open(ctx context.Context) error {
	waiting, err := p.waiting()
	if err != nil {
		return err
	}
	p.progress.Stage, p.progress.Epochs = "asking for keys", len(waiting)
	p.tell(p.progress)
	c := newChain(p.epochs, p.d.id)
	for batch := range slices.Chunk(waiting, askBatch) {
		keys, err := p.keys(ctx, c, batch)
		if err != nil {
			return err
		}
		if err := p.openBatch(batch, keys); err != nil {
			return err
		}
		p.progress.Keys += len(batch)
		p.tell(p.progress)
	}
	return nil
}

// keys gets the keys of some epochs: nil for one that can not be had, which is
// told in the report.
func (p *past) keys(ctx context.Context, c *chain, batch []*pastEpoch) (map[*pastEpoch]*groups.RoomKey, error) {
	parts := make(map[*pastEpoch]map[groups.CoIID][]byte)
	for _, community := range p.communities(batch) {
		var ask []*pastEpoch
		for _, e := range batch {
			if e.Record != nil && names(e, community.Name) && !satisfied(e, parts[e]) {
				ask = append(ask, e)
			}
		}
		got, err := p.ask(ctx, c, community, ask)
		if errors.Is(err, errUnasked) && ctx.Err() == nil {
			p.d.cfg.Log.Info("keys of the past", "room", p.room, "community", community.Name, "error", err)
			p.unasked(ask, community.Name, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		for e, part := range got {
			if parts[e] == nil {
				parts[e] = make(map[groups.CoIID][]byte)
			}
			parts[e][community.Name] = part
		}
	}
	keys := make(map[*pastEpoch]*groups.RoomKey)
	var wrong []*pastEpoch
	for _, e := range batch {
		key, lie := p.assemble(e, parts[e])
		if lie {
			wrong = append(wrong, e)
		}
		if key != nil {
			keys[e] = key
			p.report.Keys++
		}
	}
	return keys, p.blame(ctx, c, wrong, parts, keys)
}

// communities lists whom to ask about some epochs: this device's own site first.
func (p *past) communities(batch []*pastEpoch) []groups.CoI {
	var list []groups.CoI
	for i := len(batch) - 1; i >= 0; i-- { // the newest addresses
		policy := batch[i].policy()
		for _, c := range policy.CoIs {
			if !slices.ContainsFunc(list, func(o groups.CoI) bool { return o.Name == c.Name }) {
				list = append(list, c)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b groups.CoI) int {
		own := func(c groups.CoI) int {
			if c.Name.Site() == p.d.id.Site() {
				return 0
			}
			return 1
		}
		return own(a) - own(b)
	})
	return list
}

// names says whether an epoch's key is wrapped to a community.
func names(e *pastEpoch, name groups.CoIID) bool {
	return slices.ContainsFunc(e.Record.Recipients, func(r groups.CoIRecipient) bool { return r.Name == name })
}

// satisfied says whether the parts that were given out are enough.
func satisfied(e *pastEpoch, parts map[groups.CoIID][]byte) bool {
	policy := e.policy()
	if policy.Mode == groups.CoIAll {
		return len(parts) == len(policy.CoIs)
	}
	return len(parts) > 0
}

// assemble makes an epoch's key of what communities gave, and holds it against
// the commitment in the record. lie says that they gave something else.
func (p *past) assemble(e *pastEpoch, parts map[groups.CoIID][]byte) (key *groups.RoomKey, lie bool) {
	if e.Record == nil {
		p.unreadable(e, "its key was never wrapped to anybody")
		return nil, false
	}
	if !satisfied(e, parts) {
		p.unreadable(e, cmp.Or(e.why, "the communities' services do not give its key to this device"))
		return nil, false
	}
	key = e.keyOf(parts)
	return key, key == nil
}

// keyOf joins parts to the key that the epoch's record commits to, nil if they
// are of another one, or of none.
func (e *pastEpoch) keyOf(parts map[groups.CoIID][]byte) *groups.RoomKey {
	all := slices.Collect(maps.Values(parts))
	var secret []byte
	var err error
	if policy := e.policy(); policy.Mode == groups.CoIAll {
		secret, err = wrap.Combine(all...)
	} else {
		secret = slices.Clone(all[0]) // in this mode one is asked for
	}
	defer clear(secret)
	if err != nil {
		return nil
	}
	key, err := groups.ParseRoomKeyBytes(secret)
	if err != nil || e.keyID(key) != e.Record.KeyID {
		return nil
	}
	return &key
}

// ask asks one community about some epochs. An epoch that it does not give a key
// for is left out of the answer.
func (p *past) ask(ctx context.Context, c *chain, community groups.CoI, list []*pastEpoch) (map[*pastEpoch][]byte, error) {
	var at []int
	for _, e := range list {
		at = append(at, e.place)
	}
	got := make(map[*pastEpoch][]byte)
	if len(at) == 0 {
		return got, nil
	}
	answer, asked, err := p.request(ctx, c, community, at, -1)
	if err != nil || len(asked) == 0 {
		return got, err
	}
	if mark := markOf(answer, p.room); !p.reader && mark >= 0 && mark < len(p.epochs) && mark != c.last && slices.ContainsFunc(answer.Parts, isNil) {
		// The service knows an older epoch as the newest: show it the way from there.
		if answer, asked, err = p.request(ctx, c, community, at, mark); err != nil {
			return got, err
		}
	}
	why := p.denial(c, markOf(answer, p.room))
	for i, part := range answer.Parts {
		e := p.epochs[asked[i]]
		if e.why = why; part != nil {
			got[e], e.why = part, ""
		}
	}
	return got, nil
}

// denial says why a service may have denied keys, as far as it shows; empty if
// it does not.
func (p *past) denial(c *chain, mark int) string {
	switch {
	case p.reader:
		return ""
	case mark >= len(p.epochs):
		return "the unwrap service knows a later key of the room than the gateway shows: the gateway holds entries back"
	case c.last < 0:
		return "this device has no place in any epoch whose key was wrapped"
	}
	end := p.epochs[c.last].Record.NotAfter
	if end != 0 && uint64(p.d.cfg.Now().UnixMilli()) > end {
		return "the last key of the room has ended: make a new one (parley keys new), then try again"
	}
	return ""
}

func isNil(b []byte) bool { return b == nil }

// markOf is the newest epoch of a room that a service knows, -1 for none.
func markOf(a *groups.KeyAnswer, room groups.RoomID) int {
	for _, m := range a.Marks {
		if m.Room == room && m.Epoch < maxPastEpochs {
			return int(m.Epoch)
		}
	}
	return -1
}

// request makes one request and has it answered. It returns which epochs were
// asked for: those that there is a right to.
func (p *past) request(ctx context.Context, c *chain, community groups.CoI, at []int, mark int) (*groups.KeyAnswer, []int, error) {
	q := &groups.KeyRequest{CoI: community.Name, Device: p.d.id, Reason: pastReason}
	var asked []int
	var err error
	if p.reader {
		q.Reason = readReason
		asked, err = p.readerItems(q, community.Name, at)
	} else {
		asked, err = p.memberItems(q, c, at, mark)
	}
	if err != nil || len(asked) == 0 {
		return nil, nil, err
	}
	answer, err := p.send(ctx, &community, q)
	if err == nil && len(answer.Parts) != len(asked) {
		err = groups.Errorf(groups.Invalid, "%s answers %d of %d", community.Name, len(answer.Parts), len(asked))
	}
	return answer, asked, err
}

// readerItems asks as a device that the policy lets read.
func (p *past) readerItems(q *groups.KeyRequest, name groups.CoIID, at []int) (asked []int, err error) {
	for _, i := range at {
		e := p.epochs[i]
		policy := e.policy()
		if !slices.Contains(policy.Readers, name) {
			p.refused(i, "the room's policy had no readers of "+string(name)+" then")
			continue
		}
		it := groups.KeyItem{Standing: groups.StandingReader}
		if it.Proven, err = e.proven(); err != nil {
			return nil, err
		}
		q.Items, asked = append(q.Items, it), append(asked, i)
	}
	return asked, nil
}

// memberItems asks as a member, with the anchors that show it.
func (p *past) memberItems(q *groups.KeyRequest, c *chain, at []int, mark int) (asked []int, err error) {
	from := slices.Clone(at)
	if mark >= 0 {
		from = append(from, mark)
	}
	anchors := c.anchors(from...)
	if mark >= 0 && !slices.Contains(anchors, mark) {
		anchors = append(anchors, mark)
		slices.Sort(anchors)
	}
	if len(anchors) > groups.MaxAnchors {
		anchors = anchors[len(anchors)-groups.MaxAnchors:]
	}
	places := make(map[int]int, len(anchors))
	for i, a := range anchors {
		places[a] = i
	}
	for _, i := range anchors {
		a, err := c.anchor(i, places, p.d.id)
		if err != nil {
			return nil, err
		}
		q.Anchors = append(q.Anchors, a)
	}
	for _, i := range at {
		it, why, err := c.item(i, places, p.d.id)
		if err != nil {
			return nil, err
		}
		if _, reached := places[c.next[i]]; why == "" && i != c.last && !reached {
			why = "too many makers of keys lie between then and now"
		}
		if why != "" {
			p.refused(i, why)
			continue
		}
		q.Items, asked = append(q.Items, it), append(asked, i)
	}
	return asked, nil
}

// unasked notes that a community was not reached, unless something else is
// known to be in the way.
func (p *past) unasked(list []*pastEpoch, name groups.CoIID, err error) {
	why := fmt.Sprintf("no unwrap service of %s answers: try again", name)
	if kindOf(err) == groups.Denied {
		why = fmt.Sprintf("the unwrap services of %s give this device nothing", name)
	}
	for _, e := range list {
		e.why = cmp.Or(e.why, why)
	}
}

// refused notes why an epoch was not asked for; it is told once.
func (p *past) refused(i int, why string) { p.epochs[i].why = why }

// send has a request answered. The services of a community are gone round from a
// random one on.
func (p *past) send(ctx context.Context, community *groups.CoI, q *groups.KeyRequest) (*groups.KeyAnswer, error) {
	first := mrand.IntN(max(len(community.Unwrap), 1))
	errs := []error{errUnasked}
	for i := range community.Unwrap {
		url := community.Unwrap[(first+i)%len(community.Unwrap)]
		answer, err := p.d.unwrapAt(ctx, community, url, q)
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// unwrapAt signs a request to one service, has it answered, and opens the
// answer.
func (d *Device) unwrapAt(ctx context.Context, community *groups.CoI, url string, q *groups.KeyRequest) (*groups.KeyAnswer, error) {
	private, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make a response key: %w", err)
	}
	held, err := d.desk.services.Held(ctx, community, url)
	if err != nil {
		return nil, err
	}
	q.ResponseKey = private.PublicKey().Bytes()
	q.Service, q.Time = held.Service, uint64(d.cfg.Now().UnixMilli())
	rand.Read(q.Nonce[:])
	request := q.Marshal()
	signature, err := coi.Sign(d.self.Load().signer, q.SigningBytes())
	if err != nil {
		return nil, err
	}
	sealed, err := d.desk.services.Unwrap(ctx, community, url, request, signature)
	if err != nil {
		return nil, err
	}
	return groups.OpenKeyAnswer(sealed, request, private)
}
