package storage

import "os"

// A disk performs the steps that make something durable. Its zero value just
// performs them; tests let them fail, or fail after they were performed.
type disk struct {
	fault func(step string, perform func() error) error
}

// step performs a named step.
func (d disk) step(name string, perform func() error) error {
	if d.fault != nil {
		return d.fault(name, perform)
	}
	return perform()
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
