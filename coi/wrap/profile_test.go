package wrap

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/asn1"
	"encoding/binary"
	mrand "math/rand/v2"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TestW3_NoMoreThanThirtyTwoRecipients: the number alone refuses a message, or a
// list, that is right in all else.
func TestW3_NoMoreThanThirtyTwoRecipients(t *testing.T) {
	all, to := communities(t, repeated("p256", MaxRecipients+1)...)
	for _, n := range []int{MaxRecipients, MaxRecipients + 1} {
		c := content{secret: roomKey, binding: binding(), place: place{mode: Any, of: n}}
		one, err := sealMessage(c.write(), to[:n], rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var messages [][]byte
		for i := range n {
			c.place = place{mode: All, number: i, of: n}
			m, err := sealMessage(c.write(), to[i:i+1], rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, m)
		}
		for name, envelope := range map[string][]byte{"one message": one, "a list": writeList(place{mode: All}, messages)} {
			_, err := Open(envelope, all[n-1].open(), binding())
			if (err == nil) != (n <= MaxRecipients) || len(envelope) > MaxEnvelope {
				t.Errorf("%s for %d in %d bytes: %v", name, n, len(envelope), err)
			}
		}
		if _, err := Seal(roomKey, to[:n], binding(), SealOptions{Mode: Any}); (err == nil) != (n <= MaxRecipients) {
			t.Errorf("sealed for %d: %v", n, err)
		}
	}
}

// by makes a message to one certificate whose content key is wrapped by hand.
func by(t *testing.T, to Recipient, wrapTo func(contentKey []byte) recipient) []byte {
	t.Helper()
	c := content{secret: roomKey, binding: binding(), place: place{mode: Any, of: 1}}
	contentKey, nonce := make([]byte, keySize), make([]byte, nonceSize)
	rand.Read(contentKey)
	rand.Read(nonce)
	sealed := newGCM(contentKey).Seal(nil, nonce, c.write(), nil)
	r := wrapTo(contentKey)
	r.keyID = to.Certificate.SubjectKeyId
	m := &message{recipients: []recipient{r}, nonce: nonce, ciphertext: sealed[:len(sealed)-macSize], mac: sealed[len(sealed)-macSize:]}
	der, err := m.write()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestW4W6A19_OldAlgorithmsAreRefusedThoughTheKeyOpensThem: each message is whole
// and right, but for the age of one algorithm.
func TestW4W6A19_OldAlgorithmsAreRefusedThoughTheKeyOpensThem(t *testing.T) {
	all, _ := communities(t, "rsa", "p256")
	transport, ok := all[0].key.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// PKCS #1 v1.5.
	var contentKey, wrapped []byte
	old := by(t, all[0].Recipient, func(k []byte) recipient {
		contentKey, wrapped = k, must(rsa.EncryptPKCS1v15(rand.Reader, &transport.PublicKey, k))
		return recipient{key: wrapped}
	})
	if k, err := rsa.DecryptPKCS1v15(nil, transport, wrapped); err != nil || !bytes.Equal(k, contentKey) {
		t.Fatal("the key does not open it: this proves nothing")
	}
	v15 := replaced(t, old, algOAEP, sequence(func(b *cryptobyte.Builder) {
		b.AddBytes(identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}))
		b.AddASN1NULL()
	}))
	// OAEP as it is without parameters: SHA-1.
	sha := by(t, all[0].Recipient, func(k []byte) recipient {
		return recipient{key: must(rsa.EncryptOAEP(sha1.New(), rand.Reader, &transport.PublicKey, k, nil))}
	})
	oaep1 := replaced(t, sha, algOAEP, sequence(func(b *cryptobyte.Builder) { b.AddBytes(identifier(oidOAEP)); b.AddBytes([]byte{0x30, 0}) }))
	// The key derivation of X9.63 with SHA-1, which takes two blocks.
	static, err := ecdh.P256().NewPrivateKey(mustBytes(t, all[1].key))
	if err != nil {
		t.Fatal(err)
	}
	kdf := by(t, all[1].Recipient, func(k []byte) recipient {
		ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		z := must(ephemeral.ECDH(static.PublicKey()))
		a := &agreement{hash: crypto.SHA256, point: ephemeral.PublicKey().Bytes(), ukm: make([]byte, ukmSize)}
		info := sequence(func(b *cryptobyte.Builder) {
			b.AddBytes(algAES256Wrap)
			b.AddASN1(tag0c, func(b *cryptobyte.Builder) { b.AddASN1OctetString(a.ukm) })
			b.AddASN1(tag2c, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddUint32(keySize * 8) })
			})
		})
		var kek []byte
		for i := range 2 {
			block := sha1.Sum(append(binary.BigEndian.AppendUint32(bytes.Clone(z), uint32(i+1)), info...))
			kek = append(kek, block[:]...)
		}
		return recipient{key: wrapKey(kek[:keySize], k), agree: a}
	})
	kdf = replaced(t, kdf, identifier(oidStdDHSHA256), identifier(asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 2}))
	for name, v := range map[string]struct {
		envelope []byte
		c        *community
	}{
		"v1.5": {v15, all[0]}, "v1.5 called OAEP": {old, all[0]}, "OAEP with SHA-1": {oaep1, all[0]},
		"OAEP with SHA-1 called SHA-256": {sha, all[0]}, "SHA-1 KDF": {kdf, all[1]},
	} {
		if got, err := Open(v.envelope, v.c.open(), binding()); err != ErrOpen {
			t.Errorf("%s: opens to %x, %v", name, got, err)
		}
	}
	today := by(t, all[0].Recipient, func(k []byte) recipient {
		return recipient{key: must(rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, &transport.PublicKey, k, nil))}
	})
	if got, err := Open(today, all[0].open(), binding()); err != nil || !bytes.Equal(got, roomKey) {
		t.Errorf("made by hand as it should be: %x, %v", got, err)
	}
}

