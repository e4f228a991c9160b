package client_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"parley/client"
	"parley/coi/service"
	"parley/groups"
)

func (p *phone) member(d groups.DeviceID) (client.Member, bool) {
	p.t.Helper()
	list, err := p.Members(ops)
	if err != nil {
		p.t.Fatalf("%s: %v", p.ID(), err)
	}
	i := slices.IndexFunc(list, func(m client.Member) bool { return m.Device == d })
	if i < 0 {
		return client.Member{}, false
	}
	return list[i], true
}

// revoked has the device CA revoke a device's certificate.
func (h *hub) revokes(p *phone) {
	h.t.Helper()
	cert := must(x509.ParseCertificate(must(client.LoadIdentity(p.store)).Chain[0]))
	h.set(func() {
		h.revokedSerials = append(h.revokedSerials, cert.SerialNumber)
		h.revoked[p.ID()] = true
	})
}

func TestBotsAreShownAndRemovedWhenTheyAreRevoked(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob, bot := h.device("alice/laptop"), h.device("bob/phone"), h.device("archiver/main")
		c.room(alice, nil)
		alice.add("bob", "archiver")
		for _, p := range []*phone{alice, bob, bot} {
			if m, ok := p.member(bot.ID()); !ok || !m.Bot {
				t.Errorf("%s shows the bot as %+v", p.ID(), m)
			}
			if m, ok := p.member(bob.ID()); !ok || m.Bot {
				t.Errorf("%s shows bob as %+v", p.ID(), m)
			}
		}
		// What is not known for certain removes nobody.
		c.set(func() { c.down[c.list[finance].Status] = true })
		h.revokes(bot)
		time.Sleep(12 * time.Minute)
		if _, ok := alice.member(bot.ID()); !ok {
			t.Error("a bot was removed though nobody has said why")
		}
		c.set(func() { clear(c.down) })
		alice.stop()
		time.Sleep(12 * time.Minute) // bob, who may not by himself, shows what its CA says
		if _, ok := bob.member(bot.ID()); ok {
			t.Error("a bot whose certificate is revoked stays while somebody is online")
		}
		alice.start()
		rounds()
		for _, p := range []*phone{alice, bob} {
			if _, ok := p.member(bot.ID()); ok {
				t.Errorf("%s still shows it", p.ID())
			}
		}
		if must(bot.Room(ops)).State != client.RoomClosed {
			t.Error("the bot is still in")
		}
		if k := alice.key(); k.Reason != groups.KeyRemoved {
			t.Errorf("the new key is %v", k.Reason)
		}
		time.Sleep(12 * time.Minute)
		if _, ok := alice.member(bot.ID()); ok {
			t.Error("it was added again")
		}
		agree(alice, bob)
		// Questions are few: each of the two asks once in some minutes about the other.
		before := c.calls(c.list[finance].Status)
		time.Sleep(time.Hour)
		if asked := c.calls(c.list[finance].Status) - before; asked == 0 || asked > 26 {
			t.Errorf("%d questions in an hour about two members", asked)
		}
	})
}

func TestJ7_TheEnterpriseDecidesWhoGetsKeys(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		rule := func(subject string, effect service.Effect, rooms ...string) {
			must(c.list[finance].rules.Add(service.Rule{CoI: string(finance), Subject: subject, Effect: effect, Rooms: rooms, By: "officer"}))
		}
		alice := h.device("alice/laptop")
		c.room(alice, everything)
		alice.tell(client.Text("the past"))
		bob, bot := h.device("bob/phone"), h.device("archiver/main")
		alice.add("bob", "archiver")
		// A bot gets nothing by being of the site; a room alone lets it in.
		bot.reads(0, 1)
		rule(string(bot.ID()), service.Grants, "mimi://alpha.example/r/other")
		bot.reads(0, 1)
		rule(string(bot.ID()), service.Grants, string(ops))
		bot.reads(1, 0)
		// A device of a person, and not another one of theirs.
		rule(string(bob.ID()), service.Denies)
		bob.reads(0, 1)
		tablet := h.device("bob/tablet")
		time.Sleep(time.Minute)
		settle()
		tablet.reads(1, 0)
		// Cut: from the next request on, though it stays a member and nobody asks
		// the gateway.
		alice.tell(client.Text("more"))
		rule("mimi://alpha.example/u/bob", service.Denies)
		second := h.device("bob/second")
		time.Sleep(time.Minute)
		settle()
		second.reads(0, 2)
	})
}

// Different people may have different things opened: who works in the room, the
// lawyers, the security people; each by a community of theirs, and a room may ask
// for two of them together.
func TestJ9_DifferentSetsOfPeopleHaveAccess(t *testing.T) {
	for _, mode := range []groups.CoIMode{groups.CoIAny, groups.CoIAll} {
		t.Run(mode.String(), func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				for name, who := range map[groups.CoIID]string{finance: "finn", legal: "lena"} {
					deny := service.Rule{CoI: string(name), Effect: service.Denies, By: "officer"}
					for _, other := range []string{"finn", "lena", "alice"} {
						if other != who {
							deny.Subject = "mimi://alpha.example/u/" + other
							must(c.list[name].rules.Add(deny))
						}
					}
				}
				alice := h.device("alice/laptop")
				c.room(alice, func(p *groups.Policy) {
					p.Mode, p.History = mode, groups.HistoryAll
				}, finance, legal)
				alice.tell(client.Text("for both"))
				finn, lena, bob := h.device("finn/phone"), h.device("lena/phone"), h.device("bob/phone")
				alice.add("finn", "lena", "bob")
				alone := map[groups.CoIMode]int{groups.CoIAny: 1}[mode]
				finn.reads(alone, 1-alone)
				lena.reads(alone, 1-alone)
				bob.reads(1, 0) // entitled to both
				// From here on it is the lawyers' alone.
				policy := c.policy(legal)
				policy.History = groups.HistoryAll
				if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
					t.Fatal(err)
				}
				alice.tell(client.Text("for the lawyers"))
				for _, p := range []*phone{finn, lena} {
					s := h.device(p.User().Name() + "/new")
					time.Sleep(time.Minute)
					settle()
					want := alone + map[string]int{"lena": 1}[p.User().Name()]
					s.reads(want, 2-want)
				}
			}, finance, legal)
		})
	}
}
