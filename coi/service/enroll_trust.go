package service

import (
	"context"

	"connectrpc.com/connect"

	enrollv1 "parley/api/enroll/v1"
	"parley/coi"
)

// Trust returns the CAs of this site and of its peers, where the services of
// their CoIs are, and where its gateways are. It asks for no code: nothing of it is secret.
func (e *Enroll) Trust(context.Context, *connect.Request[enrollv1.TrustRequest]) (*connect.Response[enrollv1.TrustResponse], error) {
	trust, err := e.trust()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(trust), nil
}

func (e *Enroll) trust() (*enrollv1.TrustResponse, error) {
	sites, err := e.config.Sites()
	if err != nil {
		return nil, e.internal(err)
	}
	out := &enrollv1.TrustResponse{Gateways: e.config.Gateways}
	for _, s := range sites {
		site := &enrollv1.SiteTrust{
			Site: s.Name, Roots: coi.Chain(s.Roots...), Intermediates: coi.Chain(s.Intermediates...), CoiRoots: coi.Chain(s.CoIRoots...),
		}
		for _, c := range s.CoIs {
			site.Cois = append(site.Cois, &enrollv1.CoI{Name: c.Name, Lookup: c.Lookup, Unwrap: c.Unwrap, Ocsp: c.OCSP, Officer: c.Officer})
		}
		out.Sites = append(out.Sites, site)
	}
	return out, nil
}
