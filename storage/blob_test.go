package storage

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"parley/groups"
)

func someBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	r.Read(b)
	return b
}

// upload sends a blob from where the store says it is.
func uploadBlob(s *Store, h groups.Hash, b []byte, chunks int) (have uint64, complete bool, err error) {
	have, _, complete, err = s.StatBlob(h)
	if groups.KindOf(err) == groups.NotFound {
		err = nil
	}
	for ; err == nil && !complete && chunks > 0; chunks-- {
		end := min(have+groups.BlobChunk, uint64(len(b)))
		have, complete, err = s.PutBlob(h, uint64(len(b)), have, b[have:end])
	}
	return have, complete, err
}

func readBlob(t *testing.T, s *Store, h groups.Hash, n int) []byte {
	t.Helper()
	var all []byte
	for {
		b, size, err := s.ReadBlob(h, uint64(len(all)), n)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, b...); uint64(len(all)) == size {
			return all
		}
	}
}

func TestABlobIsResumedAndThenRead(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	for _, n := range []int{1, groups.BlobChunk - 1, groups.BlobChunk, groups.BlobChunk + 1, 5*groups.BlobChunk + 7} {
		b := someBytes(n)
		h := groups.HashOf(b)
		if _, _, err := uploadBlob(s, h, b, 2); err != nil {
			t.Fatal(err)
		}
		if n > 2*groups.BlobChunk {
			_, _, err := s.ReadBlob(h, 0, 10)
			wantKind(t, err, groups.NotFound)
			have, size, complete, err := s.StatBlob(h)
			if have != 2*groups.BlobChunk || size != uint64(n) || complete || err != nil {
				t.Fatal(have, size, complete, err)
			}
			closeTest(t, s)
			s = openTest(t, c)
		}
		if have, complete, err := uploadBlob(s, h, b, 100); have != uint64(n) || !complete || err != nil {
			t.Fatal(have, complete, err)
		}
		for _, step := range []int{100_000, groups.BlobChunk, 1 << 30} {
			if !bytes.Equal(readBlob(t, s, h, step), b) {
				t.Fatalf("blob of %d read by %d differs", n, step)
			}
		}
	}
}

func TestBytesThatAreNotTheBlobAreDropped(t *testing.T) {
	s := newStore(t)
	b := someBytes(3 * groups.BlobChunk)
	h := groups.HashOf(b)
	wrong := bytes.Clone(b)
	wrong[5] ^= 1
	_, complete, err := uploadBlob(s, h, wrong, 100)
	wantKind(t, err, groups.Invalid)
	if complete {
		t.Fatal("complete")
	}
	_, _, _, err = s.StatBlob(h)
	wantKind(t, err, groups.NotFound)
	if _, complete, err := uploadBlob(s, h, b, 100); !complete || err != nil {
		t.Fatal(err)
	}
}

func TestChunksThatDoNotFit(t *testing.T) {
	s := newStore(t)
	b := someBytes(3 * groups.BlobChunk)
	h := groups.HashOf(b)
	chunk := b[:groups.BlobChunk]
	for name, put := range map[string]struct {
		size, offset uint64
		chunk        []byte
		want         groups.Kind
	}{
		"empty":      {0, 0, nil, groups.TooLarge},
		"too large":  {groups.MaxBlob + 1, 0, chunk, groups.TooLarge},
		"short":      {uint64(len(b)), 0, b[:10], groups.Invalid},
		"long":       {uint64(len(b)), 0, b[:groups.BlobChunk+1], groups.Invalid},
		"crooked":    {uint64(len(b)), 1, chunk, groups.Invalid},
		"behind end": {uint64(len(b)), uint64(len(b)), nil, groups.Invalid},
		"ahead":      {uint64(len(b)), groups.BlobChunk, chunk, groups.Conflict},
	} {
		if _, _, err := s.PutBlob(h, put.size, put.offset, put.chunk); groups.KindOf(err) != put.want || err == nil {
			t.Errorf("%s: %v, want %v", name, err, put.want)
		}
	}
	_, _, _, err := s.StatBlob(h)
	wantKind(t, err, groups.NotFound)
}

func TestSeveralUploadTheSameBlob(t *testing.T) {
	s := newStore(t)
	b := someBytes(20*groups.BlobChunk + 11)
	h := groups.HashOf(b)
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 100 {
				_, complete, err := uploadBlob(s, h, b, 100)
				if complete {
					return
				}
				if err != nil && groups.KindOf(err) != groups.Conflict {
					t.Error(err)
					return
				}
			}
			t.Error("never complete")
		}()
	}
	wait.Wait()
	if !bytes.Equal(readBlob(t, s, h, 1<<20), b) {
		t.Fatal("differs")
	}
}

func TestUploadsThatNobodyContinuesExpire(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	now := start
	c.Now = func() time.Time { return now }
	s := openTest(t, c)
	old, done := someBytes(3*groups.BlobChunk), someBytes(2*groups.BlobChunk)
	uploadBlob(s, groups.HashOf(old), old, 2)
	uploadBlob(s, groups.HashOf(done), done, 2)
	now = start.Add(partialLife + time.Second)
	fresh := someBytes(4 * groups.BlobChunk)
	uploadBlob(s, groups.HashOf(fresh), fresh, 1)
	if err := s.expirePartials(); err != nil {
		t.Fatal(err)
	}
	_, _, _, err := s.StatBlob(groups.HashOf(old))
	wantKind(t, err, groups.NotFound)
	if _, _, complete, err := s.StatBlob(groups.HashOf(done)); !complete || err != nil {
		t.Fatal("a complete blob expired")
	}
	if have, _, _, err := s.StatBlob(groups.HashOf(fresh)); have == 0 || err != nil {
		t.Fatal("a fresh upload expired")
	}
	if _, complete, err := uploadBlob(s, groups.HashOf(old), old, 10); !complete || err != nil {
		t.Fatal(err)
	}
}
