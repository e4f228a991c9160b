package federation

import "sync"

// An inbox carries what others tell a goroutine that owns state. put never
// blocks, so that callbacks of the store and readers of lanes may call it; each
// use says what bounds it.
type inbox[T any] struct {
	mu    sync.Mutex
	items []T
	wake  chan struct{} // holds at most one token
}

func newInbox[T any]() *inbox[T] {
	return &inbox[T]{wake: make(chan struct{}, 1)}
}

// put adds v and wakes the owner.
func (b *inbox[T]) put(v T) {
	b.mu.Lock()
	b.items = append(b.items, v)
	b.mu.Unlock()
	poke(b.wake)
}

// take returns all that waits.
func (b *inbox[T]) take() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = nil
	return items
}

// poke leaves a token in c unless one is there.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
