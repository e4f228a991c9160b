package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is a token in memory.
type fake struct {
	listed []Listed
	keys   map[[sha256.Size]byte]any
	away   atomic.Bool
	open   atomic.Int32 // sessions
}

func (f *fake) Keys() []Listed { return f.listed }

func (f *fake) Open() (Session, error) {
	if f.away.Load() {
		return nil, errors.New("no token in the slot")
	}
	f.open.Add(1)
	return &fakeSession{f}, nil
}

type fakeSession struct{ *fake }

func (s *fakeSession) Close() { s.open.Add(-1) }

func (s *fakeSession) Agree(key [sha256.Size]byte, point []byte) ([]byte, error) {
	if s.away.Load() {
		return nil, errors.New("device removed")
	}
	private, ok := s.keys[key].(*ecdh.PrivateKey)
	if !ok {
		return nil, ErrRefused
	}
	remote, err := private.Curve().NewPublicKey(point)
	if err != nil {
		return nil, ErrRefused
	}
	return private.ECDH(remote)
}

func (s *fakeSession) Decrypt(key [sha256.Size]byte, ciphertext []byte) ([]byte, error) {
	private, ok := s.keys[key].(*rsa.PrivateKey)
	if !ok {
		return nil, ErrRefused
	}
	plain, err := rsa.DecryptOAEP(sha256.New(), nil, private, ciphertext, nil)
	if err != nil {
		return nil, ErrRefused
	}
	return plain, nil
}

// newFake is a token with a key on each curve and an RSA key.
func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{keys: map[[sha256.Size]byte]any{}}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private, err := key.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		f.add(t, name, &key.PublicKey, private)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f.add(t, "rsa", &key.PublicKey, key)
	return f
}

func (f *fake) add(t *testing.T, name string, public crypto.PublicKey, private any) {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	f.listed = append(f.listed, Listed{Name: name, SPKI: spki})
	f.keys[sha256.Sum256(spki)] = private
}

// start serves a token until stop, or the test's end.
func start(t *testing.T, token Token, path string) (stop func()) {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		s := &Server{Token: token, Log: func(err error) { t.Log(err) }}
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// socket is a short path: a unix socket's name has some hundred bytes at most.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hsm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// byName finds a client's key.
func byName(t *testing.T, c *Client, name string) any {
	t.Helper()
	for _, k := range c.Keys() {
		if k.Name == name {
			return k.Private
		}
	}
	t.Fatalf("no key %s", name)
	return nil
}

// agree uses an EC key with a fresh other side.
func agree(k ecdh.KeyExchanger) (same bool, err error) {
	other, err := k.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return false, err
	}
	z, err := k.ECDH(other.PublicKey())
	if err != nil {
		return false, err
	}
	want, err := other.ECDH(k.PublicKey())
	return bytes.Equal(z, want), err
}

func TestKeysOfATokenAreUsedFromAfar(t *testing.T) {
	path := socket(t)
	token := newFake(t)
	start(t, token, path)
	c := dial(t, path)
	var all sync.WaitGroup
	for range 4 * MaxConns { // more than there are connections: they wait
		all.Go(func() {
			for _, name := range []string{"p256", "p384"} {
				if same, err := agree(byName(t, c, name).(ecdh.KeyExchanger)); err != nil || !same {
					t.Errorf("%s: %v, %v", name, same, err)
				}
			}
		})
	}
	all.Wait()
	k := byName(t, c, "rsa").(crypto.Decrypter)
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, k.Public().(*rsa.PublicKey), []byte("content key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	oaep := &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256}
	if got, err := k.Decrypt(nil, sealed, oaep); err != nil || string(got) != "content key" {
		t.Errorf("decrypted to %q, %v", got, err)
	}
	if n := token.open.Load(); n < 1 || n > MaxConns {
		t.Errorf("%d sessions are open, want 1 to %d", n, MaxConns)
	}
}

func TestWhatATokenRefusesLooksTheSame(t *testing.T) {
	path := socket(t)
	start(t, newFake(t), path)
	c := dial(t, path)
	k := byName(t, c, "rsa").(crypto.Decrypter)
	oaep := &rsa.OAEPOptions{Hash: crypto.SHA256}
	for name, try := range map[string]func() ([]byte, error){
		"a ciphertext that is none": func() ([]byte, error) { return k.Decrypt(nil, make([]byte, 256), oaep) },
		"one that is too short":     func() ([]byte, error) { return k.Decrypt(nil, []byte{1}, oaep) },
		"one that is too long":      func() ([]byte, error) { return k.Decrypt(nil, make([]byte, maxInput+1), oaep) },
		"PKCS #1 v1.5":              func() ([]byte, error) { return k.Decrypt(nil, make([]byte, 256), &rsa.PKCS1v15DecryptOptions{}) },
		"no options":                func() ([]byte, error) { return k.Decrypt(nil, make([]byte, 256), nil) },
		"SHA-1":                     func() ([]byte, error) { return k.Decrypt(nil, make([]byte, 256), &rsa.OAEPOptions{Hash: crypto.SHA1}) },
		"a label": func() ([]byte, error) {
			return k.Decrypt(nil, make([]byte, 256), &rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte{1}})
		},
		"a key that is not there": func() ([]byte, error) { return c.use(opAgree, [32]byte{1}, []byte{4}) },
		"an operation that is not there": func() ([]byte, error) {
			return c.use(9, [32]byte{}, nil)
		},
	} {
		if got, err := try(); err != ErrRefused {
			t.Errorf("%s: %x, %v, want ErrRefused", name, got, err)
		}
	}
	other, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := byName(t, c, "p256").(ecdh.KeyExchanger).ECDH(other.PublicKey()); err != ErrRefused {
		t.Errorf("a point of another curve: %v, want ErrRefused", err)
	}
}

