package mls

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// liveSteps is how many steps all lives have together, and MLS_LIVES another
// number for a longer run; MLS_LIVES_SEED is the first seed of it.
const liveSteps = 10_000

// A life is one world to be lived in.
type life struct {
	seed  uint64
	suite suite.ID
	limit int // members
	steps int
	// private sends handshakes as PrivateMessages half of the time, so that no
	// observer can follow.
	private bool
}

// lives divides the steps: most are of small groups in suite 1, some of the
// others, some of up to 24 members.
func lives(t *testing.T) (list []life) {
	total, seed := number(t, "MLS_LIVES", liveSteps), uint64(number(t, "MLS_LIVES_SEED", 0))
	others := map[uint64]suite.ID{3: 2, 9: 3, 13: 7, 19: 5, 23: suite.MLKEM768X25519AES128SHA256Ed25519}
	for ; total > 0; seed++ {
		l := life{seed: seed, suite: 1, limit: 2 + int(seed%5), steps: 250, private: seed%4 == 1}
		if id, ok := others[seed%27]; ok {
			l.suite, l.limit, l.steps = id, 4, 60
		} else if seed%9 == 8 {
			l.limit, l.steps = 24, 60
		}
		l.steps = min(l.steps, total)
		total -= l.steps
		list = append(list, l)
	}
	return list
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	must(t, err)
	return n
}

// Members come, by Welcome and by themselves, and go, leave, update, mix in PSKs
// and replace extensions; they speak, are read out of order, miss commits and get
// them late, twice and in the wrong order, lose their state, and are restarted
// from what was durable at any time. After each step all agree, and so does an
// Observer who has no secrets; no key is ever used twice.
func TestRandomLives(t *testing.T) {
	for _, l := range lives(t) {
		t.Run(fmt.Sprintf("seed=%d", l.seed), func(t *testing.T) {
			t.Parallel()
			defer func() {
				if t.Failed() {
					t.Logf("again: MLS_LIVES_SEED=%d MLS_LIVES=%d go test ./mls -run TestRandomLives (suite %d, limit %d)", l.seed, l.steps, l.suite, l.limit)
				}
			}()
			l.live(t)
		})
	}
}

// TestCrashBetweenWrites lives with little but restarts: whatever was handled and
// not written yet is handled again and ends in the same state, to the byte; a
// commit of one's own is there before or after; "Generations can never be reused
// after a restart".
func TestCrashBetweenWrites(t *testing.T) {
	for seed := range uint64(4) {
		w := life{seed: 1000 + seed, suite: 1, limit: 4, private: seed%2 == 1}.begin(t)
		for range 60 {
			w.step()
			for _, q := range w.present() {
				w.crash(q)
			}
			w.speak()
		}
		w.end()
	}
}

func (l life) live(t *testing.T) {
	w := l.begin(t)
	for range l.steps {
		w.step()
	}
	w.end()
}

// A world is a group with all that can happen to it.
type world struct {
	t        *testing.T
	r        *rand.Rand
	life     life
	suite    *suite.Suite
	members  []*dweller
	observer *tree.Observer // nil if handshakes are private
	names    int
	late     []letter // messages not yet delivered to everybody
	leaving  [][]byte // SelfRemoves of this epoch
	used     map[useOfKey]bool
}

// A useOfKey names a message key.
type useOfKey struct {
	epoch      uint64
	leaf       wire.LeafIndex
	generation uint32
}

// A dweller is a member with a disk.
type dweller struct {
	*person
	away   bool
	inbox  [][]byte // handshakes that came while away
	unread [][]byte // what was handled, or opened, since the last write
}

// A letter is a message on its way.
type letter struct {
	text    string
	message []byte
	from    *dweller
	to      []*dweller
}

func (l life) begin(t *testing.T) *world {
	s, err := suite.Lookup(l.suite)
	must(t, err)
	w := &world{t: t, r: rand.New(rand.NewPCG(l.seed, 7)), life: l, suite: s, used: make(map[useOfKey]bool)}
	first := w.somebody()
	first.create(t)
	w.members = []*dweller{first}
	w.flush(first)
	if !l.private {
		m, err := wire.Unmarshal[wire.MLSMessage](first.info(t))
		must(t, err)
		w.observer, err = tree.NewObserver(m.GroupInfo, first.group.Tree(), w.config())
		must(t, err)
	}
	return w
}

// end wakes everybody and delivers what is late.
func (w *world) end() {
	w.t.Helper()
	for len(w.members) > 0 && w.wakeOne() {
	}
	w.deliver(len(w.late))
	w.agree()
}

// wakeOne wakes one who is away; false if nobody is.
func (w *world) wakeOne() bool {
	for _, q := range w.members {
		if q.away {
			w.wake(q)
			return true
		}
	}
	return false
}

