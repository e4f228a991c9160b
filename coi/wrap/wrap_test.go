package wrap

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"testing"
)

func TestEachRecipientOpensWhatIsSealed(t *testing.T) {
	all, to := communities(t, "p256", "p384", "rsa", "p256")
	for name, o := range ways() {
		t.Run(name, func(t *testing.T) {
			envelope := seal(t, to, o)
			var shares [][]byte
			for _, c := range all {
				part, err := Open(envelope, c.open(), binding())
				if err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
				if (o.Mode == Any) != bytes.Equal(part, roomKey) {
					t.Errorf("%s opens to %x", c.Name, part)
				}
				shares = append(shares, part)
			}
			if err := Check(envelope, len(to), o); err != nil {
				t.Errorf("check: %v", err)
			}
			if o.Mode == Any {
				return
			}
			if got, err := Combine(shares...); err != nil || !bytes.Equal(got, roomKey) {
				t.Errorf("combined to %x, %v", got, err)
			}
			if got, err := Combine(shares[1:]...); err != nil || bytes.Equal(got, roomKey) {
				t.Errorf("one share short: combined to %x, %v", got, err)
			}
		})
	}
}

func TestE8_AnEnvelopeOpensForNothingElse(t *testing.T) {
	all, to := communities(t, "p256", "rsa")
	stranger := newCommunity(t, "p256")
	for name, o := range ways() {
		envelope := seal(t, to, o)
		for what, change := range map[string]func(*Binding){
			"room":       func(b *Binding) { b.Room = "mimi://alpha.example/r/other" },
			"epoch":      func(b *Binding) { b.Epoch++ },
			"key id":     func(b *Binding) { b.KeyID[31] ^= 1 },
			"recipients": func(b *Binding) { b.Recipients[0] ^= 1 },
		} {
			b := binding()
			change(&b)
			for _, c := range all {
				if _, err := Open(envelope, c.open(), b); err != ErrOpen {
					t.Errorf("%s: another %s: %v, want ErrOpen", name, what, err)
				}
			}
		}
		if _, err := Open(envelope, stranger.open(), binding()); err != ErrOpen {
			t.Errorf("%s: a stranger: %v, want ErrOpen", name, err)
		}
		posing := stranger.open()
		posing.Certificate = all[0].Certificate
		if _, err := Open(envelope, posing, binding()); err != ErrOpen {
			t.Errorf("%s: a stranger under another's certificate: %v, want ErrOpen", name, err)
		}
		for i, c := range all {
			crossed := c.open()
			crossed.Private = all[1-i].key
			if _, err := Open(envelope, crossed, binding()); err != ErrOpen {
				t.Errorf("%s: a key of the other kind: %v, want ErrOpen", name, err)
			}
		}
		if o.PostQuantum {
			half := all[0].open()
			half.PQ = nil
			if _, err := Open(envelope, half, binding()); err != ErrOpen {
				t.Errorf("%s: without the X-Wing key: %v, want ErrOpen", name, err)
			}
			half.PQ = all[1].pq
			if _, err := Open(envelope, half, binding()); err != ErrOpen {
				t.Errorf("%s: with another's X-Wing key: %v, want ErrOpen", name, err)
			}
		}
	}
}

// TestEveryChangedByteIsRefused: "refuses every tampering we try".
func TestEveryChangedByteIsRefused(t *testing.T) {
	all, to := communities(t, "p256", "p384")
	for name, o := range ways() {
		envelope := seal(t, to, o)
		parts, err := Parts(envelope)
		if err != nil {
			t.Fatal(err)
		}
		// The part of the first; what is for others concerns it only as far as it
		// is one message with its own, or one list.
		own := parts[0].Message
		start := bytes.Index(envelope, own)
		for i := range own {
			for _, bit := range []byte{0x01, 0x80} {
				changed := bytes.Clone(envelope)
				changed[start+i] ^= bit
				part, err := Open(changed, all[0].open(), binding())
				if err == nil && !(o.Mode == Any && !o.PostQuantum && bytes.Equal(part, roomKey)) {
					t.Fatalf("%s: byte %d changed: opens to %x", name, i, part)
				}
				if err != nil && err != ErrOpen {
					t.Fatalf("%s: byte %d changed: %v, want ErrOpen", name, i, err)
				}
			}
		}
		for n := range envelope {
			if _, err := Open(envelope[:n], all[0].open(), binding()); err != ErrOpen {
				t.Fatalf("%s: cut to %d bytes: %v, want ErrOpen", name, n, err)
			}
		}
		if _, err := Open(append(bytes.Clone(envelope), 0), all[0].open(), binding()); err != ErrOpen {
			t.Errorf("%s: a byte more: %v, want ErrOpen", name, err)
		}
	}
}

