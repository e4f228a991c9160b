//go:build !unix

package hsm

// maskFiles does nothing where files have no modes.
func maskFiles() (restore func()) { return func() {} }
