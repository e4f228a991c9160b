package federation

import (
	"context"
	"sync"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// calls are the questions on a link that are not answered.
type calls struct {
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan *linkv1.Answer // bounded by who asks: each waits for its answer
}

func newCalls() *calls { return &calls{waiting: make(map[uint64]chan *linkv1.Answer)} }

// ask sends a call and waits for its answer until ctx or the link ends.
func (l *link) ask(ctx context.Context, c *linkv1.Call) (*linkv1.Answer, error) {
	answer := make(chan *linkv1.Answer, 1)
	l.calls.mu.Lock()
	l.calls.next++
	c.Request = l.calls.next
	l.calls.waiting[c.Request] = answer
	l.calls.mu.Unlock()
	defer func() {
		l.calls.mu.Lock()
		delete(l.calls.waiting, c.Request)
		l.calls.mu.Unlock()
	}()
	if err := l.lanes[laneControl].out.add(&linkv1.Frame{Calls: []*linkv1.Call{c}}, maxOutbox); err != nil {
		return nil, groups.Errorf(groups.Busy, "too much waits for %s: try again later", l.peer)
	}
	select {
	case a := <-answer:
		if a.Refusal != nil {
			return nil, remote(l.peer, a.Refusal)
		}
		return a, nil
	case <-ctx.Done():
		return nil, groups.Errorf(groups.Unavailable, "%s did not answer in time", l.peer)
	case <-l.ctx.Done():
		return nil, groups.Errorf(groups.Unavailable, "the link to %s ended", l.peer)
	}
}

// answered gives an answer to who waits; a late one is dropped.
func (c *calls) answered(a *linkv1.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waiting := c.waiting[a.Request]; waiting != nil {
		waiting <- a
		delete(c.waiting, a.Request)
	}
}

// asked answers a call in a goroutine of its own, at most maxCalls at a time.
func (l *link) asked(ctx context.Context, c *linkv1.Call) {
	if l.asking.Add(1) > maxCalls {
		l.asking.Add(-1)
		l.reply(&linkv1.Answer{Request: c.Request, Refusal: refusal(groups.Errorf(groups.Busy, "too many calls at once: try again later"))})
		return
	}
	l.node.wg.Go(func() {
		defer l.asking.Add(-1)
		ctx, cancel := context.WithTimeout(ctx, callTime)
		defer cancel()
		a := &linkv1.Answer{Request: c.Request}
		if err := l.fill(ctx, c, a); err != nil {
			a.Refusal = refusal(err)
		}
		l.reply(a)
	})
}

// fill answers what a call asks for.
func (l *link) fill(ctx context.Context, c *linkv1.Call, a *linkv1.Answer) error {
	switch ask := c.Ask.(type) {
	case *linkv1.Call_Claim:
		claimed, err := l.claimed(ctx, ask.Claim)
		a.Give = &linkv1.Answer_Claim{Claim: claimed}
		return err
	case *linkv1.Call_Devices:
		seen, err := l.devicesSeen(ask.Devices)
		a.Give = &linkv1.Answer_Devices{Devices: seen}
		return err
	default:
		return groups.Errorf(groups.Invalid, "%s does not know this call", l.node.cfg.Node)
	}
}

func (l *link) reply(a *linkv1.Answer) {
	if l.lanes[laneControl].out.add(&linkv1.Frame{Answers: []*linkv1.Answer{a}}, hardOutbox) != nil {
		l.close(errOutboxFull)
	}
}
