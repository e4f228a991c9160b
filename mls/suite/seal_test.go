package suite

import (
	"bytes"
	"crypto"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"parley/mls/internal/vectors"
)

// A knownSeal is one of testdata/hpke.json: base mode of RFC 9180, Appendix A,
// and of draft-ietf-hpke-pq, Appendix A, with what the sender has drawn.
type knownSeal struct {
	KEM        uint16      `json:"kem"`
	KDF        uint16      `json:"kdf"`
	AEAD       uint16      `json:"aead"`
	Info       vectors.Hex `json:"info"`
	Random     vectors.Hex `json:"random"`
	Public     vectors.Hex `json:"public"`
	Private    vectors.Hex `json:"private"`
	Enc        vectors.Hex `json:"enc"`
	Shared     vectors.Hex `json:"shared"`
	Key        vectors.Hex `json:"key"`
	Nonce      vectors.Hex `json:"nonce"`
	AAD        vectors.Hex `json:"aad"`
	Plaintext  vectors.Hex `json:"plaintext"`
	Ciphertext vectors.Hex `json:"ciphertext"`
}

// ephemeral is what the sender of c has drawn: for ML-KEM the 32 bytes of
// FIPS 203, then a scalar.
func (c *knownSeal) ephemeral(t *testing.T, s *Suite) (e ephemeral) {
	random := c.Random
	if s.kem.lattice != nil {
		m := random[:mlkem.SharedKeySize]
		random = random[len(m):]
		e.lattice = func(key crypto.Encapsulator) (shared, ciphertext []byte) {
			var err error
			switch k := key.(type) {
			case *mlkem.EncapsulationKey768:
				shared, ciphertext, err = mlkemtest.Encapsulate768(k, m)
			case *mlkem.EncapsulationKey1024:
				shared, ciphertext, err = mlkemtest.Encapsulate1024(k, m)
			}
			if err != nil {
				t.Fatal(err)
			}
			return shared, ciphertext
		}
	}
	if s.kem.curve != nil {
		size := map[uint16]int{0x10: 32, 0x11: 48, 0x12: 66, 0x20: 32, 0x50: 32, 0x51: 48, 0x647a: 32}[c.KEM]
		var err error
		if e.key, err = s.kem.curve.NewPrivateKey(random[:size]); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// suites lists the suites with the KEM of c, those with its KDF and AEAD
// apart.
func (c *knownSeal) suites() (kem, all []*Suite) {
	for i := range suites {
		s := &suites[i]
		switch {
		case s.kem.ID() != c.KEM:
		case s.kemKDF.ID() == c.KDF && s.kemAEAD.ID() == c.AEAD:
			kem, all = append(kem, s), append(all, s)
		default:
			kem = append(kem, s)
		}
	}
	return kem, all
}

func TestKnownSeals(t *testing.T) {
	b, err := os.ReadFile("testdata/hpke.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []knownSeal
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	kems := map[uint16]bool{}
	whole := 0
	for _, c := range cases {
		kem, all := c.suites()
		for _, s := range kem {
			kems[c.KEM] = true
			shared, enc, err := s.encapsulate(c.Public, c.ephemeral(t, s))
			if err != nil || !bytes.Equal(shared, c.Shared) || !bytes.Equal(enc, c.Enc) {
				t.Errorf("%v: encapsulated %x, %v", s, shared, err)
			}
		}
		for _, s := range all {
			whole++
			k := s.NewSealer("", nil)
			k = newSealer(k.labels, c.Info[:3], c.Info[3:])
			enc, with, err := k.begin(c.Public, c.ephemeral(t, s))
			if err != nil || !bytes.Equal(enc, c.Enc) || !bytes.Equal(with.Key, c.Key) || !bytes.Equal(with.Nonce, c.Nonce) {
				t.Errorf("%v: key %x, nonce %x, %v", s, with.Key, with.Nonce, err)
				continue
			}
			with.AAD = c.AAD
			if ct := s.Seal(nil, c.Plaintext, with); !bytes.Equal(ct, c.Ciphertext) {
				t.Errorf("%v: ciphertext %x", s, ct)
			}
		}
	}
	// P-384 is in no vector of either document.
	if len(kems) != 8 || whole < 7 {
		t.Errorf("checked %d KEMs, %d suites whole", len(kems), whole)
	}
}

// What a Sealer makes is what the standard library opens, whatever the length
// of the info, and as often as it is asked (RFC 9420, Section 5.1.3).
func TestSealerAgainstStandardLibrary(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *Suite) {
		for _, n := range []int{0, 1, 63, 64, 16384, 100000} {
			context := Random(n)
			k := s.NewSealer("Welcome", context)
			for i := range 3 {
				priv, err := s.GenerateKeyPair()
				if err != nil {
					t.Fatal(err)
				}
				plaintext := Random(i * 40)
				enc, ct, err := k.Seal(priv.PublicKey(), plaintext)
				if err != nil {
					t.Fatal(err)
				}
				info := appendLabelled(nil, "Welcome", context)
				r, err := hpke.NewRecipient(enc, priv.key, s.kemKDF, s.kemAEAD, info)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := r.Open(nil, ct); err != nil || !bytes.Equal(got, plaintext) {
					t.Fatalf("context of %d bytes: %x, %v", n, got, err)
				}
			}
		}
	})
}

// suite_id is "HPKE" and the numbers of KEM, KDF and AEAD (RFC 9180, Section
// 5.1).
func TestSealerSuiteID(t *testing.T) {
	s, _ := Lookup(P521AES256SHA512P521)
	want := binary.BigEndian.AppendUint64([]byte("HP"), 0x4b45001200030002)
	if got := s.NewSealer("", nil).id; !bytes.Equal(got, want) {
		t.Errorf("suite_id %x", got)
	}
}

// Two seals of one plaintext have nothing in common, but if the ephemeral key
// were the same.
func TestSealerIsDeterministicButForTheEphemeral(t *testing.T) {
	s, _ := Lookup(P384AES256SHA384P384)
	priv, err := s.GenerateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.kem.curve.NewPrivateKey(append(make([]byte, 47), 7))
	if err != nil {
		t.Fatal(err)
	}
	k := s.NewSealer("L", []byte("context"))
	enc1, ct1, err1 := k.seal(priv.PublicKey(), []byte("x"), ephemeral{key: key})
	enc2, ct2, err2 := k.seal(priv.PublicKey(), []byte("x"), ephemeral{key: key})
	if err := errors.Join(err1, err2); err != nil || !bytes.Equal(enc1, enc2) || !bytes.Equal(ct1, ct2) {
		t.Errorf("%v: %x %x", err, ct1, ct2)
	}
	enc3, ct3, err := k.Seal(priv.PublicKey(), []byte("x"))
	if err != nil || bytes.Equal(enc1, enc3) || bytes.Equal(ct1, ct3) {
		t.Errorf("%v: the ephemeral key is not new", err)
	}
}

// Keys that are too short, too long, off the curve or not reduced are refused
// with ErrBadKey, and nothing is sealed.
func TestSealerRefusesBadKeys(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *Suite) {
		priv, err := s.GenerateKeyPair()
		if err != nil {
			t.Fatal(err)
		}
		k := s.NewSealer("L", nil)
		good := priv.PublicKey()
		bad := [][]byte{nil, {}, good[:1], good[:len(good)-1], append(bytes.Clone(good), 0)}
		if s.kem.lattice != nil {
			unreduced := bytes.Clone(good)
			copy(unreduced, []byte{0xff, 0xff, 0xff}) // coefficients of 4095, above the modulus
			bad = append(bad, unreduced, good[:s.kem.latticeSize-1])
		}
		if s.kem.curve != nil && s.sig.curve != nil {
			off := bytes.Clone(good)
			off[len(off)-1] ^= 1
			bad = append(bad, off)
		}
		for i, public := range bad {
			if _, _, err := k.Seal(public, nil); !errors.Is(err, ErrBadKey) {
				t.Errorf("bad key %d of %d bytes: %v", i, len(public), err)
			}
		}
	})
}

