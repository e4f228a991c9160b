//go:build !unix

package main

// privateFiles leaves it to the folder's own rights.
func privateFiles() {}
