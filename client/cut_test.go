package client_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/coi"
	"parley/coi/service"
	"parley/groups"
)

// cutsOff has a community's officer cut a device off, at its unwrap services.
func (c *communities) cutsOff(name groups.CoIID, d groups.DeviceID) {
	c.t.Helper()
	must(c.list[name].rules.Add(service.Rule{Subject: string(d), Effect: service.Denies, By: "officer"}))
}

// sees fails unless devices are shown as members by a device.
func (p *phone) sees(there bool, devices ...groups.DeviceID) {
	p.t.Helper()
	for _, d := range devices {
		if _, ok := p.member(d); ok != there {
			p.t.Errorf("%s shows %s in the room: %v", p.ID(), d, ok)
		}
	}
}

// resign changes what an unwrap service has said, and signs it with a service's
// certificate.
func (c *communities) resign(signed []byte, by *coi.Issued, change func(*coi.Cuts)) []byte {
	said := must(c.trust().VerifyCuts(signed, coi.CutOptions{Now: time.Now(), MaxAge: time.Minute}))
	said.Service = must(coi.CertificateName(by.Cert.Raw)).URI()
	change(said)
	return must(said.Sign(by.Key, coi.Chain(by.Cert)))
}

// noCommits has a hub refuse all commits.
func noCommits(sub *devicev1.Submission) *devicev1.Refusal {
	if groups.EntryKind(sub.Kind) != groups.KindCommit {
		return nil
	}
	return &devicev1.Refusal{Kind: groups.Denied.String(), Text: "not today"}
}

// botRoom is a room of alice, who is its admin, bob, and a bot.
func (c *communities) botRoom(change func(*groups.Policy), names ...groups.CoIID) (alice, bob, bot *phone) {
	c.t.Helper()
	alice, bob, bot = c.h.device("alice/laptop"), c.h.device("bob/phone"), c.h.device("archiver/main")
	c.room(alice, change, names...)
	alice.add("bob", "archiver")
	return alice, bob, bot
}

// "cut by one command at the unwrap service; the next online device removes them
// from the room", whoever's it is; and no gateway is asked.
func TestJ2_TheNextOnlineDeviceRemovesABotThatWasCutOff(t *testing.T) {
	simKeys(t, func(t *testing.T, _ *hub, c *communities) {
		alice, bob, bot := c.botRoom(nil)
		alice.stop()
		bob.stop()
		c.cutsOff(finance, bot.ID())
		time.Sleep(10 * time.Minute)
		bot.sees(true, bot.ID()) // nobody is online
		bob.start()              // who may not remove it by himself
		bob.sees(false, bot.ID())
		if must(bot.Room(ops)).State != client.RoomClosed {
			t.Error("the bot is still in")
		}
		if k := bob.key(); k.Reason != groups.KeyRemoved || k.Author != bob.ID() {
			t.Errorf("the new key is of %s, because %v", k.Author, k.Reason)
		}
		alice.start() // who judges for herself what the hub has taken
		agree(alice, bob)
		alice.sees(false, bot.ID())
		bob.tell(client.Text("among ourselves"))
		time.Sleep(time.Hour)
		alice.sees(false, bot.ID())
		alice.sees(true, bob.ID())
	})
}

// A command that is online for a moment does its part before it ends; and the next
// ones, for a while, ask nothing.
func TestAMomentOnlineIsEnoughToRemoveABot(t *testing.T) {
	simKeys(t, func(t *testing.T, _ *hub, c *communities) {
		alice, bob, bot := c.botRoom(nil)
		alice.stop()
		bob.stop()
		time.Sleep(10 * time.Minute)
		moment := func() {
			bob.open()
			bob.runQuietly(nil)
			for _, wait := range []func() error{
				func() error { return bob.CaughtUp(t.Context()) }, func() error { return bob.LookedAround(t.Context()) },
			} {
				if err := wait(); err != nil {
					t.Fatal(err)
				}
			}
			bob.stop()
		}
		asked := func() int { return c.calls("cuts at " + c.list[finance].Unwrap[0]) }
		moment()
		before := asked()
		for range 5 {
			moment()
		}
		if n := asked() - before; n != 0 {
			t.Errorf("%d questions more within a moment", n)
		}
		time.Sleep(time.Minute)
		c.cutsOff(finance, bot.ID())
		moment()
		settle()
		if must(bot.Room(ops)).State != client.RoomClosed {
			t.Error("the bot is still in")
		}
		bob.open()
		if err := bob.LookedAround(t.Context()); err != nil { // offline: it waits for nothing
			t.Error(err)
		}
		bob.stop()
	})
}