// The names of the drafts' suites say that they are, and where they stand.
func TestDraftSuites(t *testing.T) {
	drafts := 0
	for _, id := range IDs() {
		s, _ := Lookup(id)
		if private := id >= 0xf000; private != id.IsDraft() || private != bytes.Contains([]byte(s.String()), []byte(Draft)) {
			t.Errorf("suite %#x is %v", uint16(id), s)
		}
		if id.IsDraft() {
			drafts++
		}
	}
	if drafts != 8 {
		t.Errorf("%d suites of %s", drafts, Draft)
	}
}

// Whatever the key, a Sealer seals or says ErrBadKey, and what it seals can not
// be told from the standard library's by who opens it.
func FuzzSeal(f *testing.F) {
	for i, id := range IDs() {
		s, _ := Lookup(id)
		priv, err := s.GenerateKeyPair()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), priv.PublicKey(), []byte("context"))
	}
	f.Fuzz(func(t *testing.T, i uint8, public, context []byte) {
		s := &suites[int(i)%len(suites)]
		enc, ct, err := s.NewSealer("fuzz", context).Seal(public, []byte("plaintext"))
		if err != nil && !errors.Is(err, ErrBadKey) {
			t.Fatal(err)
		}
		if check := s.CheckHPKEPublicKey(public); check != nil && err == nil {
			t.Fatalf("sealed to a key that is none: %v", check)
		}
		if err == nil && len(ct) != len("plaintext")+TagSize || len(enc) > 2048 {
			t.Fatalf("%d bytes, KEM output of %d", len(ct), len(enc))
		}
	})
}

// BenchmarkSeal seals to one recipient with an info of that size: all of it is
// hashed once, whether by Encrypt or by NewSealer.
func BenchmarkSeal(b *testing.B) {
	for _, id := range []ID{X25519AES128SHA256Ed25519, P256AES128SHA256P256, MLKEM768X25519AES128SHA256Ed25519} {
		s, _ := Lookup(id)
		priv, err := s.GenerateKeyPair()
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range []int{150, 2 << 20} {
			context, secrets := make([]byte, n), make([]byte, 72)
			b.Run(fmt.Sprintf("%d/info=%d/encrypt", id, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.Encrypt(priv.PublicKey(), "Welcome", context, secrets)
				}
			})
			b.Run(fmt.Sprintf("%d/info=%d/sealer", id, n), func(b *testing.B) {
				k := s.NewSealer("Welcome", context)
				b.ReportAllocs()
				for b.Loop() {
					k.Seal(priv.PublicKey(), secrets)
				}
			})
		}
	}
}