func (w *world) config() *tree.Config {
	return &tree.Config{Credentials: anyone{}, Now: start, Accept: everything}
}

// somebody is a new person, who knows the world's PSK and accepts whoever comes.
func (w *world) somebody() *dweller {
	w.names++
	p := newPerson(w.t, w.suite, fmt.Sprintf("person %d", w.names))
	p.policy = Policy{PSKs: purse{"of the world": []byte("secret")}, Accept: everything}
	return &dweller{person: p}
}

// present are those who are not away, of whom there is always one.
func (w *world) present() (list []*dweller) {
	for _, q := range w.members {
		if !q.away {
			list = append(list, q)
		}
	}
	return list
}

func (w *world) anybody() *dweller {
	list := w.present()
	return list[w.r.IntN(len(list))]
}

// one reports whether something happens that happens once in n times.
func (w *world) one(n int) bool { return w.r.IntN(n) == 0 }

func (w *world) options() MessageOptions {
	o := MessageOptions{Now: start, AuthenticatedData: []byte("stamp")}
	if w.life.private && w.one(2) {
		o.Private, o.Padding = true, w.r.IntN(40)
	}
	return o
}

func (w *world) step() {
	w.t.Helper()
	switch k := w.r.IntN(24); {
	case k < 7:
		w.speak()
	case k < 10:
		w.crash(w.anybody())
	case k < 14:
		w.deliver(w.r.IntN(min(len(w.late), 6) + 1))
	case k < 18:
		w.propose()
	case k == 18:
		w.enter()
	case k == 19:
		w.leave()
	default:
		w.commit()
	}
	w.agree()
}

// flush makes what p has changed durable. What p handled before is read then.
func (w *world) flush(p *dweller) {
	p.shelf.put(p.group.TakeChanges())
	p.unread = nil
}

// load is p as the disk has it.
func (w *world) load(p *dweller) *Group {
	w.t.Helper()
	g, err := Load(LoadOptions{
		Records: p.shelf.all(), Signers: []*suite.SignaturePrivateKey{p.signer}, Credentials: anyone{}, Policy: p.policy,
	})
	must(w.t, err)
	return g
}

// crash restarts p from its disk. What was not written comes again.
func (w *world) crash(p *dweller) {
	w.t.Helper()
	if w.one(2) {
		w.flush(p)
	}
	before := snapshot(p.group)
	unread := p.unread
	p.group, p.unread = w.load(p), nil
	for _, m := range unread {
		w.again(p, m)
	}
	after := snapshot(p.group)
	for k, v := range before {
		if string(after[k]) != string(v) {
			w.t.Fatalf("%s: record %s is another one after a restart", p.name, k)
		}
	}
	if len(after) != len(before) {
		w.t.Fatalf("%s: %d records after a restart, were %d", p.name, len(after), len(before))
	}
}

// again lets p handle or open what it has handled before it crashed.
func (w *world) again(p *dweller, message []byte) {
	w.t.Helper()
	if m, err := wire.ParsePrivateMessage(message); err == nil && m.ContentType == wire.ContentTypeApplication {
		_, err := p.group.Open(message)
		must(w.t, err)
		p.unread = append(p.unread, message)
		return
	}
	w.hear(p, message)
}

// hear lets p handle a handshake; it reports whether p is still a member.
func (w *world) hear(p *dweller, message []byte) bool {
	w.t.Helper()
	r, err := p.group.Handle(message, start)
	if err != nil {
		w.t.Fatalf("%s in epoch %d: %v", p.name, p.group.Epoch(), err)
	}
	p.unread = append(p.unread, message)
	if r.Removed {
		return false
	}
	if r.Next != nil {
		p.group = r.Next
	}
	return true
}

// send delivers a handshake of by to all others; who is removed by it is no
// member any more. Some get it later.
func (w *world) send(by *dweller, message []byte) {
	w.t.Helper()
	var stay []*dweller
	for _, q := range w.members {
		switch {
		case q == by:
		case q.away:
			q.inbox = append(q.inbox, message)
		case !w.hear(q, message):
			q.group = nil
			continue
		case w.one(3):
			w.flush(q)
		}
		stay = append(stay, q)
	}
	w.members = stay
	w.observe(message)
}

// observe lets the observer follow a handshake.
func (w *world) observe(message []byte) {
	w.t.Helper()
	if w.observer == nil {
		return
	}
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	must(w.t, err)
	next, _, err := w.observer.Handle(m.PublicMessage, w.config())
	if errors.Is(err, tree.ErrKnownProposal) {
		return // the same text again is the same proposal
	}
	must(w.t, err)
	w.observer = next
}
