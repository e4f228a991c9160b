package wrap_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"time"

	"parley/coi"
	"parley/coi/wrap"
)

// A room key is sealed to the certificate of a CoI. Its private key opens the
// envelope, for the room and epoch it was sealed for and for no other.
func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

	// The CoI's key is made where it stays; its CA sees a request only.
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := coi.NewCoIRequest(private, nil)
	must(err)
	request, err := coi.ParseCoIRequest(der)
	must(err)
	ca, err := coi.NewCoIAuthority("alpha.example", now)
	must(err)
	finance := coi.Name{Purpose: coi.CoI, Site: "alpha.example", Local: "finance"}
	cert, err := ca.IssueCoI(finance, coi.CoIPlan{Request: request}, now)
	must(err)

	// Whoever begins an epoch seals its room key to the certificate.
	binding := wrap.Binding{Room: "mimi://alpha.example/r/ops", Epoch: 7}
	to := []wrap.Recipient{{Name: finance.URI(), Certificate: cert}}
	envelope, err := wrap.Seal([]byte("the room key"), to, binding, wrap.SealOptions{Mode: wrap.Any})
	must(err)

	key := wrap.Key{Certificate: cert, Private: private}
	secret, err := wrap.Open(envelope, key, binding)
	must(err)
	fmt.Printf("%s\n", secret)

	binding.Epoch = 8
	_, err = wrap.Open(envelope, key, binding)
	fmt.Println(err)
	// Output:
	// the room key
	// the envelope does not open with this key for this room key
}