// What no service says for certain removes nobody, and hinders nothing: services
// that are down or slow, answers that are old, forged, of another service, or about
// another community.
func TestWhatIsNotSaidForCertainRemovesNoBot(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob, bot := c.botRoom(nil)
		var old []byte
		c.set(func() { c.cuts = func(b []byte) []byte { old = b; return b } })
		c.cutsOff(finance, bot.ID())
		h.set(func() { h.refuse = noCommits })
		rounds()
		if old == nil {
			t.Fatal("nobody has asked")
		}
		alice.sees(true, bot.ID()) // the hub lets nobody be removed: it can hold up, and no more
		must(c.list[finance].rules.Lift(service.Lift{Device: string(bot.ID()), By: "officer"}))
		c.set(func() { c.cuts = nil })
		settle() // who asked before the lift, and let others go first, has been refused by now
		lookup, unwrap := must(h.ca.IssueService("lookup", nil, time.Now())), must(h.ca.IssueService("unwrap", nil, time.Now()))
		for _, lie := range []struct {
			why  string
			says func([]byte) []byte
		}{
			{"an answer of a few minutes ago, before the cut was lifted", func([]byte) []byte { return old }},
			{"nonsense", func([]byte) []byte { return []byte("cut") }},
			{"by the lookup service, with the right nonce", func(b []byte) []byte {
				return c.resign(b, lookup, func(s *coi.Cuts) { s.List = []coi.Cut{{Device: string(bot.ID()), Since: time.Now()}} })
			}},
			{"about people", func(b []byte) []byte {
				return c.resign(b, unwrap, func(s *coi.Cuts) { s.List = []coi.Cut{{Device: string(bob.ID()), Since: time.Now()}} })
			}},
			{"about another community", func(b []byte) []byte {
				return c.resign(b, unwrap, func(s *coi.Cuts) {
					s.CoI, s.List = string(legal), []coi.Cut{{Device: string(bot.ID()), Since: time.Now()}}
				})
			}},
		} {
			c.set(func() { c.cuts = lie.says })
			h.set(func() { h.refuse = nil })
			rounds()
			rounds()
			for _, p := range []*phone{alice, bob, bot} {
				p.sees(true, alice.ID(), bob.ID(), bot.ID())
			}
			if t.Failed() {
				t.Fatal(lie.why)
			}
		}
		c.set(func() { c.cuts, c.slow = nil, time.Minute })
		c.cutsOff(finance, bot.ID())
		rounds()
		alice.tell(client.Text("goes on"))
		alice.sees(true, bot.ID())
		c.set(func() { c.slow = 0; c.down["*"] = true })
		rounds()
		alice.sees(true, bot.ID())
		// One instance that answers is enough.
		c.set(func() { c.down = map[string]bool{c.list[finance].Unwrap[0]: true} })
		rounds()
		alice.sees(false, bot.ID())
		alice.sees(true, bob.ID())
		agree(alice, bob)
	})
}

// A community cuts a bot off from the rooms that name it, and from no others; in a
// room of several communities each of them can.
func TestACommunityCutsBotsOffFromItsOwnRooms(t *testing.T) {
	simKeys(t, func(t *testing.T, _ *hub, c *communities) {
		alice, bob, bot := c.botRoom(nil, finance)
		const both groups.RoomID = "mimi://alpha.example/r/both"
		must(alice.CreateRoom(t.Context(), client.RoomSpec{Room: both, Policy: c.policy(finance, legal)}))
		must(alice.Add(t.Context(), both, bob.User(), bot.User()))
		settle()
		inBoth := func() bool {
			return slices.ContainsFunc(must(bob.Members(both)), func(m client.Member) bool { return m.Device == bot.ID() })
		}
		if !inBoth() {
			t.Fatal("the bot is not there")
		}
		c.cutsOff(legal, bot.ID())
		rounds()
		bob.sees(true, bot.ID())
		if inBoth() {
			t.Error("legal has cut the bot off, and it is in a room that names legal")
		}
		c.cutsOff(finance, bot.ID())
		rounds()
		bob.sees(false, bot.ID())
	}, finance, legal)
}

