package storage

import (
	"testing"
	"time"
)

// The busier the node, the longer until the next batch, within bounds.
func TestBatchesOfABusyNodeAreAsFarApartAsItIsBusy(t *testing.T) {
	for _, c := range []struct {
		ops  int
		want time.Duration
	}{{paceFrom, paceLeast}, {20, 4 * time.Millisecond}, {50, 10 * time.Millisecond}, {80, paceMost}, {maxBatch, paceMost}} {
		if got := pace(c.ops); got != c.want {
			t.Errorf("after a batch of %d: %v, want %v", c.ops, got, c.want)
		}
	}
}
