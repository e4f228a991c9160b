package storage

import (
	"log/slog"
	"time"

	"parley/groups"
)

// A Config says where a Store lives and whom it trusts.
type Config struct {
	// Dir is the node's own directory, made 0700 if it is missing; required.
	Dir string
	// Node is who this is: rooms created here are ordered here; required.
	Node groups.NodeID
	// Signer signs the heads of rooms ordered here. Without one nothing can be
	// submitted here, only replicated.
	Signer groups.HeadSigner
	// Verifier checks the heads of rooms ordered elsewhere. Without one nothing
	// can be replicated here.
	Verifier groups.HeadVerifier
	// Directory says whom a leaf speaks for; required.
	Directory groups.Directory
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log hears of parked rooms, a stopped store, lost batches; nil means
	// silence.
	Log *slog.Logger
	// LowWater is the free space in bytes below which writes are refused; zero
	// means the larger of 2 GiB and 5 % of the file system.
	LowWater uint64
	// Ballast is the size in bytes of a file that is given up when the disk is
	// nearly full, so that Badger can still tidy up; zero means 256 MiB,
	// negative means none.
	Ballast int64
	// RecentBytes bounds the entries kept in memory for readers, over all
	// rooms; zero means 64 MiB.
	RecentBytes int
}

const (
	defaultBallast = 256 << 20
	defaultRecent  = 64 << 20
)

// withDefaults checks what is required and fills in the rest.
func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, groups.Errorf(groups.Invalid, "storage: no directory given")
	}
	if _, err := groups.ParseNodeID(string(c.Node)); err != nil {
		return c, err
	}
	if c.Directory == nil {
		return c, groups.Errorf(groups.Invalid, "storage: no directory of devices given")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Ballast == 0 {
		c.Ballast = defaultBallast
	}
	if c.RecentBytes == 0 {
		c.RecentBytes = defaultRecent
	}
	return c, nil
}
