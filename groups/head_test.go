package groups

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
)

// ordering is a site's ordering key: signer and verifier of heads.
type ordering struct {
	site SiteID
	key  ed25519.PrivateKey
}

func newOrdering(site SiteID) ordering {
	seed := sha256.Sum256([]byte(site))
	return ordering{site, ed25519.NewKeyFromSeed(seed[:])}
}

func (o ordering) SignHeads(root Hash) ([]byte, error) {
	return ed25519.Sign(o.key, HeadsTBS(root)), nil
}

func (o ordering) Certificate() Hash { return HashOf([]byte(o.site)) }

func (o ordering) VerifyHeads(site SiteID, signer, root Hash, sig []byte) error {
	pub := o.key.Public().(ed25519.PublicKey)
	if site != o.site || signer != o.Certificate() || !ed25519.Verify(pub, HeadsTBS(root), sig) {
		return Errorf(Denied, "heads of %s: bad signature", site)
	}
	return nil
}

func someHeads(n int) []Head {
	heads := make([]Head, n)
	for i := range heads {
		heads[i] = Head{
			Room: RoomID(fmt.Sprintf("mimi://alpha.example/r/room%d", i)), Seq: Seq(i + 1),
			Hash: HashOf([]byte{byte(i)}), Epoch: 3, Term: 1, Time: 1000,
		}
	}
	return heads
}

// "One signature covers the heads of a whole fsync batch."
func TestOneSignatureCoversTheHeadsOfABatch(t *testing.T) {
	o := newOrdering("alpha.example")
	for n := 1; n <= 33; n++ {
		signed, err := SignHeads(someHeads(n), o)
		if err != nil || len(signed) != n {
			t.Fatalf("sign %d heads: %d, %v", n, len(signed), err)
		}
		for i := range signed {
			parsed, err := ParseSignedHead(signed[i].Marshal())
			if err != nil {
				t.Fatal(err)
			}
			if err := parsed.Verify(o); err != nil {
				t.Fatalf("head %d of %d: %v", i, n, err)
			}
		}
	}
}

// Any change of a head, its place or its path makes its signature bad.
func TestAChangedHeadIsFound(t *testing.T) {
	o := newOrdering("alpha.example")
	signed, err := SignHeads(someHeads(5), o)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*SignedHead){
		"seq":       func(s *SignedHead) { s.Head.Seq++ },
		"hash":      func(s *SignedHead) { s.Head.Hash[0] ^= 1 },
		"room":      func(s *SignedHead) { s.Head.Room = "mimi://alpha.example/r/other" },
		"site":      func(s *SignedHead) { s.Head.Room = "mimi://beta.example/r/room2" },
		"epoch":     func(s *SignedHead) { s.Head.Epoch-- },
		"term":      func(s *SignedHead) { s.Head.Term++ },
		"time":      func(s *SignedHead) { s.Head.Time++ },
		"index":     func(s *SignedHead) { s.Index ^= 1 },
		"path":      func(s *SignedHead) { s.Path[1][3] ^= 1 },
		"short":     func(s *SignedHead) { s.Path = s.Path[:1] },
		"no path":   func(s *SignedHead) { s.Path = nil },
		"long":      func(s *SignedHead) { s.Path = append(s.Path, Hash{}) },
		"signer":    func(s *SignedHead) { s.Signer[0] ^= 1 },
		"signature": func(s *SignedHead) { s.Signature[0] ^= 1 },
		"empty":     func(s *SignedHead) { s.Signature = nil },
	}
	for name, change := range changes {
		bad, err := ParseSignedHead(signed[2].Marshal())
		if err != nil {
			t.Fatal(err)
		}
		change(bad)
		if err := bad.Verify(o); err == nil {
			t.Errorf("%s: changed head verifies", name)
		}
	}
}