// TestARecipientOfItsOwnIsBoundToEveryByte: with one recipient no byte at all
// can change.
func TestARecipientOfItsOwnIsBoundToEveryByte(t *testing.T) {
	for _, kind := range []string{"p256", "rsa"} {
		all, to := communities(t, kind)
		envelope := seal(t, to, SealOptions{Mode: Any})
		step := 1
		if kind == "rsa" {
			step = 5 // each try costs a millisecond
		}
		for i := 0; i < len(envelope); i += step {
			changed := bytes.Clone(envelope)
			changed[i] ^= 0x10
			if _, err := Open(changed, all[0].open(), binding()); err != ErrOpen {
				t.Fatalf("%s: byte %d changed: %v, want ErrOpen", kind, i, err)
			}
		}
	}
}

func TestSealRefuses(t *testing.T) {
	one := newCommunity(t, "p256")
	good := []Recipient{one.Recipient}
	with := func(kind string, change func(c *community)) []Recipient {
		c := newCommunity(t, kind)
		if change != nil {
			change(c)
		}
		return []Recipient{c.Recipient}
	}
	long := binding()
	long.Room = string(make([]byte, MaxRoom+1))
	broken := binding()
	broken.Room = "\xff"
	for name, v := range map[string]struct {
		secret []byte
		to     []Recipient
		b      Binding
		o      SealOptions
		want   error
	}{
		"no secret":                  {nil, good, binding(), SealOptions{Mode: Any}, ErrSize},
		"a large secret":             {make([]byte, MaxSecret+1), good, binding(), SealOptions{Mode: Any}, ErrSize},
		"nobody":                     {roomKey, nil, binding(), SealOptions{Mode: Any}, ErrSize},
		"too many":                   {roomKey, make([]Recipient, MaxRecipients+1), binding(), SealOptions{Mode: Any}, ErrSize},
		"no mode":                    {roomKey, good, binding(), SealOptions{}, errMode},
		"no room":                    {roomKey, good, Binding{}, SealOptions{Mode: Any}, ErrSize},
		"a long room":                {roomKey, good, long, SealOptions{Mode: Any}, ErrSize},
		"a room that is no text":     {roomKey, good, broken, SealOptions{Mode: Any}, ErrSize},
		"one of them twice":          {roomKey, append(good, good...), binding(), SealOptions{Mode: Any}, ErrRecipient},
		"no certificate":             {roomKey, []Recipient{{Name: "x"}}, binding(), SealOptions{Mode: Any}, ErrRecipient},
		"RSA of 2048 bits":           {roomKey, with("rsa2048", nil), binding(), SealOptions{Mode: Any}, ErrRecipient},
		"RSA with the exponent 3":    {roomKey, with("rsa", smallExponent), binding(), SealOptions{Mode: Any}, ErrRecipient},
		"P-521":                      {roomKey, with("p521", nil), binding(), SealOptions{Mode: Any}, ErrRecipient},
		"no key identifier":          {roomKey, with("p256", func(c *community) { c.Certificate.SubjectKeyId = nil }), binding(), SealOptions{Mode: Any}, ErrRecipient},
		"a key for signatures":       {roomKey, with("p256", func(c *community) { c.Certificate.KeyUsage = 1 }), binding(), SealOptions{Mode: Any}, ErrRecipient},
		"a key of an unknown kind":   {roomKey, with("p256", func(c *community) { c.Certificate.PublicKey = nil }), binding(), SealOptions{Mode: Any}, ErrRecipient},
		"without a post-quantum key": {roomKey, with("p256", func(c *community) { c.Certificate.Extensions = nil }), binding(), SealOptions{Mode: Any, PostQuantum: true}, ErrRecipient},
	} {
		if envelope, err := Seal(v.secret, v.to, v.b, v.o); !errors.Is(err, v.want) || envelope != nil {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(envelope), err, v.want)
		}
	}
	_, many := communities(t, repeated("p256", MaxRecipients)...)
	if _, err := Seal(make([]byte, MaxSecret), many, binding(), SealOptions{Mode: All}); !errors.Is(err, ErrSize) {
		t.Errorf("over MaxEnvelope: %v, want ErrSize", err)
	}
	if got := seal(t, many, SealOptions{Mode: All, PostQuantum: true}); len(got) > MaxEnvelope {
		t.Errorf("%d bytes for the most recipients, want at most %d", len(got), MaxEnvelope)
	}
}

func smallExponent(c *community) {
	key := *c.Certificate.PublicKey.(*rsa.PublicKey)
	key.E = 3
	c.Certificate.PublicKey = &key
}

func TestCombineRefuses(t *testing.T) {
	for name, shares := range map[string][][]byte{
		"none":               nil,
		"different lengths":  {{1, 2}, {3}},
		"one of them twice":  {{1, 2}, {3, 4}, {1, 2}},
		"more than there be": make([][]byte, MaxRecipients+1),
	} {
		if _, err := Combine(shares...); !errors.Is(err, ErrSize) {
			t.Errorf("%s: %v, want ErrSize", name, err)
		}
	}
	one := []byte{1, 2, 3}
	if got, err := Combine(one); err != nil || !bytes.Equal(got, one) {
		t.Errorf("a single share: %x, %v", got, err)
	}
}
