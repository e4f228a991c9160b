package gateway

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// "A device logs in by signing a challenge with its credential key."
func TestLogin(t *testing.T) {
	f := serve(t, func(c *Config) { c.OrderingCertificates = func() [][]byte { return [][]byte{{1, 2}} } })
	h := f.http2()
	keys := map[string]crypto.Signer{}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[c.Params().Name] = k
	}
	for name, k := range keys {
		if err := f.callerWith(alice, h, k).login(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := f.caller(alice, h)
	m, err := c.proof()
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Login(context.Background(), connect.NewRequest(m))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Msg.Session) != 43 || len(r.Msg.OrderingCertificates) != 1 {
		t.Errorf("login answered %v", r.Msg)
	}
	if left := time.Until(time.Unix(r.Msg.ExpiresUnix, 0)); left > time.Hour || left < 59*time.Minute {
		t.Errorf("a session of %s, want an hour", left)
	}
	c.session = r.Msg.Session
	if _, err := c.CountKeyPackages(context.Background(), connect.NewRequest(&devicev1.CountKeyPackagesRequest{})); err != nil {
		t.Errorf("a call with the session: %v", err)
	}
}

func TestLoginRefused(t *testing.T) {
	f := serve(t, nil)
	h := f.http2()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		kind   groups.Kind
		change func(c *caller, m *devicev1.LoginRequest)
	}{
		{"wrong signature", groups.Denied, func(_ *caller, m *devicev1.LoginRequest) { m.Signature[0] ^= 1 }},
		{"no signature", groups.Denied, func(_ *caller, m *devicev1.LoginRequest) { m.Signature = nil }},
		{"another key's signature", groups.Denied, func(_ *caller, m *devicev1.LoginRequest) {
			m.Signature, _ = f.caller(alice, h).sign(loginTBS(testNode, alice, m.Nonce))
		}},
		{"signed for another node", groups.Denied, func(c *caller, m *devicev1.LoginRequest) {
			m.Signature, _ = c.sign(loginTBS("mimi://alpha.example/n/a2", alice, m.Nonce))
		}},
		{"another device's certificate", groups.Denied, func(_ *caller, m *devicev1.LoginRequest) {
			other := f.caller(bob, h)
			m.Chain = [][]byte{other.cert}
			m.Signature, _ = other.sign(loginTBS(testNode, alice, m.Nonce))
		}},
		{"another device's nonce", groups.Denied, func(c *caller, m *devicev1.LoginRequest) {
			other, _ := f.caller(bob, h).proof()
			m.Nonce = other.Nonce
			m.Signature, _ = c.sign(loginTBS(testNode, alice, m.Nonce))
		}},
		{"a nonce of its own", groups.Denied, func(c *caller, m *devicev1.LoginRequest) {
			rand.Read(m.Nonce)
			m.Signature, _ = c.sign(loginTBS(testNode, alice, m.Nonce))
		}},
		{"a short nonce", groups.Invalid, func(_ *caller, m *devicev1.LoginRequest) { m.Nonce = m.Nonce[1:] }},
		{"an unknown certificate", groups.Denied, func(_ *caller, m *devicev1.LoginRequest) { m.Chain = [][]byte{{1}} }},
		{"no certificate", groups.Invalid, func(_ *caller, m *devicev1.LoginRequest) { m.Chain = nil }},
		{"a long chain", groups.Invalid, func(_ *caller, m *devicev1.LoginRequest) {
			m.Chain = append(m.Chain, nil, nil, nil)
		}},
		{"a large chain", groups.Invalid, func(_ *caller, m *devicev1.LoginRequest) {
			m.Chain = append(m.Chain, make([]byte, maxChainBytes))
		}},
		{"a device of another site", groups.Denied, func(_ *caller, m *devicev1.LoginRequest) {
			m.Device = "mimi://beta.example/d/bob/laptop"
		}},
		{"no device", groups.Invalid, func(_ *caller, m *devicev1.LoginRequest) { m.Device = "alice" }},
		{"an expired certificate", groups.Denied, func(c *caller, _ *devicev1.LoginRequest) {
			f.world.certs[string(c.cert)] = worldCert{alice, c.key.Public(), time.Now().Add(-time.Second)}
		}},
		{"an RSA key", groups.Denied, func(c *caller, _ *devicev1.LoginRequest) {
			f.world.certs[string(c.cert)] = worldCert{alice, key.Public(), time.Now().Add(time.Hour)}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := f.caller(alice, h)
			m, err := c.proof()
			if err != nil {
				t.Fatal(err)
			}
			x.change(c, m)
			_, err = c.Login(context.Background(), connect.NewRequest(m))
			refused(t, err, x.kind)
		})
	}
}

