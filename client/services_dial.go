package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"connectrpc.com/connect"

	lookupv1 "parley/api/lookup/v1"
	"parley/api/lookup/v1/lookupv1connect"
	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
	"parley/groups"
)

const (
	serviceTimeout = 20 * time.Second
	// maxServiceAnswer bounds what a certificate service may answer.
	maxServiceAnswer = 16 << 20
	// maxServicePeers bounds the services with open connections.
	maxServicePeers = 256
)

// A dialled reaches the certificate services that rooms' policies name. Over
// TLS it accepts only a service certificate of the community's own site, under
// the roots this device trusts for it: where a service lies proves nothing.
type dialled struct {
	device *Device

	mu      sync.Mutex
	clients map[string]*http.Client // by site and URL, at most maxServicePeers
}

func dialKeyServices(d *Device) KeyServices {
	return &dialled{device: d, clients: make(map[string]*http.Client)}
}

// client returns the HTTP client for a service of a site.
func (k *dialled) client(c *groups.CoI, at string) (*http.Client, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, groups.Errorf(groups.Invalid, "%q is not the https URL of a service", clip(at))
	}
	site := string(c.Name.Site())
	key := site + " " + u.Host
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.clients[key]; known != nil {
		return known, nil
	}
	if len(k.clients) >= maxServicePeers {
		for key, old := range k.clients {
			old.CloseIdleConnections()
			delete(k.clients, key)
		}
	}
	verify := func(chain [][]byte) error {
		subject, err := k.device.self.Load().trust.Verify(chain, coi.Service, k.device.cfg.Now())
		if err != nil {
			return err
		}
		if subject.Site != site {
			return groups.Errorf(groups.Denied, "it is a service of %s, not of %s", subject.Site, site)
		}
		return nil
	}
	made := &http.Client{Timeout: serviceTimeout, Transport: &http.Transport{
		TLSClientConfig: verifiedTLS(verify), ForceAttemptHTTP2: true, TLSHandshakeTimeout: serviceTimeout, IdleConnTimeout: time.Minute,
	}}
	k.clients[key] = made
	return made, nil
}

// unwrap returns a client of an unwrap service.
func (k *dialled) unwrap(c *groups.CoI, at string) (unwrapv1connect.UnwrapServiceClient, error) {
	h, err := k.client(c, at)
	if err != nil {
		return nil, err
	}
	return unwrapv1connect.NewUnwrapServiceClient(h, at, connect.WithReadMaxBytes(maxServiceAnswer)), nil
}

// Held asks an unwrap service which keys it holds.
func (k *dialled) Held(ctx context.Context, c *groups.CoI, at string) (*HeldKeys, error) {
	service, err := k.unwrap(c, at)
	if err != nil {
		return nil, err
	}
	resp, err := service.Keys(ctx, connect.NewRequest(&unwrapv1.KeysRequest{Cois: []string{string(c.Name)}}))
	if err != nil {
		return nil, remoteError(at, err)
	}
	held := &HeldKeys{Service: resp.Msg.Service}
	for _, keys := range resp.Msg.Cois {
		if keys.Name != string(c.Name) {
			continue
		}
		if len(keys.Certified) == len(groups.Hash{}) {
			held.Certified = groups.Hash(keys.Certified)
		}
		for _, h := range keys.SpkiHashes {
			if len(h) == len(groups.Hash{}) {
				held.Keys = append(held.Keys, groups.Hash(h))
			}
		}
	}
	return held, nil
}

// Unwrap asks an unwrap service to open room keys.
func (k *dialled) Unwrap(ctx context.Context, c *groups.CoI, at string, request, signature []byte) ([]byte, error) {
	service, err := k.unwrap(c, at)
	if err != nil {
		return nil, err
	}
	resp, err := service.Unwrap(ctx, connect.NewRequest(&unwrapv1.UnwrapRequest{
		Request: request, Signature: signature, Chain: k.device.self.Load().Chain,
	}))
	if err != nil {
		return nil, remoteError(at, err)
	}
	return resp.Msg.Sealed, nil
}

// Cuts asks an unwrap service which bots it has cut off.
func (k *dialled) Cuts(ctx context.Context, c *groups.CoI, at string, q CutQuestion) ([]byte, error) {
	service, err := k.unwrap(c, at)
	if err != nil {
		return nil, err
	}
	req := &unwrapv1.CutsRequest{Coi: string(c.Name), Nonce: q.Nonce[:]}
	for _, d := range q.Devices {
		req.Devices = append(req.Devices, string(d))
	}
	resp, err := service.Cuts(ctx, connect.NewRequest(req))
	if err != nil {
		return nil, remoteError(at, err)
	}
	return resp.Msg.Signed, nil
}

// Status asks a responder (RFC 6960, Appendix A): what it says is signed, so
// that it may lie anywhere.
func (k *dialled) Status(ctx context.Context, c *groups.CoI, request []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Status, bytes.NewReader(request))
	if err != nil {
		return nil, groups.Errorf(groups.Invalid, "responder of %s: %w", c.Name, err)
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	return k.fetch(c, req, coi.MaxStatus)
}

// Revocations fetches a list of revocations.
func (k *dialled) Revocations(ctx context.Context, c *groups.CoI, at string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, groups.Errorf(groups.Invalid, "list of revocations: %w", err)
	}
	return k.fetch(c, req, coi.MaxCRL)
}

// fetch makes one HTTP request; over https only a service of the community's
// site is spoken to.
func (k *dialled) fetch(c *groups.CoI, req *http.Request, limit int64) ([]byte, error) {
	client := &http.Client{Timeout: serviceTimeout}
	if req.URL.Scheme == "https" {
		var err error
		if client, err = k.client(c, req.URL.String()); err != nil {
			return nil, err
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, remoteError(req.URL.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, groups.Errorf(groups.Unavailable, "%s answers %s", req.URL.Host, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, groups.Errorf(groups.Unavailable, "%s: %w", req.URL.Host, err)
	}
	if int64(len(body)) > limit {
		return nil, groups.Errorf(groups.TooLarge, "%s answers more than %d bytes", req.URL.Host, limit)
	}
	return body, nil
}

// Certificates asks a lookup service.
func (k *dialled) Certificates(ctx context.Context, c *groups.CoI) ([]CoICertificate, error) {
	h, err := k.client(c, c.Lookup)
	if err != nil {
		return nil, err
	}
	service := lookupv1connect.NewLookupServiceClient(h, c.Lookup, connect.WithReadMaxBytes(maxServiceAnswer))
	resp, err := service.Lookup(ctx, connect.NewRequest(&lookupv1.LookupRequest{Names: []string{string(c.Name)}}))
	if err != nil {
		return nil, remoteError(c.Lookup, err)
	}
	var list []CoICertificate
	for _, one := range resp.Msg.Cois {
		if one.Name != string(c.Name) {
			continue
		}
		for _, cert := range one.Certificates {
			list = append(list, CoICertificate{Chain: cert.Chain, Status: cert.Status, Retired: !cert.Active})
		}
	}
	return list, nil
}
