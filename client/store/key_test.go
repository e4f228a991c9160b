package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/zalando/go-keyring"

	"parley/client"
)

func secret(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

func TestWrongKeyOpensNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	put(t, s, "a")
	s.Close()
	path := filepath.Join(dir, keyName)
	os.Rename(path, path+".old")
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Fatal("a store without its key opens")
	}
	k := keyFile{Version: 1, Key: "0000000000000000000000000000000000000000000000000000000000000000"}
	os.WriteFile(path, []byte(`{"version":1,"key":"`+k.Key+`"}`), 0o600)
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, ErrKey) {
		t.Fatalf("another key: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"version":2}`, `{"version":1,"key":"00"}`, `{"version":1,"protection":"x"}`,
		`{"version":1,"protection":"passphrase","salt":"00","time":1,"memory":999999999}`} {
		os.WriteFile(path, []byte(bad), 0o600)
		if _, err := Open(Config{Dir: dir, Passphrase: secret("x")}); err == nil {
			t.Errorf("key file %q opens the store", bad)
		}
	}
	os.Rename(path+".old", path)
	s = open(t, Config{Dir: dir})
	defer s.Close()
	if got := scan(t, s, client.Range{}); len(got) != 1 {
		t.Error("the failed attempts have changed the store")
	}
}

func TestPassphrase(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, Protect: KeyPassphrase, Passphrase: secret("correct horse")}
	s := open(t, cfg)
	put(t, s, "a")
	s.Close()
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("opens without passphrase")
	}
	if _, err := Open(Config{Dir: dir, Passphrase: secret("battery")}); !errors.Is(err, ErrKey) {
		t.Errorf("wrong passphrase: %v", err)
	}
	s = open(t, Config{Dir: dir, Passphrase: secret("correct horse")})
	defer s.Close()
	if got := scan(t, s, client.Range{}); len(got) != 1 {
		t.Errorf("have %q", got)
	}
}

func TestKeyring(t *testing.T) {
	keyring.MockInit()
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Protect: KeyRing})
	put(t, s, "a")
	s.Close()
	s = open(t, Config{Dir: dir})
	defer s.Close()
	if got := scan(t, s, client.Range{}); len(got) != 1 {
		t.Errorf("have %q", got)
	}
}
