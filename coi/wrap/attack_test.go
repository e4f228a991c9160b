package wrap

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"encoding/asn1"
	"errors"
	"io"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// replaced is an envelope in which one part stands for another, with all
// lengths around it right: the DER is taken apart and put together again.
func replaced(t *testing.T, der, old, new []byte) []byte {
	t.Helper()
	out, n := replaceIn(der, old, new)
	if n != 1 {
		t.Fatalf("%d places to replace, want 1", n)
	}
	return out
}

func replaceIn(der, old, new []byte) (out []byte, n int) {
	in := cryptobyte.String(der)
	for !in.Empty() {
		var element, value cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1Element(&element, &tag) {
			return append(out, in...), n
		}
		if bytes.Equal(element, old) {
			out, n = append(out, new...), n+1
			continue
		}
		if tag&0x20 == 0 {
			out = append(out, element...)
			continue
		}
		in := element
		in.ReadAnyASN1(&value, &tag)
		inner, found := replaceIn(value, old, new)
		var b cryptobyte.Builder
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(inner) })
		out, n = append(out, b.BytesOrPanic()...), n+found
	}
	return out, n
}

// element writes one element.
func element(tag cbasn1.Tag, value ...byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) })
	return b.BytesOrPanic()
}

// identifier writes an object identifier.
func identifier(id asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(id)
	return b.BytesOrPanic()
}

