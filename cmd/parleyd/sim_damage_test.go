package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"parley/groups"
)

// flip changes a bit where text stands in the site's tables or value log. The node
// is down.
func (s *simSite) flip(text []byte) {
	s.w.Helper()
	files, err := filepath.Glob(filepath.Join(s.config.path(s.config.Data), "badger", "*.sst"))
	s.w.must(err)
	more, err := filepath.Glob(filepath.Join(s.config.path(s.config.Data), "badger", "*.vlog"))
	s.w.must(err)
	for _, name := range append(files, more...) {
		b, err := os.ReadFile(name)
		s.w.must(err)
		if i := bytes.Index(b, text); i >= 0 {
			b[i+len(text)/2] ^= 1
			s.w.must(os.WriteFile(name, b, 0o600))
			return
		}
	}
	s.w.Fatal("the entry is not in the tables: this test proves nothing")
}

// A bit flips in the middle of a room's log on one site's disk, first the hub's, then
// the follower's. Who reads it finds it; after the next start the site has it from
// the other, and the room goes on.
func TestSimLogThatIsDamagedOnADiskComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRestored(t)
		for _, site := range []*simSite{r.hub, r.sites[simBeta]} {
			r.talk(4)
			r.settled(r.hub.head(simOps))
			was := r.hub.head(simOps)
			log, _ := site.entries(simOps)
			site.stop()
			site.flip(log[len(log)/2].Body)
			site.start()
			var err error
			for after := groups.Seq(0); after < was.Seq && err == nil; after++ {
				_, err = site.node.store.Read(simOps, after, 1)
			}
			if in, _ := site.node.store.Room(simOps); err == nil || in.Parked == "" {
				t.Fatalf("nobody has noticed: %+v", in)
			}
			site.restart(false, time.Second)
			if held := site.head(simOps); held.Seq >= was.Seq {
				t.Fatal("it was not cut back: this test proves nothing")
			}
			r.talk(2)
			r.settled(was)
			if in, err := site.node.store.Room(simOps); err != nil || in.Parked != "" {
				t.Fatalf("%+v, %v", in, err)
			}
		}
		r.everything()
	})
}
