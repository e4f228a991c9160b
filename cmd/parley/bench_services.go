package main

import (
	"context"
	"crypto"
	"crypto/sha256"
	"sync"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/client"
	"parley/coi"
	"parley/groups"
)

// benchServices are the services of one community: an unwrap service as bench
// unwrap measures it, and the answers of lookup and its responder.
type benchServices struct {
	community groups.CoI
	service   *unwrapBench
	responder *coi.Responder
	stop      func() error

	mu   sync.Mutex // guards the sums
	wait time.Duration
	cpu  time.Duration
}

// newBenchServices founds a community of a site, before devices are made, and
// starts its unwrap service.
func newBenchServices(s *rigSite, dir string, keys int) (*benchServices, error) {
	now := time.Now()
	site := &unwrapSiteRig{}
	var err error
	if site.root, err = s.pki.Root(""); err != nil {
		return nil, err
	}
	site.devices = s.ca
	if site.cois, err = coi.NewCoIAuthority(string(s.name), now); err != nil {
		return nil, err
	}
	if err := site.found(now); err != nil {
		return nil, err
	}
	responder, err := coi.NewResponderKey()
	if err != nil {
		return nil, err
	}
	cert, err := site.cois.IssueResponder(responder.Public(), now)
	if err != nil {
		return nil, err
	}
	b := &benchServices{
		// Who makes a key announces it, which takes from the same quota.
		service:   &unwrapBench{site: site, epochs: 8*keys + 64},
		responder: &coi.Responder{Issuer: site.cois.Cert, Cert: cert, Key: responder},
		community: groups.CoI{
			Name: unwrapCoI, Root: sha256.Sum256(site.cois.Cert.Raw), Lookup: "https://127.0.0.1:1", Unwrap: []string{"https://127.0.0.1:2"},
			Status: "https://127.0.0.1:3",
		},
	}
	own := &s.bundle[0]
	own.CoIRoots = [][]byte{site.cois.Cert.Raw}
	own.CoIs = []coi.Community{{Name: unwrapCoI, Lookup: b.community.Lookup, Unwrap: b.community.Unwrap, OCSP: b.community.Status}}
	b.stop, err = b.service.serve(dir)
	return b, err
}

// of are the services as a device reaches them.
func (b *benchServices) of(id client.Identity) client.KeyServices {
	return &deviceServices{b, id.Chain}
}

// reset begins to count.
func (b *benchServices) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wait, b.cpu = 0, 0
}

// spent is how long devices have waited for the unwrap service, and what
// this process did meanwhile.
func (b *benchServices) spent() (wait, cpu time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait, b.cpu
}

// count adds what has passed since a moment.
func (b *benchServices) count(from moment) {
	to := momentNow()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wait += to.at.Sub(from.at)
	b.cpu += to.cpu - from.cpu
}

// status says that the community's certificate is good.
func (b *benchServices) status(nonce []byte) ([]byte, error) {
	g, now := b.service.site, time.Now()
	id, err := coi.NewCertID(g.coiCert.SerialNumber, g.cois.Cert, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return b.responder.SignStatus([]coi.Answer{{ID: id, State: coi.Good}}, coi.Validity{This: now, Next: now.Add(time.Hour)}, nonce)
}

// deviceServices are the services with a device's certificate.
type deviceServices struct {
	*benchServices
	chain [][]byte
}

// Certificates is the lookup service.
func (s *deviceServices) Certificates(context.Context, *groups.CoI) ([]client.CoICertificate, error) {
	status, err := s.status(nil)
	return []client.CoICertificate{{Chain: coi.Chain(s.service.site.coiCert), Status: status}}, err
}

// Held is the unwrap service, asked for its keys.
func (s *deviceServices) Held(ctx context.Context, c *groups.CoI, at string) (*client.HeldKeys, error) {
	defer s.count(momentNow())
	resp, err := s.service.client.Keys(ctx, connect.NewRequest(&unwrapv1.KeysRequest{Cois: []string{string(c.Name)}}))
	if err != nil {
		return nil, groups.Errorf(groups.Unavailable, "%s: %w", at, err)
	}
	held := &client.HeldKeys{Service: resp.Msg.Service}
	for _, one := range resp.Msg.Cois {
		for _, h := range one.SpkiHashes {
			held.Keys = append(held.Keys, groups.Hash(h))
		}
	}
	return held, nil
}

// Unwrap is the unwrap service, asked to open keys.
func (s *deviceServices) Unwrap(ctx context.Context, _ *groups.CoI, at string, request, signature []byte) ([]byte, error) {
	defer s.count(momentNow())
	resp, err := s.service.client.Unwrap(ctx, connect.NewRequest(&unwrapv1.UnwrapRequest{Request: request, Signature: signature, Chain: s.chain}))
	if err != nil {
		return nil, groups.Errorf(groups.Unavailable, "%s: %w", at, err)
	}
	return resp.Msg.Sealed, nil
}

// Status is the responder of the CoI CA.
func (s *deviceServices) Status(_ context.Context, _ *groups.CoI, request []byte) ([]byte, error) {
	q, err := coi.ParseStatusRequest(request)
	if err != nil {
		return nil, err
	}
	return s.status(q.Nonce)
}

// Revocations is where no list lies: no certificate here names one.
func (s *deviceServices) Revocations(_ context.Context, _ *groups.CoI, at string) ([]byte, error) {
	return nil, groups.Errorf(groups.Unavailable, "%s: nothing is revoked here", at)
}