// "a nonce to sign, good for a minute and one login"
func TestNonceOnceAndInTime(t *testing.T) {
	f := serve(t, nil)
	c := f.caller(alice, f.http2())
	m, err := c.proof()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(context.Background(), connect.NewRequest(m)); err != nil {
		t.Fatal(err)
	}
	_, err = c.Login(context.Background(), connect.NewRequest(m))
	refused(t, err, groups.Denied)

	nonces := newChallenges()
	now := time.Now()
	n := nonces.issue(alice, now)
	if err := nonces.check(n, alice, now.Add(challengeLife)); err != nil {
		t.Errorf("in time: %v", err)
	}
	if nonces.check(n, alice, now.Add(challengeLife+time.Nanosecond)) == nil {
		t.Error("a nonce was taken after its minute")
	}
	for range maxSpent {
		if err := nonces.spend(nonces.issue(alice, now), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := nonces.spend(n, now); groups.KindOf(err) != groups.Busy {
		t.Errorf("a full table: %v", err)
	}
	if err := nonces.spend(nonces.issue(alice, now), now.Add(2*challengeLife)); err != nil || len(nonces.spent) != 1 {
		t.Errorf("expired nonces were not forgotten: %v, %d", err, len(nonces.spent))
	}
}

// "the session is short and bound to the device": never past its certificate.
func TestSessionEndsWithCertificate(t *testing.T) {
	f := serve(t, nil)
	c := f.caller(alice, f.http2())
	notAfter := time.Now().Add(2 * time.Minute)
	f.world.mu.Lock()
	f.world.certs[string(c.cert)] = worldCert{alice, c.key.Public(), notAfter}
	f.world.mu.Unlock()
	if err := c.login(); err != nil {
		t.Fatal(err)
	}
	count := func() error {
		_, err := c.CountKeyPackages(context.Background(), connect.NewRequest(&devicev1.CountKeyPackagesRequest{}))
		return err
	}
	if err := count(); err != nil {
		t.Fatal(err)
	}
	f.world.now = func() time.Time { return notAfter }
	err := count()
	refused(t, err, groups.Denied)
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("code %s, want unauthenticated", connect.CodeOf(err))
	}
}

func TestSessionTableIsBounded(t *testing.T) {
	l := Limits{Sessions: 3, DeviceSessions: 2, Devices: 3}.withDefaults()
	d := newDevices(l)
	s := newSessions(l, d)
	now := time.Now()
	end := now.Add(time.Hour)
	first, one, err := s.open(alice, end, now)
	if err != nil {
		t.Fatal(err)
	}
	s.open(alice, end, now)
	s.open(alice, end, now)
	if _, ok := s.find(first, now); ok || one.ctx.Err() == nil {
		t.Error("the oldest session of a device outlived its limit")
	}
	s.open(bob, end, now)
	if _, _, err := s.open(phone, end, now); groups.KindOf(err) != groups.Busy {
		t.Errorf("a full table: %v", err)
	}
	later := now.Add(2 * time.Hour)
	if _, _, err := s.open(phone, later.Add(time.Hour), later); err != nil || len(s.byToken) != 1 || len(s.byDevice) != 1 {
		t.Errorf("expired sessions kept their place: %v, %d, %d", err, len(s.byToken), len(s.byDevice))
	}
	if _, err := d.of("mimi://alpha.example/d/carol/x", now); groups.KindOf(err) != groups.Busy {
		t.Errorf("a full table of devices: %v", err)
	}
	if _, err := d.of("mimi://alpha.example/d/carol/x", now.Add(48*time.Hour)); err != nil {
		t.Errorf("idle devices kept their place: %v", err)
	}
	s.close()
}

// Nobody gets past the gate without a session, and a stranger's body is not
// read.
func TestNoSession(t *testing.T) {
	f := serve(t, nil)
	c := f.caller(alice, f.http2())
	for _, token := range []string{"", "x", "Bearer"} {
		c.session = token
		_, err := c.submit(testRoom, groups.KindCreate, "x")
		refused(t, err, groups.Denied)
		s, err := c.Tail(context.Background(), connect.NewRequest(&devicev1.TailRequest{AllRooms: true}))
		if err != nil {
			t.Fatal(err)
		}
		if s.Receive() {
			t.Error("a tail without a session")
		}
		refused(t, s.Err(), groups.Denied)
		s.Close()
	}
}
