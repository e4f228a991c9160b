package client

import (
	"context"
	"slices"

	"parley/groups"
)

// KeyServices are the certificate services of Communities of Interest, of all
// sites. They are reached without the gateway, and each proves that it is the
// service of the community's own site. It is safe for many goroutines. A
// service that can not be reached is a *groups.Error of kind Unavailable.
type KeyServices interface {
	// Certificates asks a community's lookup service for its certificates.
	Certificates(ctx context.Context, c *groups.CoI) ([]CoICertificate, error)
	// Held asks one of its unwrap services which keys it holds for it: SHA-256
	// of each SubjectPublicKeyInfo. It also names the service.
	Held(ctx context.Context, c *groups.CoI, url string) (*HeldKeys, error)
	// Status asks its responder (RFC 6960) about one of its certificates; what
	// comes back is judged by the caller.
	Status(ctx context.Context, c *groups.CoI, request []byte) ([]byte, error)
	// Revocations fetches a list of revocations (RFC 5280) from where a
	// certificate says that it lies; it is judged by the caller.
	Revocations(ctx context.Context, c *groups.CoI, url string) ([]byte, error)
	// Unwrap asks an unwrap service to open room keys: a groups.KeyRequest and its
	// signature with the device's key. What comes back is a sealed
	// groups.KeyAnswer.
	Unwrap(ctx context.Context, c *groups.CoI, url string, request, signature []byte) ([]byte, error)
}

// A CoICertificate is a certificate as a lookup service gives it.
type CoICertificate struct {
	Chain   [][]byte // DER, leaf first
	Status  []byte   // stapled OCSP response, empty if there is none
	Retired bool     // keys are not wrapped to it any more
}

// HeldKeys are the keys of a community that an unwrap service holds.
type HeldKeys struct {
	Service   string // its URI
	Keys      []groups.Hash
	Certified groups.Hash // the one with the newest certificate; zero if the service has none at hand
}

// agrees says whether a key that lookup shows is one that the service can open
// with, and has not been replaced there by one whose certificate is newer.
func (h *HeldKeys) agrees(shown groups.Hash) bool {
	if len(h.Keys) > maxHeldKeys || !slices.Contains(h.Keys, shown) {
		return false
	}
	return h.Certified == groups.Hash{} || h.Certified == shown
}

const (
	// maxCoICertificates bounds the certificates of a community that are looked at.
	maxCoICertificates = 64
	// maxHeldKeys bounds the keys of an unwrap service that are looked at.
	maxHeldKeys = 1024
)