// TestW1W2W3W7_NothingButTheProfileIsRead: coi.md 3.5, each clause.
func TestW1W2W3W7_NothingButTheProfileIsRead(t *testing.T) {
	all, to := communities(t, "p256", "rsa")
	ec := seal(t, to[:1], SealOptions{Mode: Any})
	rsa := seal(t, to[1:], SealOptions{Mode: Any})
	m, _ := readMessage(ec)
	r := m.recipients[0]
	version := element(cbasn1.INTEGER, 0)
	tooMany := make([][]byte, MaxRecipients+1)
	for i := range tooMany {
		tooMany[i] = ec
	}
	ukm := element(cbasn1.OCTET_STRING, r.agree.ukm...)
	for name, envelope := range map[string][]byte{
		"DER only: indefinite length":       append(append([]byte{0x30, 0x80}, ec[4:]...), 0, 0),
		"DER only: a longer form of length": append([]byte{0x30, 0x83, 0, ec[2], ec[3]}, ec[4:]...),
		"DER only: a padded integer":        replaced(t, ec, element(cbasn1.INTEGER, 16), element(cbasn1.INTEGER, 0, 16)),
		"DER only: a constructed string":    replaced(t, ec, element(tag0, m.ciphertext...), element(tag0c, element(cbasn1.OCTET_STRING, m.ciphertext...)...)),
		"DER only: unused bits":             replaced(t, ec, element(cbasn1.BIT_STRING, append([]byte{0}, r.agree.point...)...), element(cbasn1.BIT_STRING, append([]byte{1}, r.agree.point...)...)),
		"size: over the limit":              append(bytes.Clone(ec), make([]byte, MaxEnvelope)...),
		"size: nothing":                     nil,
		"bytes behind the end":              append(bytes.Clone(ec), 5, 0),
		"recipients: more than 32 messages": writeList(place{mode: All}, tooMany),
		"recipients: none":                  replaced(t, ec, element(cbasn1.SET, r.write()...), element(cbasn1.SET)),
		"recipients: the same twice":        replaced(t, ec, element(cbasn1.SET, r.write()...), element(cbasn1.SET, append(r.write(), r.write()...)...)),
		"v1.5": replaced(t, rsa, algOAEP, sequence(func(b *cryptobyte.Builder) {
			b.AddBytes(identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}))
			b.AddASN1NULL()
		})),
		"OAEP with the defaults, SHA-1": replaced(t, rsa, algOAEP, sequence(func(b *cryptobyte.Builder) { b.AddBytes(identifier(oidOAEP)); b.AddBytes([]byte{0x30, 0}) })),
		"AES-256-CBC":                   replaced(t, ec, identifier(oidAES256GCM), identifier(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42})),
		"AES-128-GCM":                   replaced(t, ec, identifier(oidAES256GCM), identifier(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 6})),
		"SHA-1 KDF":                     replaced(t, ec, identifier(oidStdDHSHA256), identifier(asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 2})),
		"3DES key wrap": replaced(t, ec, algAES256Wrap, sequence(func(b *cryptobyte.Builder) {
			b.AddBytes(identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 6}))
			b.AddASN1NULL()
		})),
		"a short tag":                         replaced(t, ec, element(cbasn1.INTEGER, 16), element(cbasn1.INTEGER, 12)),
		"a tag of 4 bytes":                    replaced(t, ec, element(cbasn1.OCTET_STRING, m.mac...), element(cbasn1.OCTET_STRING, m.mac[:4]...)),
		"EnvelopedData":                       replaced(t, ec, identifier(oidAuthEnvelopedData), identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3})),
		"unknown pieces: authAttrs":           replaced(t, ec, element(cbasn1.OCTET_STRING, m.mac...), append(element(tag1c, attribute(oidOAEP, func(b *cryptobyte.Builder) { b.AddASN1Int64(1) })...), element(cbasn1.OCTET_STRING, m.mac...)...)),
		"unknown pieces: unauthAttrs":         replaced(t, ec, element(cbasn1.OCTET_STRING, m.mac...), append(element(cbasn1.OCTET_STRING, m.mac...), element(tag2c, attribute(oidOAEP, func(b *cryptobyte.Builder) { b.AddASN1Int64(1) })...)...)),
		"unknown pieces: originatorInfo":      replaced(t, ec, element(cbasn1.SET, r.write()...), append(element(tag0c), element(cbasn1.SET, r.write()...)...)),
		"unknown pieces: another recipient":   replaced(t, ec, element(cbasn1.SET, r.write()...), element(cbasn1.SET, append(r.write(), element(tag2c, 2, 1, 4)...)...)),
		"unknown pieces: another version":     replaced(t, ec, version, element(cbasn1.INTEGER, 4)),
		"unknown pieces: a short ukm":         replaced(t, ec, ukm, element(cbasn1.OCTET_STRING, r.agree.ukm[:15]...)),
		"unknown pieces: a content type":      replaced(t, ec, identifier(oidData), identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2})),
		"a single message in a list":          writeList(place{mode: Any}, [][]byte{ec}),
		"an empty list":                       writeList(place{mode: All}, nil),
		"a list of a mode that there is not":  writeList(place{mode: 3}, [][]byte{ec}),
		"a message relabelled as a share":     writeList(place{mode: All}, [][]byte{ec}),
		"a message relabelled post-quantum":   writeList(place{mode: Any, postQuantum: true}, [][]byte{ec}),
		"the same message twice":              writeList(place{mode: All}, [][]byte{ec, ec}),
		"a point that is not on the curve":    replaced(t, ec, element(cbasn1.BIT_STRING, append([]byte{0}, r.agree.point...)...), element(cbasn1.BIT_STRING, append([]byte{0, 4}, make([]byte, 64)...)...)),
		"a compressed point":                  replaced(t, ec, element(cbasn1.BIT_STRING, append([]byte{0}, r.agree.point...)...), element(cbasn1.BIT_STRING, append([]byte{0, 2}, r.agree.point[1:33]...)...)),
		"the point at infinity":               replaced(t, ec, element(cbasn1.BIT_STRING, append([]byte{0}, r.agree.point...)...), element(cbasn1.BIT_STRING, 0, 0)),
		"an RSA ciphertext of another length": replaced(t, rsa, element(cbasn1.OCTET_STRING, mustRead(t, rsa).recipients[0].key...), element(cbasn1.OCTET_STRING, 1, 2, 3)),
	} {
		for _, c := range all {
			if got, err := Open(envelope, c.open(), binding()); err != ErrOpen {
				t.Errorf("%s: opens to %x, %v, want ErrOpen", name, got, err)
			}
		}
	}
	if _, err := Open(ec, all[0].open(), binding()); err != nil {
		t.Errorf("what was not changed: %v", err)
	}
}

func mustRead(t *testing.T, der []byte) *message {
	t.Helper()
	m, ok := readMessage(der)
	if !ok {
		t.Fatal("not a message")
	}
	return m
}

// TestW8A19_GCMIsNotReadAsCBC: "the GCM -> CBC re-labelling attack". Who turns a
// message into EnvelopedData with CBC, to learn from how it decrypts what its
// blocks are, gets no answer that depends on them.
func TestW8A19_GCMIsNotReadAsCBC(t *testing.T) {
	all, to := communities(t, "p256")
	m := mustRead(t, seal(t, to, SealOptions{Mode: Any}))
	counter := append(bytes.Clone(m.nonce), 0, 0, 0, 2) // the block that GCM began with
	enveloped := sequence(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3})
		b.AddASN1(tag0c, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(2)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(m.recipients[0].write()) })
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidData)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42})
						b.AddASN1OctetString(make([]byte, 16))
					})
					b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(append(counter, m.ciphertext[:16]...)) })
				})
			})
		})
	})
	if _, err := Open(enveloped, all[0].open(), binding()); err != ErrOpen {
		t.Errorf("read as CBC: %v, want ErrOpen", err)
	}
}

