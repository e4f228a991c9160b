//go:build !cgo

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "parley-hsm: this build can not load a PKCS #11 library: build it with CGO_ENABLED=1 go build ./cmd/parley-hsm")
	os.Exit(1)
}
