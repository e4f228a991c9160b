package tree

// Parallel calls do once for each i from 0 to n-1, on as many processors as it
// likes, and returns when all calls have returned. Nil is one call after the
// other. It is a caller's: what is pure starts nothing that runs beside it, and
// a browser has one processor.
//
// It is used where one step has many signatures to verify or secrets to seal: a
// join, the key packages of a commit, a Welcome, a path in a tree of blank
// nodes. The calls share nothing but what no call changes.
type Parallel func(n int, do func(i int))

// Each calls do for each i from 0 to n-1 and returns the error of the lowest i
// that has one. If p is nil, it stops there.
func (p Parallel) Each(n int, do func(i int) error) error {
	if p == nil || n < 2 {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, n)
	p(n, func(i int) { errs[i] = do(i) })
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
