package federation

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/quic-go/quic-go"

	"parley/groups"
)

// quicConfig bounds a connection: no 0-RTT, idle and handshake times, windows.
func quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           handshakeTime / 2, // quic-go allows twice this for the whole
		MaxIdleTimeout:                 idleTime,
		KeepAlivePeriod:                keepAlive,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         maxStreamWindow,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     maxConnWindow,
		MaxIncomingStreams:             maxStreams,
		MaxIncomingUniStreams:          -1,
		EnableDatagrams:                true,
	}
}

// serverTLS is the TLS of incoming links. Sessions are not resumed: checks of
// the peer run at every handshake.
func (n *Node) serverTLS() *tls.Config {
	conf := n.tlsConfig()
	conf.ClientAuth = tls.RequireAnyClientCert
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.ServerName != string(n.site) {
			return groups.Errorf(groups.Denied, "the caller asks for site %q, this is %s", cs.ServerName, n.site)
		}
		_, _, err := n.identify(cs.PeerCertificates)
		return err
	}
	return conf
}

// clientTLS is the TLS of a dial to a node of site. The standard check of names
// is replaced by ours: a node is proved by its URI under its site's own CA.
func (n *Node) clientTLS(site groups.SiteID) *tls.Config {
	conf := n.tlsConfig()
	conf.ServerName = string(site)
	conf.InsecureSkipVerify = true
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		peer, _, err := n.identify(cs.PeerCertificates)
		if err != nil {
			return err
		}
		if peer.Site() != site {
			return groups.Errorf(groups.Denied, "%s answered a dial to site %s", peer, site)
		}
		return nil
	}
	return conf
}

func (n *Node) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{ALPN},
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return n.cfg.Certificate()
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return n.cfg.Certificate()
		},
		Time: n.cfg.Now,
	}
}

// identify proves the node that showed certs, and that a peering exists.
func (n *Node) identify(certs []*x509.Certificate) (groups.NodeID, time.Time, error) {
	peer, ends, err := n.prove(certs)
	if err != nil {
		n.metrics.refused.WithLabelValues(kindOf(err).String()).Inc()
		if n.refusals.Allow() {
			n.log.Warn("a node was refused", "error", err)
		}
	}
	return peer, ends, err
}

func (n *Node) prove(certs []*x509.Certificate) (groups.NodeID, time.Time, error) {
	if len(certs) == 0 || len(certs) > maxChain {
		return "", time.Time{}, groups.Errorf(groups.TooLarge, "a chain of %d certificates; 1 to %d are read", len(certs), maxChain)
	}
	chain, size := make([][]byte, len(certs)), 0
	for i, c := range certs {
		chain[i] = c.Raw
		size += len(c.Raw)
	}
	if size > maxChainBytes {
		return "", time.Time{}, groups.Errorf(groups.TooLarge, "a chain of %d bytes, the limit is %d", size, maxChainBytes)
	}
	now := n.cfg.Now()
	peer, ends, err := n.cfg.Peers.VerifyNode(chain, now)
	if err != nil {
		return "", time.Time{}, err
	}
	if !now.Before(ends) {
		return "", time.Time{}, groups.Errorf(groups.Denied, "the certificate of %s ended at %s", peer, ends.UTC().Format(time.RFC3339))
	}
	if _, known := n.sites[peer.Site()]; !known && peer.Site() != n.site {
		return "", time.Time{}, groups.Errorf(groups.Denied, "there is no peering with %s", peer.Site())
	}
	if peer == n.cfg.Node {
		return "", time.Time{}, groups.Errorf(groups.Conflict, "%s is this node's own name", peer)
	}
	return peer, ends, nil
}