// An unwrap service can not put a person out, also with the name of the person's
// device among those it has cut off: nobody asks, and nobody would act on it.
func TestPeopleAreNotCutOffByAnUnwrapService(t *testing.T) {
	simKeys(t, func(t *testing.T, _ *hub, c *communities) {
		alice, bob, bot := c.botRoom(nil)
		c.cutsOff(finance, bob.ID())
		rounds()
		rounds()
		for _, p := range []*phone{alice, bob} {
			p.sees(true, alice.ID(), bob.ID(), bot.ID())
		}
		agree(alice, bob, bot)
	})
}

// Without a warrant a member removes nobody else's bot; with one for each, many go
// in one commit.
func TestManyBotsAreCutOffAtOnce(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		var bots []groups.DeviceID
		var running []*phone
		for i := range 5 {
			running = append(running, h.device(fmt.Sprintf("archiver/n%d", i)))
			bots = append(bots, running[i].ID())
		}
		c.room(alice, nil)
		alice.add("bob", "archiver")
		for _, p := range running {
			p.stop() // a bot too removes others that are cut off
		}
		bob.sees(true, bots...)
		if err := bob.RemoveDevices(t.Context(), ops, bots[0]); groups.KindOf(err) != groups.Denied {
			t.Errorf("bob removes a bot: %v", err)
		}
		alice.stop()
		for _, d := range bots[1:] {
			c.cutsOff(finance, d)
		}
		before := must(bob.Room(ops)).Epoch
		rounds()
		bob.sees(false, bots[1:]...)
		bob.sees(true, bots[0])
		if after := must(bob.Room(ops)).Epoch; after != before+1 {
			t.Errorf("it took %d commits", after-before)
		}
	})
}

// Over real TLS, with nobody but the policy to say where the service is; and by a
// device whose first act it is to join the room.
func TestCutsAreAskedOverTLS(t *testing.T) {
	h := newHub(t, "alpha.example")
	c := h.communities(finance)
	one := c.list[finance]
	real := one.vault[one.Unwrap[0]]
	host := []string{"127.0.0.1"}
	url, asked := counted(t, must(h.ca.IssueService("unwrap", host, time.Now())), real.unwrap.Handler())
	gateway, spied := counted(t, must(h.ca.IssueNode("a1", host, time.Now())), real.unwrap.Handler())
	one.Unwrap = []string{gateway, url}
	one.vault[url], one.vault[gateway] = real, real
	alice, bot := h.online("alice/laptop"), h.online("archiver/main")
	h.cois = nil // bob has the services of the policy, over TLS
	bob := h.online("bob/phone")
	packages := func(p *phone) func() bool {
		return func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.packages[p.ID()]) > 3 }
	}
	until(t, "bob's key packages", packages(bob))
	until(t, "the bot's key packages", packages(bot))
	bob.stop()
	policy := c.policy(finance)
	must(alice.CreateRoom(t.Context(), client.RoomSpec{Room: ops, Policy: policy}))
	if waiting, err := alice.Add(t.Context(), ops, bob.User(), bot.User()); err != nil || len(waiting) > 0 {
		t.Fatal(err, waiting)
	}
	alice.stop()
	bot.stop()
	c.cutsOff(finance, bot.ID())
	bob.open()
	bob.runQuietly(nil)
	until(t, "bob removes the bot", func() bool {
		list, err := bob.Members(ops)
		return err == nil && len(list) == 2
	})
	bob.sees(false, bot.ID())
	bob.sees(true, alice.ID())
	if asked.Load() == 0 || spied.Load() > 0 {
		t.Errorf("the service was called %d times, a gateway's node %d", asked.Load(), spied.Load())
	}
	bob.stop()
}