// TestPartsKeepTheirPlaces: messages have their places.
func TestPartsKeepTheirPlaces(t *testing.T) {
	all, to := communities(t, "p256", "p384")
	for name, o := range ways() {
		if (place{mode: o.Mode, postQuantum: o.PostQuantum}).single() {
			continue
		}
		one := seal(t, to, o)
		parts, err := Parts(one)
		if err != nil {
			t.Fatal(err)
		}
		p := place{mode: o.Mode, postQuantum: o.PostQuantum}
		for what, messages := range map[string][][]byte{
			"one left out": {parts[0].Message},
			"turned round": {parts[1].Message, parts[0].Message},
		} {
			if got, err := Open(writeList(p, messages), all[0].open(), binding()); err != ErrOpen {
				t.Errorf("%s: %s: opens to %x, %v", name, what, got, err)
			}
		}
		if got, err := Open(parts[0].Message, all[0].open(), binding()); err != ErrOpen {
			t.Errorf("%s: a part by itself opens to %x, %v", name, got, err)
		}
		other := place{mode: 3 - o.Mode, postQuantum: true}
		if got, err := Open(writeList(other, [][]byte{parts[0].Message, parts[1].Message}), all[0].open(), binding()); err != ErrOpen {
			t.Errorf("%s: under another mode opens to %x, %v", name, got, err)
		}
	}
}

// TestA4_RecipientsReducedAreMissed: "recipients reduced" is seen by those who are left.
func TestA4_RecipientsReducedAreMissed(t *testing.T) {
	all, to := communities(t, "p256", "p384", "rsa")
	m := mustRead(t, seal(t, to, SealOptions{Mode: Any}))
	for i := range m.recipients {
		m.recipients = append(m.recipients[:i:i], m.recipients[i+1:]...)
		less, err := m.write()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if _, err := Open(less, c.open(), binding()); err != ErrOpen {
				t.Errorf("%s opens an envelope that has lost a recipient: %v", c.Name, err)
			}
		}
		if Check(less, len(to), SealOptions{Mode: Any}) == nil {
			t.Error("checked as right although one recipient is gone")
		}
		m = mustRead(t, seal(t, to, SealOptions{Mode: Any}))
	}
}

// TestCheckSeesTheOutside: mode, post-quantum and recipients.
func TestCheckSeesTheOutside(t *testing.T) {
	_, to := communities(t, "p256", "p384", "p256")
	for name, o := range ways() {
		envelope := seal(t, to[:2], o)
		if err := Check(envelope, 2, o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, err := range map[string]error{
			"another mode":            Check(envelope, 2, SealOptions{Mode: 3 - o.Mode, PostQuantum: o.PostQuantum}),
			"post-quantum or not":     Check(envelope, 2, SealOptions{Mode: o.Mode, PostQuantum: !o.PostQuantum}),
			"a recipient too few":     Check(envelope, 3, o),
			"a recipient too many":    Check(envelope, 1, o),
			"an envelope that is cut": Check(envelope[:40], 2, o),
		} {
			if err == nil {
				t.Errorf("%s: %s: checked as right", name, what)
			}
		}
	}
}

// A token is an opaque key: it does what it is asked for, or is away.
type token struct {
	*ecdh.PrivateKey
	asked int
	err   error
}

func (k *token) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if k.asked++; k.err != nil {
		return nil, k.err
	}
	return k.PrivateKey.ECDH(remote)
}

// decrypter is an opaque RSA key.
type decrypter struct {
	crypto.Decrypter
	err error
}

func (k decrypter) Decrypt(rand io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.Decrypter.Decrypt(rand, msg, opts)
}

// away is the error of a token that can not be reached.
type away struct{}

func (away) Error() string     { return "the token is away" }
func (away) Unavailable() bool { return true }

func TestKeysMayBeOpaque(t *testing.T) {
	all, to := communities(t, "p256", "rsa")
	envelope := seal(t, to, SealOptions{Mode: Any})
	private, err := ecdh.P256().NewPrivateKey(mustBytes(t, all[0].key))
	if err != nil {
		t.Fatal(err)
	}
	ec := &token{PrivateKey: private}
	transport := decrypter{Decrypter: all[1].key.(crypto.Decrypter)}
	try := func(c *community, private any) error {
		got, err := Open(envelope, Key{Certificate: c.Certificate, Private: private}, binding())
		if err == nil && !bytes.Equal(got, roomKey) {
			t.Errorf("opens to %x", got)
		}
		return err
	}
	if err := try(all[0], ec); err != nil {
		t.Errorf("ecdh.KeyExchanger: %v", err)
	}
	if err := try(all[1], transport); err != nil {
		t.Errorf("crypto.Decrypter: %v", err)
	}
	for _, v := range []struct{ err, want error }{{away{}, away{}}, {errors.New("bad padding in block 7"), ErrOpen}} {
		ec.err, transport.err = v.err, v.err
		if err := try(all[0], ec); err != v.want {
			t.Errorf("ecdh.KeyExchanger says %v: %v, want %v", v.err, err, v.want)
		}
		if err := try(all[1], transport); err != v.want {
			t.Errorf("crypto.Decrypter says %v: %v, want %v", v.err, err, v.want)
		}
	}
	if err := try(all[0], nil); err != ErrOpen {
		t.Errorf("no key: %v, want ErrOpen", err)
	}
}