// TestW9_AllFailuresAreOneAfterTheSameWork: a content key that does not come out
// is replaced by one of the same size, and the content is decrypted with it: who
// sends ciphertexts to a service learns neither from its answer nor from its time
// whether the padding of a key was right.
func TestW9_AllFailuresAreOneAfterTheSameWork(t *testing.T) {
	all, to := communities(t, "rsa", "p256")
	transport, ok := all[0].key.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	random := make([]byte, transport.Size())
	rand.Read(random[1:])
	v15, err := rsa.EncryptPKCS1v15(rand.Reader, &transport.PublicKey, make([]byte, keySize))
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, &transport.PublicKey, make([]byte, keySize-1), nil)
	if err != nil {
		t.Fatal(err)
	}
	agreed := mustRead(t, seal(t, to[1:], SealOptions{Mode: Any})).recipients[0]
	changed := agreed
	changed.key = bytes.Clone(agreed.key)
	changed.key[0] ^= 1
	for name, v := range map[string]struct {
		r recipient
		c *community
	}{
		"no padding at all": {recipient{key: random}, all[0]}, "the padding of v1.5": {recipient{key: v15}, all[0]},
		"a key that is too short": {recipient{key: short}, all[0]}, "a wrapped key that was changed": {changed, all[1]},
	} {
		key, good, err := v.r.unwrapWith(v.c.key)
		if len(key) != keySize || good != 0 || err != nil {
			t.Errorf("%s: a key of %d bytes, good %d, %v: the work ends here", name, len(key), good, err)
		}
	}
	// A content key that did not come out opens nothing, whatever it is.
	m := mustRead(t, seal(t, to[1:], SealOptions{Mode: Any}))
	key, _, err := m.recipients[0].unwrapWith(all[1].key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.open(key, 0); err != ErrOpen {
		t.Errorf("a key that is no key: %v", err)
	}
	if _, err := m.open(key, 1); err != nil {
		t.Errorf("the key: %v", err)
	}
}

// TestW2W10_NoBytesHarm: whatever becomes of an envelope's bytes, it does not
// open to something else, and a key is never used for what is no envelope.
func TestW2W10_NoBytesHarm(t *testing.T) {
	all, to := communities(t, "p256", "p384")
	private, err := ecdh.P256().NewPrivateKey(mustBytes(t, all[0].key))
	if err != nil {
		t.Fatal(err)
	}
	ec := &token{PrivateKey: private}
	key := Key{Certificate: all[0].Certificate, Private: ec, PQ: all[0].pq}
	try := func(envelope []byte, want []byte) {
		t.Helper()
		before := ec.asked
		_, shape := Parts(envelope)
		got, err := Open(envelope, key, binding())
		if err != nil && err != ErrOpen || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%x: opens to %x, %v", envelope, got, err)
		}
		if shape != nil && (ec.asked != before || err == nil) {
			t.Fatalf("%x: no envelope, and the key was used", envelope)
		}
	}
	random := mrand.New(mrand.NewPCG(1, 2))
	for _, o := range ways() {
		envelope := seal(t, to, o)
		want, err := Open(envelope, key, binding())
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			bad := bytes.Clone(envelope)
			for range 1 + random.IntN(3) {
				at := random.IntN(len(bad))
				switch random.IntN(4) {
				case 0:
					bad[at] = byte(random.IntN(256))
				case 1:
					bad = append(bad[:at], bad[min(len(bad), at+random.IntN(40)):]...)
				case 2:
					bad = append(bad[:at:at], append(bytes.Clone(envelope[:random.IntN(len(envelope))]), bad[at:]...)...)
				case 3:
					bad[at] ^= 0x20
				}
				if len(bad) == 0 {
					bad = []byte{0x30}
				}
			}
			try(bad, want)
		}
	}
	// Right in all else, and too large.
	c := content{secret: make([]byte, MaxEnvelope), binding: binding(), place: place{mode: Any, of: 1}}
	large, err := sealMessage(c.write(), to[:1], rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	before := ec.asked
	if _, err := Open(large, key, binding()); err != ErrOpen || ec.asked != before {
		t.Errorf("%d bytes: %v, and the key was used %d times", len(large), err, ec.asked-before)
	}
	c.secret = make([]byte, MaxSecret)
	small, err := sealMessage(c.write(), to[:1], rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(small, key, binding()); err != nil {
		t.Errorf("%d bytes: %v", len(small), err)
	}
}
