package groups

import (
	"bytes"
	"crypto/hpke"
	"testing"

	"parley/mls/suite"
)

// TestKeyAnswerIsBound: "In ONE HPKE seal to response_key, aad =
// SHA-256(request)".
func TestKeyAnswerIsBound(t *testing.T) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	a := KeyAnswer{Parts: [][]byte{[]byte("key"), nil}, Marks: []KeyMark{{Room: "mimi://alpha.example/r/ops", Epoch: 7}}}
	sealed, err := a.Seal([]byte("request"), key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenKeyAnswer(sealed, []byte("request"), key)
	if err != nil || !bytes.Equal(got.Marshal(), a.Marshal()) || got.Parts[1] != nil {
		t.Errorf("%v, %v", got, err)
	}
	other, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for what, open := range map[string]func() (*KeyAnswer, error){
		"another request": func() (*KeyAnswer, error) { return OpenKeyAnswer(sealed, []byte("requesT"), key) },
		"another key":     func() (*KeyAnswer, error) { return OpenKeyAnswer(sealed, []byte("request"), other) },
		"a changed octet": func() (*KeyAnswer, error) {
			bad := bytes.Clone(sealed)
			bad[len(bad)-1] ^= 1
			return OpenKeyAnswer(bad, []byte("request"), key)
		},
		"nothing": func() (*KeyAnswer, error) { return OpenKeyAnswer(nil, []byte("request"), key) },
	} {
		if _, err := open(); KindOf(err) != Invalid {
			t.Errorf("%s: %v, want invalid", what, err)
		}
	}
	if _, err := a.Seal(nil, make([]byte, 32)); KindOf(err) != Invalid {
		t.Errorf("a response key that is none: %v", err)
	}
}

// TestBindingHashNamesTheContext: an envelope is bound to recipients and
// context, each.
func TestBindingHashNamesTheContext(t *testing.T) {
	r := KeyRecord{Recipients: []CoIRecipient{{Name: "mimi://alpha.example/c/finance"}}}
	first := r.BindingHash()
	r.ContextHash[0] = 1
	second := r.BindingHash()
	r.Recipients = nil
	if third := r.BindingHash(); first == second || second == third || first == third {
		t.Error("two of three different bindings are the same")
	}
}

func FuzzParseKeyAnswer(f *testing.F) {
	a := KeyAnswer{Parts: [][]byte{RoomKeyBytes(RoomKey{Suite: CipherSuite(suite.X25519AES128SHA256Ed25519)}), nil}}
	f.Add(a.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseKeyAnswer(data)
		if err != nil {
			return
		}
		if again := a.Marshal(); !bytes.Equal(again, data) {
			t.Errorf("%x writes %x", data, again)
		}
	})
}