// TestAKeyIsNotAskedForWhatIsNoEnvelope: a token never sees a point that is not
// on its curve, nor is it used for what is misshapen or for others.
func TestAKeyIsNotAskedForWhatIsNoEnvelope(t *testing.T) {
	all, to := communities(t, "p256", "p256", "p384")
	private, err := ecdh.P256().NewPrivateKey(mustBytes(t, all[0].key))
	if err != nil {
		t.Fatal(err)
	}
	ec := &token{PrivateKey: private}
	key := Key{Certificate: all[0].Certificate, Private: ec}
	own := seal(t, to[:1], SealOptions{Mode: Any})
	point := mustRead(t, own).recipients[0].agree.point
	off := bytes.Clone(point)
	off[40] ^= 1
	for name, envelope := range map[string][]byte{
		"for another":       seal(t, to[1:2], SealOptions{Mode: Any}),
		"for another curve": seal(t, to[2:], SealOptions{Mode: Any}),
		"cut":               own[:len(own)-1],
		"off the curve":     replaced(t, own, element(cbasn1.BIT_STRING, append([]byte{0}, point...)...), element(cbasn1.BIT_STRING, append([]byte{0}, off...)...)),
		"a point of P-384":  replaced(t, own, element(cbasn1.BIT_STRING, append([]byte{0}, point...)...), element(cbasn1.BIT_STRING, append([]byte{0}, mustRead(t, seal(t, to[2:], SealOptions{Mode: Any})).recipients[0].agree.point...)...)),
	} {
		if _, err := Open(envelope, key, binding()); err != ErrOpen || ec.asked != 0 {
			t.Errorf("%s: %v, and the token was asked %d times", name, err, ec.asked)
		}
	}
}

func mustBytes(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	private, err := key.(interface {
		ECDH() (*ecdh.PrivateKey, error)
	}).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	return private.Bytes()
}

// TestContentIsWrittenOneWay: attributes that are missing, doubled, unknown or
// out of order are refused even if they were sealed well.
func TestContentIsWrittenOneWay(t *testing.T) {
	c := content{secret: roomKey, binding: binding(), place: place{mode: Any, of: 1}}
	good := c.write()
	if _, ok := readContent(good); !ok {
		t.Fatal("what is written is not read")
	}
	in := cryptobyte.String(good)
	var body, secret, list cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1Element(&secret, cbasn1.OCTET_STRING) || !body.ReadASN1(&list, cbasn1.SET) {
		t.Fatal("a content is not what it says")
	}
	var attributes [][]byte
	for !list.Empty() {
		var one cryptobyte.String
		if !list.ReadASN1Element(&one, cbasn1.SEQUENCE) {
			t.Fatal("an attribute is not what it says")
		}
		attributes = append(attributes, one)
	}
	with := func(list ...[]byte) []byte {
		return element(cbasn1.SEQUENCE, append(bytes.Clone(secret), element(cbasn1.SET, bytes.Join(list, nil)...)...)...)
	}
	unknown := attribute(oidOAEP, func(b *cryptobyte.Builder) { b.AddASN1Int64(1) })
	twoValues := bytes.Replace(good, element(cbasn1.INTEGER, 7), append(element(cbasn1.INTEGER, 7), element(cbasn1.INTEGER, 8)...), 1)
	if !bytes.Equal(with(attributes...), good) {
		t.Fatal("put together again it is not the same")
	}
	bad := map[string][]byte{
		"one twice":    with(append(attributes, attributes[4])...),
		"unknown":      with(append(attributes, unknown)...),
		"out of order": with(attributes[1], attributes[0], attributes[2], attributes[3], attributes[4]),
		"two values":   twoValues,
		"a byte more":  append(bytes.Clone(good), 0),
		"nothing":      nil,
		"no secret":    good[len(secret):],
	}
	for i := range attributes {
		bad["one missing: "+string(rune('0'+i))] = with(append(attributes[:i:i], attributes[i+1:]...)...)
	}
	for name, der := range bad {
		if _, ok := readContent(der); ok {
			t.Errorf("%s: read", name)
		}
	}
}
