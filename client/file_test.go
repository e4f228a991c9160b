package client_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"parley/client"
	"parley/groups"
)

// pattern is n bytes that do not repeat soon.
func pattern(n int) []byte {
	b := make([]byte, 0, n+32)
	for h := sha256.Sum256(nil); len(b) < n; h = sha256.Sum256(h[:]) {
		b = append(b, h[:]...)
	}
	return b[:n]
}

func temp(t *testing.T) *os.File {
	f, err := os.Create(filepath.Join(t.TempDir(), "download"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFilesOfAllSizesArrive(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000} {
			want := pattern(size)
			m, err := alice.SendFile(ops, client.FileSource{Name: "plan.bin", Type: "application/x-plan", Caption: "look", Body: bytes.NewReader(want)})
			if err != nil {
				t.Fatal(err)
			}
			alice.say("after the file")
			settle()
			got := must(bob.Message(ops, m.ID))
			if f := got.Content.File; f == nil || f.Name != "plan.bin" || f.Size != uint64(size) || got.Content.Text != "look" {
				t.Fatalf("%d bytes: %+v", size, got)
			}
			for _, p := range []*phone{bob, alice} {
				f := temp(t)
				if err := p.Fetch(t.Context(), ops, m.ID, f); err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				if b := must(os.ReadFile(f.Name())); !bytes.Equal(b, want) {
					t.Errorf("%d bytes: other bytes came", size)
				}
			}
			h.mu.Lock()
			blob := h.blobs[got.Content.File.Blob]
			h.mu.Unlock()
			if size > 32 && bytes.Contains(blob, want[:32]) {
				t.Error("the hub holds plaintext")
			}
			left := 0
			alice.store.View(func(tx client.Tx) error {
				return tx.Scan(client.TableBlobs, client.Range{}, func(_, _ []byte) bool { left++; return true })
			})
			if left > 0 {
				t.Errorf("%d pieces are left in the store after the upload", left)
			}
		}
	})
}

func TestInterruptedUploadAndDownloadGoOn(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		alice.stop()
		alice.open()
		want := pattern(500_000)
		m, err := alice.SendFile(ops, client.FileSource{Name: "plan", Body: bytes.NewReader(want)})
		if err != nil {
			t.Fatal(err)
		}
		alice.say("after the file")
		hash := m.Content.File.Blob
		h.set(func() { h.partial[hash] = h.pieceOf(alice, m, 100_000) })
		alice.stop()
		alice.start()
		settle()
		bob.shows("", "after the file")
		f := temp(t)
		f.Write(want[:200_001])
		if err := bob.Fetch(t.Context(), ops, m.ID, f); err != nil {
			t.Fatal(err)
		}
		if b := must(os.ReadFile(f.Name())); !bytes.Equal(b, want) {
			t.Error("other bytes came")
		}
		wrong := temp(t)
		wrong.Write(bytes.Repeat([]byte{1}, 200_001))
		if err := bob.Fetch(t.Context(), ops, m.ID, wrong); !errors.Is(err, client.ErrFile) {
			t.Errorf("what was there is not the file: %v", err)
		}
	})
}

// pieceOf returns the first n bytes of a blob that waits in a device's store.
func (h *hub) pieceOf(p *phone, m client.Message, n int) (blob []byte) {
	p.store.View(func(tx client.Tx) error {
		return tx.Scan(client.TableBlobs, client.Range{Prefix: []byte("d")}, func(_, v []byte) bool {
			blob = append(blob, v...)
			return true
		})
	})
	return blob[:n]
}

func TestChangedFileIsRefused(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		m, err := alice.SendFile(ops, client.FileSource{Name: "plan", Body: bytes.NewReader(pattern(200_000))})
		if err != nil {
			t.Fatal(err)
		}
		settle()
		hash := m.Content.File.Blob
		h.mu.Lock()
		good := h.blobs[hash]
		h.mu.Unlock()
		for name, change := range map[string]func(b []byte) []byte{
			"a bit":       func(b []byte) []byte { b[70_000] ^= 1; return b },
			"cut":         func(b []byte) []byte { return b[:131_000] },
			"cut a piece": func(b []byte) []byte { return b[:2*(64<<10+16)] },
			"longer":      func(b []byte) []byte { return append(b, 0) },
			"swapped": func(b []byte) []byte {
				n := 64<<10 + 16
				return append(append(bytes.Clone(b[n:2*n]), b[:n]...), b[2*n:]...)
			},
		} {
			h.set(func() { h.blobs[hash] = change(bytes.Clone(good)) })
			if err := bob.Fetch(t.Context(), ops, m.ID, temp(t)); !errors.Is(err, client.ErrFile) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestRefusedUploadFailsItsMessageOnly(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		h.set(func() { h.noBlobs = groups.NoSpace })
		m, err := alice.SendFile(ops, client.FileSource{Name: "plan", Body: bytes.NewReader(pattern(1000))})
		if err != nil {
			t.Fatal(err)
		}
		alice.say("after")
		settle()
		bob.shows() // no space is temporary: the order is kept
		h.set(func() { h.noBlobs = groups.TooLarge })
		settle()
		bob.shows("after")
		if m = must(alice.Message(ops, m.ID)); m.State != client.Failed {
			t.Errorf("the file is %s", m.State)
		}
	})
}
