package wrap

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// seeds gives a fuzz test the known envelopes and one of each way.
func seeds(f *testing.F, to []Recipient) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.der"))
	if err != nil || len(files) == 0 {
		f.Fatal("no known envelopes", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, o := range ways() {
		f.Add(seal(f, to, o))
	}
}

// FuzzParts: an envelope that is read is written again to the same bytes.
func FuzzParts(f *testing.F) {
	_, to := communities(f, "p256", "rsa")
	seeds(f, to)
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := Parts(b)
		if err != nil {
			return
		}
		p := place{mode: parts[0].Mode, postQuantum: parts[0].PostQuantum}
		var messages [][]byte
		recipients := 0
		for _, part := range parts {
			messages = append(messages, part.Message)
			recipients += len(part.KeyIDs)
		}
		again := messages[0]
		if !p.single() {
			again = writeList(p, messages)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x is written again as %x", b, again)
		}
		if recipients == 0 || recipients > MaxRecipients || len(b) > MaxEnvelope {
			t.Errorf("%d recipients in %d bytes", recipients, len(b))
		}
	})
}

// FuzzOpen: nothing but ErrOpen, or what was sealed.
func FuzzOpen(f *testing.F) {
	all, to := communities(f, "p256", "p384")
	seeds(f, to)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range all {
			if part, err := Open(b, c.open(), binding()); err != nil && err != ErrOpen {
				t.Errorf("%v, want ErrOpen", err)
			} else if err == nil && len(part) != len(roomKey) {
				t.Errorf("opens to %x", part)
			}
		}
	})
}

// FuzzContent: what is read is written again to the same bytes.
func FuzzContent(f *testing.F) {
	for _, p := range []place{{mode: Any, of: 1}, {mode: All, postQuantum: true, number: 3, of: 20}} {
		c := content{secret: roomKey, binding: binding(), place: p}
		f.Add(c.write())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := readContent(b); ok && !bytes.Equal(c.write(), b) {
			t.Errorf("%x is written again as %x", b, c.write())
		}
	})
}
