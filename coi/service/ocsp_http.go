package service

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"parley/coi"
)

// Media types of RFC 6960, Appendix A.
const (
	ocspRequestType  = "application/ocsp-request"
	ocspResponseType = "application/ocsp-response"
)

// Handler serves POST / and GET /BASE64 (RFC 6960, Appendix A), GET /crl/NAME,
// and GET /ready, which says what is wrong.
func (o *OCSP) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crl/{name}", o.crl)
	mux.HandleFunc("GET /ready", o.ready)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case o.calls <- struct{}{}:
			defer func() { <-o.calls }()
		default:
			o.write(w, coi.StatusTryLater.Refusal())
			return
		}
		if r.Method == http.MethodGet && (strings.HasPrefix(r.URL.Path, "/crl/") || r.URL.Path == "/ready") {
			mux.ServeHTTP(w, r)
			return
		}
		o.status(w, r)
	})
}

func (o *OCSP) write(w http.ResponseWriter, der []byte) {
	w.Header().Set("Content-Type", ocspResponseType)
	w.Header().Set("Cache-Control", "no-store") // a revocation is known at once
	if _, err := w.Write(der); err != nil {
		o.config.Logger.Debug("status not delivered", "err", err)
	}
}

// status answers a request.
func (o *OCSP) status(w http.ResponseWriter, r *http.Request) {
	der, code := readStatusRequest(w, r)
	if code != 0 {
		http.Error(w, http.StatusText(code), code)
		return
	}
	req, err := coi.ParseStatusRequest(der)
	if err != nil {
		o.config.Logger.Debug("status request refused", "from", r.RemoteAddr, "err", err)
		o.write(w, coi.StatusMalformed.Refusal())
		return
	}
	o.write(w, o.answer(req))
}

// readStatusRequest returns the DER of a request, or an HTTP code.
func readStatusRequest(w http.ResponseWriter, r *http.Request) ([]byte, int) {
	switch r.Method {
	case http.MethodPost:
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != ocspRequestType {
			return nil, http.StatusUnsupportedMediaType
		}
		der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, coi.MaxStatusRequest))
		if err != nil {
			return nil, http.StatusRequestEntityTooLarge
		}
		return der, 0
	case http.MethodGet:
		text, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
		if err != nil || text == "" || len(text) > 2*coi.MaxStatusRequest {
			return nil, http.StatusNotFound
		}
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, http.StatusNotFound
		}
		return der, 0
	}
	w.Header().Set("Allow", "GET, POST")
	return nil, http.StatusMethodNotAllowed
}

// crl serves a CA's list of revocations.
func (o *OCSP) crl(w http.ResponseWriter, r *http.Request) {
	for _, ca := range o.cas {
		if ca.Name != r.PathValue("name") || ca.CRL == "" {
			continue
		}
		der, err := readSmall(ca.CRL, coi.MaxCRL)
		if err != nil {
			o.config.Logger.Error("list of revocations not given", "ca", ca.Name, "err", err)
			http.Error(w, "the list of revocations can not be read", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/pkix-crl")
		w.Header().Set("Cache-Control", "no-store")
		if _, err := w.Write(der); err != nil {
			o.config.Logger.Debug("list of revocations not delivered", "err", err)
		}
		return
	}
	http.NotFound(w, r)
}

// ready says in words what is wrong, if anything is.
func (o *OCSP) ready(w http.ResponseWriter, _ *http.Request) {
	for _, problem := range o.Problems() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, problem)
		return
	}
	fmt.Fprintln(w, "ready")
}