// isAway says whether an error says so by the method that package wrap asks.
func isAway(err error) bool {
	o, ok := errors.AsType[interface {
		error
		Unavailable() bool
	}](err)
	return ok && o.Unavailable()
}

func TestATokenThatIsAwayComesBack(t *testing.T) {
	path := socket(t)
	token := newFake(t)
	stop := start(t, token, path)
	c := dial(t, path)
	k := byName(t, c, "p256").(ecdh.KeyExchanger)
	use := func(what string, away bool) {
		t.Helper()
		if same, err := agree(k); away != isAway(err) || !away && (err != nil || !same) {
			t.Errorf("%s: %v, %v", what, same, err)
		}
	}
	use("at first", false)
	token.away.Store(true)
	use("the token is pulled out", true)
	use("still", true)
	if n := token.open.Load(); n != 0 {
		t.Errorf("%d sessions are open to a token that is away", n)
	}
	token.away.Store(false)
	use("put in again", false)
	stop()
	use("the program has ended", true)
	if _, err := Dial(path); !isAway(err) {
		t.Errorf("dial where nobody answers: %v", err)
	}
	start(t, token, path)
	use("it is started again", false)
}

func TestTheSocketIsForItsUserAlone(t *testing.T) {
	path := socket(t)
	start(t, newFake(t), path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if l, err := Listen(path); err == nil {
		l.Close()
		t.Error("a second program serves at the same socket")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if sameUser(a) == nil {
		t.Error("a connection whose other end can not be known is taken")
	}
}

func TestAStaleSocketIsReplacedAndNothingElse(t *testing.T) {
	path := socket(t)
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	start(t, newFake(t), path)()
	if err := os.WriteFile(path, []byte("a file of somebody"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(path); err == nil {
		l.Close()
		t.Error("a file was replaced by a socket")
	}
}

// TestHostileFramesEndTheConnection and cost nothing but that.
func TestHostileFramesEndTheConnection(t *testing.T) {
	path := socket(t)
	start(t, newFake(t), path)
	for name, bytes := range map[string][]byte{
		"a long frame":    binary.BigEndian.AppendUint32(nil, 1<<31),
		"over the limit":  binary.BigEndian.AppendUint32(nil, MaxFrame+1),
		"an empty frame":  {0, 0, 0, 0},
		"no request":      {0, 0, 0, 1, opAgree},
		"bytes behind it": append([]byte{0, 0, 0, 35, opList}, make([]byte, 34)...),
	} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(bytes); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: answered %x, %v", name, got, err)
		}
		conn.Close()
	}
	dial(t, path)
}

func TestMoreConnectionsThanSessionsAreClosed(t *testing.T) {
	path := socket(t)
	start(t, newFake(t), path)
	list := request{op: opList}
	for i := range MaxConns + 1 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := exchange(conn, list); (err == nil) != (i < MaxConns) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	q := request{op: opAgree, key: [32]byte{1}, input: []byte{4, 5}}
	a := answer{outcome: done, output: []byte{6}}
	f.Add(q.marshal())
	f.Add(a.marshal())
	f.Add(marshalList([]Listed{{Name: "finance", SPKI: []byte{7, 8}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := parseRequest(b); err == nil && !bytes.Equal(q.marshal(), b) {
			t.Errorf("request %x is written as %x", b, q.marshal())
		}
		if a, err := parseAnswer(b); err == nil && !bytes.Equal(a.marshal(), b) {
			t.Errorf("answer %x is written as %x", b, a.marshal())
		}
		if l, err := parseList(b); err == nil && !bytes.Equal(marshalList(l), b) {
			t.Errorf("list %x is written as %x", b, marshalList(l))
		}
	})
}
