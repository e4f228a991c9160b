package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/spf13/cobra"

	"parley/coi"
	"parley/coi/wrap"
)

// roomKeyBytes is the size of the room key that is wrapped, in bytes: version,
// suite and two secrets of 32.
const roomKeyBytes = 69

// wrapBench is what bench wrap was asked for.
type wrapBench struct {
	*bench
	seconds float64 // for each operation
}

// A wrapCase is one kind of envelope.
type wrapCase struct {
	name    string // of the certificates' keys
	makeKey func() (crypto.Signer, error)
	usage   x509.KeyUsage
	options wrap.SealOptions
}

func benchWrapCommand(a *app) *cobra.Command {
	var recipients []int
	b := wrapBench{}
	cmd := &cobra.Command{
		Use:   "wrap",
		Short: "Measure envelopes: seal a room key to CoI certificates, open it",
		Long: `Wrap measures what a commit in a room with CoIs costs more than in another, on one
processor and without any network:

  wrap_seal  the envelope of one room key; bytes: the envelope
  wrap_open  by one of the CoIs, as its unwrap service does

For EC P-256, EC P-384 and RSA-3072 certificates, any of which opens it; and for P-256
certificates all of which are needed, or with an X-Wing seal inside.

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, n := range recipients {
				if n < 1 || n > wrap.MaxRecipients {
					return usagef("--recipients %d: an envelope is for 1 to %d certificates", n, wrap.MaxRecipients)
				}
			}
			b.bench = newBench(a)
			for _, c := range wrapCases() {
				for _, n := range recipients {
					if err := b.envelope(cmd.Context(), c, n); err != nil {
						return err
					}
				}
			}
			return b.end()
		},
	}
	f := cmd.Flags()
	f.IntSliceVar(&recipients, "recipients", []int{1, 2, 5, 20}, "certificates an envelope is for")
	f.Float64Var(&b.seconds, "seconds", 0.5, "how long each operation is repeated")
	return cmd
}

// wrapCases are the kinds of envelopes that are measured.
func wrapCases() []wrapCase {
	p256 := func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
	p384 := func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }
	rsa3072 := func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, wrap.MinRSABits) }
	agree, encipher := x509.KeyUsageKeyAgreement, x509.KeyUsageKeyEncipherment
	return []wrapCase{
		{"P-256", p256, agree, wrap.SealOptions{Mode: wrap.Any}},
		{"P-384", p384, agree, wrap.SealOptions{Mode: wrap.Any}},
		{"RSA-3072", rsa3072, encipher, wrap.SealOptions{Mode: wrap.Any}},
		{"P-256, all are needed", p256, agree, wrap.SealOptions{Mode: wrap.All}},
		{"P-256 and X-Wing", p256, agree, wrap.SealOptions{Mode: wrap.Any, PostQuantum: true}},
	}
}

// envelope measures one kind for n certificates. All certificates are over one
// key, since an RSA key takes long to make, and told apart by their identifiers.
func (b *wrapBench) envelope(ctx context.Context, c wrapCase, n int) error {
	b.stage("%s, %s: seal and open", c.name, count(n, "recipient"))
	key, to, err := c.recipients(n)
	if err != nil {
		return err
	}
	secret := bytes.Repeat([]byte{7}, roomKeyBytes)
	binding := wrap.Binding{Room: "mimi://alpha.example/r/plans", Epoch: 1}
	seal, open := newStopwatch(), newStopwatch()
	var envelope []byte
	for ok := true; ok; ok = seal.total.Seconds() < b.seconds && ctx.Err() == nil {
		if err := seal.time(func() (_ int, err error) {
			envelope, err = wrap.Seal(secret, to, binding, c.options)
			return len(envelope), err
		}); err != nil {
			return err
		}
	}
	for ok := true; ok; ok = open.total.Seconds() < b.seconds && ctx.Err() == nil {
		if err := open.time(func() (int, error) {
			_, err := wrap.Open(envelope, key, binding)
			return len(envelope), err
		}); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.tell("wrap_seal", c, n, seal); err != nil {
		return err
	}
	return b.tell("wrap_open", c, n, open)
}

// tell reports one operation.
func (b *wrapBench) tell(op string, c wrapCase, n int, w *stopwatch) error {
	r := w.result(op)
	r.Recipients, r.Note = n, c.name
	return b.report(r)
}

// recipients makes n certificates over one key.
func (c wrapCase) recipients(n int) (key wrap.Key, to []wrap.Recipient, err error) {
	private, err := c.makeKey()
	if err != nil {
		return key, nil, err
	}
	pq, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return key, nil, err
	}
	ext, err := coi.PostQuantumExtension(pq.PublicKey())
	if err != nil {
		return key, nil, err
	}
	for i := range n {
		t := &x509.Certificate{
			SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), KeyUsage: c.usage,
			SubjectKeyId: fmt.Appendf(nil, "certificate %08d", i), ExtraExtensions: []pkix.Extension{ext},
		}
		der, err := x509.CreateCertificate(rand.Reader, t, t, private.Public(), private)
		if err != nil {
			return key, nil, err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return key, nil, err
		}
		to = append(to, wrap.Recipient{Name: fmt.Sprint("CoI ", i), Certificate: cert})
	}
	return wrap.Key{Certificate: to[0].Certificate, Private: private, PQ: pq}, to, nil
}
