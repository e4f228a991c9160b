//go:build !unix

package service

import "os"

// lock takes a file for this process by a second file beside it, which a crash
// leaves behind: then it is removed by hand.
func lock(f *os.File) (unlock func(), err error) {
	name := f.Name() + ".lock"
	l, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	return func() { l.Close(); os.Remove(name) }, nil
}
