package client

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// processors calls do for each i below n on all processors and waits for the
// end: the tree.Parallel of this device's groups, for the signatures of a join
// and the seals of a commit. The calls of a validator in it only read: a room's
// policy and time stand still while its group takes a step.
func processors(n int, do func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}
