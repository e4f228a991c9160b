package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"parley/coi/service"
)

const (
	defaultListen = "127.0.0.1:7443"
	// stopWithin is how long calls that are being answered may take after a
	// signal to stop.
	stopWithin = 10 * time.Second
	// callWithin bounds a call from its first octet to its last.
	callWithin = 20 * time.Second
	// idleWithin closes connections on which nothing happens.
	idleWithin = 60 * time.Second
	// renewWithin is how long before its end a certificate is warned about.
	renewWithin = 30 * 24 * time.Hour
	// maxHeader bounds the header of a request, in bytes.
	maxHeader = 16 << 10
)

// enrollFlags is what the flags of enroll say.
type enrollFlags struct {
	listen    string
	url       string
	readyFile string
	gateways  []string
	logJSON   bool
}

func (t *tool) enrollCommand() *cobra.Command {
	var f enrollFlags
	cmd := &cobra.Command{
		Use:   "enroll [--listen ADDRESS] [--gateway URL ...]",
		Short: "Run the enrolment service",
		Long: `enroll serves devices over HTTPS: a one-time code and a certification request in, a
device certificate out. It tells devices which CAs the site trusts and where
its gateways are. It needs device-ca.key and enroll/tls.key, never root.key.

It stops on SIGINT or SIGTERM, after answering the calls it has begun.`,
		Example: `  parley-pki enroll --dir pki --gateway https://127.0.0.1:8443
  parley-pki enroll --dir pki --listen 192.0.2.7:7443 --url https://pki.alpha.example:7443 --gateway https://chat.alpha.example
  parley-pki enroll --dir pki --listen 127.0.0.1:0 --ready-file ready.txt   # for scripts`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return t.enroll(cmd, &f)
		},
	}
	cmd.Flags().StringVar(&f.listen, "listen", defaultListen, "address and port to serve on; port 0 takes a free one")
	cmd.Flags().StringVar(&f.url, "url", "", "how devices reach this service (default https:// and the address it listens on)")
	cmd.Flags().StringVar(&f.readyFile, "ready-file", "", "write the service's URL to this file once it can be called")
	cmd.Flags().StringArrayVar(&f.gateways, "gateway", nil, "a gateway's URL to tell devices (repeat for several)")
	cmd.Flags().BoolVar(&f.logJSON, "log-json", false, "log JSON lines instead of text")
	return cmd
}

func (f *enrollFlags) check() error {
	for _, g := range f.gateways {
		if err := checkURL("--gateway", g); err != nil {
			return err
		}
	}
	if f.url != "" {
		if err := checkURL("--url", f.url); err != nil {
			return err
		}
	}
	if _, _, err := net.SplitHostPort(f.listen); err != nil {
		return fmt.Errorf("--listen %q: write an address and a port, such as 127.0.0.1:7443 (%w)", f.listen, err)
	}
	return nil
}

func checkURL(flag, s string) error {
	u, err := neturl.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%s %q: write a URL such as https://127.0.0.1:8443", flag, s)
	}
	return nil
}

// enroll runs the service until the command's context ends.
func (t *tool) enroll(cmd *cobra.Command, f *enrollFlags) error {
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	if f.logJSON {
		log = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
	}
	dir, err := t.open()
	if err != nil {
		return err
	}
	issued, err := service.OpenLog(dir.Path("issued.jsonl"))
	if err != nil {
		return err
	}
	defer issued.Close()
	handler, err := enrolment(dir, issued, f.gateways, log)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(dir.Path("enroll", "tls.crt"), dir.Path("enroll", "tls.key"))
	if err != nil {
		return fmt.Errorf("load HTTPS certificate: %w", err)
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	url := f.url
	if url == "" {
		url = "https://" + listener.Addr().String()
	}
	warnOfEnd(log, dir, time.Now())
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
		ReadHeaderTimeout: callWithin,
		ReadTimeout:       callWithin,
		WriteTimeout:      callWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ready := func() error {
		if err := dir.SetServiceURL(url); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "ready: enrolment for %s at %s\n", dir.Site(), url)
		if f.readyFile == "" {
			return nil
		}
		if err := service.WriteFile(f.readyFile, []byte(url+"\n")); err != nil {
			return fmt.Errorf("--ready-file: %w", err)
		}
		return nil
	}
	return serve(cmd.Context(), server, bounded(listener, maxConnections), ready)
}

// warnOfEnd logs which of the service's own certificates end soon.
func warnOfEnd(log *slog.Logger, dir *service.Directory, now time.Time) {
	for _, file := range [][]string{{"root.crt"}, {"device-ca.crt"}, {"enroll", "tls.crt"}} {
		cert, err := dir.Certificate(file...)
		if err == nil && cert.NotAfter.Sub(now) < renewWithin {
			log.Warn("certificate ends soon", "file", dir.Path(file...), "until", cert.NotAfter)
		}
	}
}

// enrolment makes the service from what the directory holds.
func enrolment(dir *service.Directory, issued *service.Log, gateways []string, log *slog.Logger) (http.Handler, error) {
	issuer, err := dir.Issuer()
	if err != nil {
		return nil, err
	}
	codes, err := dir.Codes()
	if err != nil {
		return nil, err
	}
	e, err := service.NewEnroll(service.Config{
		CA: issuer.CA, Codes: codes, Issued: issued, Revoked: issuer.Revocations(), Sites: dir.Sites, Gateways: gateways, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	return e.Handler(), nil
}

// serve runs a server until the context ends, then lets it finish what it has
// begun. ready is called once connections are accepted.
func serve(ctx context.Context, server *http.Server, l net.Listener, ready func() error) error {
	ended := make(chan error, 1) // one value, sent by the goroutine below, always received
	go func() { ended <- server.ServeTLS(l, "", "") }()
	err := ready()
	if err == nil {
		select {
		case err = <-ended:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if stop := server.Shutdown(grace); stop != nil && !errors.Is(stop, os.ErrClosed) {
		server.Close()
		err = errors.Join(err, fmt.Errorf("stop: %w", stop))
	}
	<-ended
	return err
}
