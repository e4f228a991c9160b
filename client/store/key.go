package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/zalando/go-keyring"
	"golang.org/x/crypto/argon2"
)

// A Protection is how the key of a home is kept.
type Protection string

// The ways to keep a key.
const (
	KeyFile       Protection = ""           // in store.key, readable by the owner of the home
	KeyPassphrase Protection = "passphrase" // in store.key, under a passphrase (Argon2id)
	KeyRing       Protection = "keyring"    // in the keyring of the person's session
)

// ErrKey says that a key or passphrase does not open the store, or that the
// file is damaged: encryption does not let us tell which.
var ErrKey = errors.New("the key does not open the store, or the store is damaged")

const (
	keyName     = "store.key"
	keySize     = 32
	ringService = "parley"
	// The cost of a passphrase (RFC 9106, Section 4, second choice).
	argonTime, argonMemory, argonThreads = 3, 64 << 10, 4
	// maxArgonMemory bounds what a key file can make us spend, in KiB.
	maxArgonMemory = 1 << 20
)

// A keyFile is what stands in store.key.
type keyFile struct {
	Version    int        `json:"version"`
	Protection Protection `json:"protection,omitempty"`
	Key        string     `json:"key,omitempty"`     // hex; sealed if under a passphrase
	Salt       string     `json:"salt,omitempty"`    // hex
	Time       uint32     `json:"time,omitempty"`    // Argon2id
	Memory     uint32     `json:"memory,omitempty"`  // Argon2id, KiB
	Account    string     `json:"account,omitempty"` // in the keyring
}

// loadKey reads the key of a home, or makes one for a new home.
func loadKey(cfg Config, fresh bool) ([]byte, error) {
	path := filepath.Join(cfg.Dir, keyName)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && fresh:
		return makeKey(cfg, path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the key file %s is gone: without it the store can not be read", path)
	case err != nil:
		return nil, err
	}
	var k keyFile
	if err := json.Unmarshal(b, &k); err != nil || k.Version != 1 {
		return nil, fmt.Errorf("read key file %s: %w", path, ErrKey)
	}
	return k.open(cfg)
}

// makeKey makes a key and keeps it, before anything is encrypted with it.
func makeKey(cfg Config, path string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key)
	k := keyFile{Version: 1, Protection: cfg.Protect}
	switch cfg.Protect {
	case KeyFile:
		k.Key = hex.EncodeToString(key)
	case KeyPassphrase:
		if err := k.seal(key, cfg); err != nil {
			return nil, err
		}
	case KeyRing:
		id := make([]byte, 8)
		rand.Read(id)
		k.Account = hex.EncodeToString(id)
		if err := keyring.Set(ringService, k.Account, hex.EncodeToString(key)); err != nil {
			return nil, fmt.Errorf("keep key in the keyring: %w", err)
		}
	default:
		return nil, fmt.Errorf("unknown protection %q: use passphrase, keyring or none", cfg.Protect)
	}
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	if err := writeSynced(path, append(b, '\n')); err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	return key, nil
}

// open returns the key.
func (k *keyFile) open(cfg Config) (key []byte, err error) {
	switch k.Protection {
	case KeyFile:
		key, err = hex.DecodeString(k.Key)
	case KeyPassphrase:
		key, err = k.unseal(cfg)
	case KeyRing:
		var s string
		if s, err = keyring.Get(ringService, k.Account); err != nil {
			return nil, fmt.Errorf("get key from the keyring: %w", err)
		}
		key, err = hex.DecodeString(s)
	default:
		return nil, fmt.Errorf("key file has unknown protection %q", k.Protection)
	}
	if err != nil {
		return nil, err
	}
	if len(key) != keySize {
		return nil, ErrKey
	}
	return key, nil
}

// seal puts the key under the passphrase.
func (k *keyFile) seal(key []byte, cfg Config) error {
	salt := make([]byte, 16)
	rand.Read(salt)
	k.Salt, k.Time, k.Memory = hex.EncodeToString(salt), argonTime, argonMemory
	aead, err := k.aead(cfg)
	if err != nil {
		return err
	}
	// The wrapping key is used once: a fresh salt, so a fixed nonce.
	k.Key = hex.EncodeToString(aead.Seal(nil, make([]byte, aead.NonceSize()), key, []byte(keyName)))
	return nil
}

// unseal takes the key from under the passphrase.
func (k *keyFile) unseal(cfg Config) ([]byte, error) {
	sealed, err := hex.DecodeString(k.Key)
	if err != nil {
		return nil, ErrKey
	}
	aead, err := k.aead(cfg)
	if err != nil {
		return nil, err
	}
	key, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, []byte(keyName))
	if err != nil {
		return nil, fmt.Errorf("wrong passphrase: %w", ErrKey)
	}
	return key, nil
}

// aead derives the wrapping key from the passphrase.
func (k *keyFile) aead(cfg Config) (cipher.AEAD, error) {
	if cfg.Passphrase == nil {
		return nil, errors.New("the home is under a passphrase, and there is nobody to ask for it")
	}
	salt, err := hex.DecodeString(k.Salt)
	if err != nil || k.Time == 0 || k.Time > 16 || k.Memory == 0 || k.Memory > maxArgonMemory {
		return nil, ErrKey
	}
	pass, err := cfg.Passphrase()
	if err != nil {
		return nil, fmt.Errorf("ask for passphrase: %w", err)
	}
	defer clear(pass)
	if len(bytes.TrimSpace(pass)) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	block, err := aes.NewCipher(argon2.IDKey(pass, salt, k.Time, k.Memory, argonThreads, keySize))
	if err != nil {
		panic("BUG: AES refuses a key of 32 bytes")
	}
	return cipher.NewGCM(block)
}

// writeSynced writes a file that must be there after a loss of power.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	dir.Sync() // not every system can; the file itself is synced
	return dir.Close()
}
