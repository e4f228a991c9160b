package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/coi"
	"parley/coi/service"
)

// checkDevices is what the findings about the status of devices are called.
const checkDevices = "devices"

// devices finds out whether revoked devices are kept out: whether the responder
// that the trust bundle names answers for the CAs of devices.
func (p *preflight) devices(ctx context.Context) {
	url := service.ResponderOf(&p.site)
	if url == "" {
		p.warn("", checkDevices, "the trust bundle names no responder: where an unwrap service is not told of one, revoked devices get keys until parley-pki entitle deny names them",
			"parley-pki ocsp, with ocsp add devices, then parley-pki trust coi ... --ocsp URL")
		return
	}
	calls := service.PeerClient(p.trust, p.site.Name, time.Now)
	defer calls.CloseIdleConnections()
	cas := p.site.Intermediates
	if len(cas) == 0 {
		cas = p.site.Roots
	}
	var why []string
	for _, ca := range cas {
		err := answersFor(ctx, calls, url, ca)
		if err == nil {
			p.ok("", checkDevices, "%s says which devices of %s are revoked", url, ca.Subject)
			return
		}
		why = append(why, err.Error())
	}
	slices.Sort(why)
	p.bad("", checkDevices, fmt.Sprintf("%s does not answer for the CA of devices: whoever asks there gives no key to any (%s)", url, strings.Join(slices.Compact(why), "; ")),
		"parley-pki ocsp add devices, certify responder, and see the responder's log")
}

// answersFor asks a responder about a certificate that a CA has never made: who
// answers for the CA signs that it does not know it.
func answersFor(ctx context.Context, calls *http.Client, url string, ca *x509.Certificate) error {
	ctx, cancel := context.WithTimeout(ctx, preflightWithin)
	defer cancel()
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] = serial[0]&0x7f | 0x40
	never := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial), RawIssuer: ca.RawSubject}
	_, _, err := service.AskStatus(ctx, calls, service.StatusQuestion{URL: url, Cert: never, Issuer: ca})
	return err
}

// unwrapRealm says who is asked about devices, by the config of an unwrap service.
func (p *preflight) unwrapRealm(r *service.Realm) {
	settings, err := r.Settings()
	if err != nil {
		p.bad("", checkDevices, err.Error(), "mend it")
		return
	}
	sites, err := r.Sites()
	if err != nil {
		p.bad("", checkDevices, err.Error(), "put the trust bundle there")
		return
	}
	for i := range sites {
		p.unwrapSite(r, &sites[i], settings.Status[sites[i].Name])
	}
}

func (p *preflight) unwrapSite(r *service.Realm, s *coi.Site, status string) {
	switch problem := service.Unchecked(s, status); {
	case problem != "":
		p.warn("", checkDevices, problem, fmt.Sprintf("in %s, name the responder of %s, or \"bundle\" for the one that its trust bundle names", r.Path("config.toml"), s.Name))
	case status == "":
		p.ok("", checkDevices, "those of %s get no key: %s does not say who is asked about them", s.Name, r.Path("config.toml"))
	case service.CheckResponder(status) != nil:
		p.bad("", checkDevices, service.CheckResponder(status).Error(), "mend "+r.Path("config.toml"))
	default:
		p.ok("", checkDevices, "%s asks about those of %s: %s", r.Path(), s.Name, status)
	}
}
