package client_test

import (
	"crypto/hpke"
	"crypto/tls"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/client"
	"parley/client/store"
	"parley/coi"
	"parley/coi/service"
	"parley/groups"
)

// counted serves an unwrap service under a certificate, and counts its calls.
func counted(t *testing.T, cert *coi.Issued, h http.Handler) (url string, calls *atomic.Int64) {
	calls = new(atomic.Int64)
	return "https://" + serve(t, cert, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		h.ServeHTTP(w, r)
	})), calls
}

// online opens a device in real time, and waits until it has caught up.
func (h *hub) online(name string) *phone {
	h.t.Helper()
	p := &phone{t: h.t, h: h, store: store.NewMemory()}
	h.enrol(name, p.store)
	p.open()
	p.runQuietly(nil)
	if err := p.CaughtUp(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// until waits, in real time, for what has to come.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// Over real TLS: a device speaks to the key service of the community's own site
// and to nobody else, a service opens nothing for who is not the device of the
// certificate, and no session of a gateway is shown to either.
func TestJ6_DeviceAndKeyServiceKnowEachOtherWithoutTheGateway(t *testing.T) {
	h, foreign := newHub(t, "alpha.example"), newHub(t, "beta.example")
	c := h.communities(finance)
	h.trust = append(h.trust, foreign.trust...)
	one := c.list[finance]
	real := one.vault[one.Unwrap[0]]
	host, now := []string{"127.0.0.1"}, time.Now()
	right, asked := counted(t, must(h.ca.IssueService("u1", host, now)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Error("a session was shown to the key service")
		}
		real.unwrap.Handler().ServeHTTP(w, r)
	}))
	beta, fooled := counted(t, must(foreign.ca.IssueService("u1", host, now)), real.unwrap.Handler())
	node, spied := counted(t, must(h.ca.IssueNode("a1", host, now)), real.unwrap.Handler())
	one.Lookup, one.Status = "https://127.0.0.1:1", "https://127.0.0.1:1" // alice's fixture is asked in memory
	rooms := map[groups.RoomID][]string{ops: {beta, node, right}, "mimi://alpha.example/r/other": {beta, node}}
	for _, url := range []string{right, beta, node} {
		one.vault[url] = real
	}
	alice := h.online("alice/laptop")
	h.cois = nil // the others have the services of the policy, over TLS
	bob := h.online("bob/phone")
	until(t, "bob's key packages", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.packages[bob.ID()]) > 3
	})
	for id, urls := range rooms {
		one.Unwrap = urls
		policy := c.policy(finance)
		policy.History = groups.HistoryAll
		must(alice.CreateRoom(t.Context(), client.RoomSpec{Room: id, Policy: policy}))
		must(alice.Send(id, client.Text("the past")))
		if err := alice.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waiting, err := alice.Add(t.Context(), id, bob.User()); err != nil || len(waiting) > 0 {
			t.Fatal(err, waiting)
		}
		until(t, "bob joins", func() bool { _, err := bob.Room(id); return err == nil })
		report := must(bob.FetchPast(t.Context(), id, nil))
		if want := map[groups.RoomID]int{ops: 1}[id]; report.Messages != want {
			t.Errorf("%s: %+v", id, report)
		}
	}
	if asked.Load() == 0 || fooled.Load()+spied.Load() > 0 {
		t.Errorf("the service was called %d times, another site's %d, a gateway's node %d", asked.Load(), fooled.Load(), spied.Load())
	}
	// And the other way round: bob's certificate in somebody else's hands.
	private := unwrapv1connect.NewUnwrapServiceClient(&http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}}, right)
	for _, signer := range []*phone{alice, bob} {
		q := &groups.KeyRequest{
			CoI: finance, Device: bob.ID(), Service: "mimi://alpha.example/s/u1", Time: uint64(time.Now().UnixMilli()),
			ResponseKey: must(hpke.MLKEM768X25519().GenerateKey()).PublicKey().Bytes(),
		}
		before := real.refusals(t)
		_, err := private.Unwrap(t.Context(), connect.NewRequest(&unwrapv1.UnwrapRequest{
			Request: q.Marshal(), Signature: must(coi.Sign(h.keys[signer.ID()], q.SigningBytes())), Chain: must(client.LoadIdentity(bob.store)).Chain,
		}))
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("signed by %s: %v", signer.ID(), err)
		}
		// The log names a device only if it is known to be that one.
		if known := real.refusals(t) > before; known != (signer == bob) {
			t.Errorf("signed by %s, the service takes it for bob: %v", signer.ID(), known)
		}
	}
	alice.stop()
	bob.stop()
}

// refusals counts the requests that a service's log says it has refused.
func (v *vault) refusals(t *testing.T) (n int) {
	t.Helper()
	must(service.ReadAudit(v.log, nil, func(_ int64, e *service.AuditEntry) error {
		if e.Decision == service.Refused {
			n++
		}
		return nil
	}))
	return n
}
