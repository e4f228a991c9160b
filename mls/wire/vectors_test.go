package wire

import (
	"bytes"
	"errors"
	"testing"

	"parley/mls/internal/vectors"
)

// TestVectorDeserialization reads the official length headers and writes them
// again.
func TestVectorDeserialization(t *testing.T) {
	type header struct {
		VLBytesHeader vectors.Hex `json:"vlbytes_header"`
		Length        int         `json:"length"`
	}
	for _, c := range vectors.Load[header](t, "deserialization.json") {
		r := NewReader(c.VLBytesHeader)
		if got := r.Varint(); got != c.Length || r.Done() != nil {
			t.Errorf("%x: length %d, %v; want %d", []byte(c.VLBytesHeader), got, r.Err(), c.Length)
		}
		if got := AppendVarint(nil, c.Length); !bytes.Equal(got, c.VLBytesHeader) {
			t.Errorf("%d: header %x, want %x", c.Length, got, []byte(c.VLBytesHeader))
		}
	}
}

// decode reads and writes again what the function is for; it returns the
// second encoding.
type decode func([]byte) ([]byte, error)

// recode is decode for a T.
func recode[T Encoder, P decoderOf[T]](b []byte) ([]byte, error) {
	v, err := Unmarshal[T, P](b)
	if err != nil {
		return nil, err
	}
	return Marshal(v), nil
}

// TestVectorMessages decodes and re-encodes every structure of the official
// messages, and refuses each with a byte more or a byte less.
func TestVectorMessages(t *testing.T) {
	type messages map[string]vectors.Hex
	decoders := map[string]decode{
		"mls_welcome":                       recode[MLSMessage],
		"mls_group_info":                    recode[MLSMessage],
		"mls_key_package":                   recode[MLSMessage],
		"ratchet_tree":                      recode[RatchetTree],
		"group_secrets":                     recode[GroupSecrets],
		"add_proposal":                      recode[Add],
		"update_proposal":                   recode[Update],
		"remove_proposal":                   recode[Remove],
		"pre_shared_key_proposal":           recode[PreSharedKey],
		"re_init_proposal":                  recode[ReInit],
		"external_init_proposal":            recode[ExternalInit],
		"group_context_extensions_proposal": recode[GroupContextExtensions],
		"commit":                            recode[Commit],
		"public_message_application":        recode[MLSMessage],
		"public_message_proposal":           recode[MLSMessage],
		"public_message_commit":             recode[MLSMessage],
		"private_message":                   recode[MLSMessage],
	}
	for i, c := range vectors.Load[messages](t, "messages.json") {
		if len(c) != len(decoders) {
			t.Fatalf("case %d has %d structures, the test knows %d", i, len(c), len(decoders))
		}
		for name, encoded := range c {
			again, err := decoders[name](encoded)
			if err != nil || !bytes.Equal(again, encoded) {
				t.Fatalf("case %d, %s: decode-encode differs: %v", i, name, err)
			}
			if _, err := decoders[name](append(bytes.Clone(encoded), 0)); !errors.Is(err, ErrTrailing) {
				t.Fatalf("case %d, %s with a byte more: %v", i, name, err)
			}
			if _, err := decoders[name](encoded[:len(encoded)-1]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("case %d, %s with a byte less: %v", i, name, err)
			}
		}
	}
}
