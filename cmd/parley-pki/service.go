package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"parley/coi/service"
)

// serviceFlags are the flags of every command that runs a service.
type serviceFlags struct {
	listen    string
	url       string
	readyFile string
	logJSON   bool
}

// add defines the flags; listen is where the service is without --listen.
func (f *serviceFlags) add(cmd *cobra.Command, listen string) {
	cmd.Flags().StringVar(&f.listen, "listen", listen, "address and port to serve on; port 0 takes a free one")
	cmd.Flags().StringVar(&f.url, "url", "", "how others reach this service (default https:// and the address it listens on)")
	cmd.Flags().StringVar(&f.readyFile, "ready-file", "", "write the service's URL to this file once it can be called")
	cmd.Flags().BoolVar(&f.logJSON, "log-json", false, "log JSON lines instead of text")
}

func (f *serviceFlags) check() error {
	if f.url != "" {
		if err := checkURL("--url", f.url); err != nil {
			return err
		}
	}
	if _, _, err := net.SplitHostPort(f.listen); err != nil {
		return fmt.Errorf("--listen %q: write an address and a port, such as 127.0.0.1:7445 (%w)", f.listen, err)
	}
	return nil
}

func (f *serviceFlags) logger(w io.Writer) *slog.Logger {
	if f.logJSON {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// A running is a service that is about to run: what it serves, and what it does
// meanwhile.
type running struct {
	realm   *service.Realm
	handler http.Handler
	// background runs until its context ends; nil has nothing to do.
	background func(ctx context.Context)
	// foreign are certificates whose keys must not be in the directory; nil has none.
	foreign func() []*x509.Certificate
	// renewed are its certificates, beside that of its HTTPS, that are read again
	// when they change.
	renewed []*service.Renewal
	// plain is an address for HTTP without TLS, for what is signed anyway;
	// empty is none.
	plain string
}

// run serves a realm's HTTPS until the command's context ends, after answering
// the calls it has begun. The caller has done CheckApart.
func (f *serviceFlags) run(cmd *cobra.Command, s running) error {
	https, err := s.realm.HTTPS(s.foreign)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	url := f.url
	if url == "" {
		url = "https://" + listener.Addr().String()
	}
	log := f.logger(cmd.ErrOrStderr())
	renewals := &service.Renewals{Logger: log}
	renewals.Add(append(s.renewed, https.Renewal())...)
	server := newServer(s.handler, log)
	server.TLSConfig = https.Config()
	ctx, stop := context.WithCancel(cmd.Context())
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Go(func() { renewals.Run(ctx) })
	if s.background != nil {
		beside.Go(func() { s.background(ctx) })
	}
	plain, err := startPlain(ctx, &beside, s, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ready := func() error {
		fmt.Fprintf(cmd.OutOrStdout(), "ready: %s for %s at %s\n", s.realm.Role(), s.realm.Site(), url)
		if plain != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "also without TLS at http://%s\n", plain)
			url += "\nhttp://" + plain
		}
		if f.readyFile == "" {
			return nil
		}
		if err := service.WriteFile(f.readyFile, []byte(url+"\n")); err != nil {
			return fmt.Errorf("--ready-file: %w", err)
		}
		return nil
	}
	return serve(ctx, server, bounded(listener, maxConnections), ready)
}

// startPlain serves the same without TLS where that is asked for, and returns
// its address.
func startPlain(ctx context.Context, beside *sync.WaitGroup, s running, log *slog.Logger) (string, error) {
	if s.plain == "" {
		return "", nil
	}
	listener, err := net.Listen("tcp", s.plain)
	if err != nil {
		return "", fmt.Errorf("listen without TLS: %w", err)
	}
	server := newServer(s.handler, log)
	beside.Go(func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	beside.Go(func() {
		if err := server.Serve(bounded(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve without TLS", "err", err)
		}
	})
	return listener.Addr().String(), nil
}

// newServer is an HTTP server with the bounds of all services.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: callWithin,
		ReadTimeout:       callWithin,
		WriteTimeout:      callWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// initFlags are the flags of every command that makes a service's directory.
type initFlags struct {
	site   string
	bundle string
}

func (f *initFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.site, "site", "", "the site's domain, in lower case")
	cmd.Flags().StringVar(&f.bundle, "bundle", "", "the site's trust bundle, which parley-pki export-ca prints")
}

// plan reads what the flags name.
func (f *initFlags) plan(role service.Role) (service.RealmPlan, error) {
	p := service.RealmPlan{Role: role, Site: f.site}
	if f.site == "" {
		return p, errors.New("whose service is this? give --site, a domain such as alpha.example")
	}
	if f.bundle == "" {
		return p, nil
	}
	data, err := os.ReadFile(f.bundle)
	if err != nil {
		return p, fmt.Errorf("read trust bundle: %w", err)
	}
	p.Bundle = data
	return p, nil
}

// realmMade says what an init made and how its HTTPS certificate is come by.
func realmMade(w io.Writer, r *service.Realm, bundle bool, steps ...string) {
	fmt.Fprintf(w, "The %s service of %s is in %s. Its administrator is nobody who has another role.\n\nNext:\n", r.Role(), r.Site(), r.Path())
	if !bundle {
		steps = append([]string{"Put the site's trust bundle into it: parley-pki export-ca --dir pki > " + quote(r.Path("sites", r.Site()+".pem"))}, steps...)
	}
	steps = append([]string{fmt.Sprintf("Have the site's administrator certify its HTTPS: parley-pki certify service %s --dir pki --csr %s --out %s",
		r.Role(), quote(r.Path("tls.csr")), quote(r.Path("tls.crt")))}, steps...)
	for i, s := range steps {
		fmt.Fprintf(w, "  %d. %s\n", i+1, s)
	}
}
