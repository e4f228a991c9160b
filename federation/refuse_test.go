package federation

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

func mustListen(t testing.TB) net.PacketConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A caller dials a node by hand.
type caller struct {
	cert Certificates
	sni  string
	alpn string
}

// dial connects and waits until the node has judged the certificate.
func (c caller) dial(t testing.TB, n *testNode) (*quic.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{c.alpn}, ServerName: c.sni, MinVersion: tls.VersionTLS13}
	if c.cert != nil {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert() }
	}
	conn, err := quic.DialAddr(ctx, n.Addr().String(), conf, quicConfig())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	select {
	case <-conn.Context().Done():
		return nil, context.Cause(conn.Context())
	case <-conn.HandshakeComplete():
	}
	select {
	case <-conn.Context().Done():
		return nil, context.Cause(conn.Context())
	case <-time.After(150 * time.Millisecond):
		return conn, nil
	}
}

// "Unknown sites are refused", and a certificate counts only under the CA of
// the site it names, in its time, for another node than ourselves.
func TestOnlyPeersAreLetIn(t *testing.T) {
	pki := newPKI(t, alpha, beta, gamma)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	b := nodeID(beta, "b1")
	good := caller{pki.cas[beta].issue(t, b, time.Hour), string(alpha), ALPN}
	if _, err := good.dial(t, a); err != nil {
		t.Fatalf("a peer is refused: %v", err)
	}
	cases := map[string]caller{
		"no certificate":         {nil, string(alpha), ALPN},
		"site without a peering": {pki.cas[gamma].issue(t, nodeID(gamma, "g1"), time.Hour), string(alpha), ALPN},
		"site without a CA":      {newCA(t, "delta.example").issue(t, nodeID("delta.example", "d1"), time.Hour), string(alpha), ALPN},
		"another site's CA":      {pki.cas[gamma].issue(t, b, time.Hour), string(alpha), ALPN},
		"forged CA":              {newCA(t, beta).issue(t, b, time.Hour), string(alpha), ALPN},
		"expired":                {pki.cas[beta].issue(t, b, -time.Minute), string(alpha), ALPN},
		"our own name":           {pki.cas[alpha].issue(t, nodeID(alpha, "a1"), time.Hour), string(alpha), ALPN},
		"for another site":       {good.cert, string(gamma), ALPN},
		"for no site":            {good.cert, "", ALPN},
		"another protocol":       {good.cert, string(alpha), "h3"},
	}
	for name, c := range cases {
		if _, err := c.dial(t, a); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	if len(a.linksOf(beta)) != 0 {
		t.Error("a caller without lanes became a link")
	}
}

// A dial to a site that is answered by another one's node is given up.
func TestWrongSiteAnswers(t *testing.T) {
	pki := newPKI(t, alpha, beta, gamma)
	g := start(t, pki, nodeID(gamma, "g1"), peering(alpha))
	a := start(t, pki, nodeID(alpha, "a1"), func(c *Config) { peering(beta, g)(c); peering(gamma)(c) })
	eventually(t, "the dial failed", func() bool {
		p := a.Peers()
		return len(p) == 2 && p[0].Site == beta && p[0].LastError != ""
	})
	if len(a.linksOf(beta))+len(a.linksOf(gamma)) != 0 {
		t.Fatal("linked")
	}
}

// "A connection ends with its certificate."
func TestLinkEndsWithCertificate(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	short := pki.cas[beta].issue(t, nodeID(beta, "b1"), 2*time.Second) // in whole seconds
	start(t, pki, nodeID(beta, "b1"), func(c *Config) { peering(alpha, a)(c); c.Certificate = short })
	eventually(t, "they are linked", func() bool { return len(a.linksOf(beta)) == 1 })
	eventually(t, "the link ended", func() bool { return len(a.linksOf(beta)) == 0 })
}

// lanes opens the lanes of a link by hand, with a hello unless it is nil.
func (c caller) lanes(t testing.TB, n *testNode, hello *linkv1.Hello) (*quic.Conn, []*quic.Stream) {
	t.Helper()
	conn, err := c.dial(t, n)
	if err != nil {
		t.Fatal(err)
	}
	var out []*quic.Stream
	for i := range laneCount {
		s, err := conn.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte{byte(i)})
		out = append(out, s)
	}
	if hello != nil {
		b, _ := appendFrame(nil, &linkv1.Frame{Hello: hello})
		out[0].Write(b)
	}
	return conn, out
}

// Whatever breaks the protocol ends the link, and only that.
func TestBrokenFramesEndTheLink(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	b := nodeID(beta, "b1")
	c := caller{pki.cas[beta].issue(t, b, time.Hour), string(alpha), ALPN}
	hello := &linkv1.Hello{Version: 1, Node: string(b), Incarnation: make([]byte, 16)}
	frame := func(f *linkv1.Frame) []byte { b, _ := appendFrame(nil, f); return b }
	cases := []struct {
		name string
		lane int
		send []byte
	}{
		{"frame over the limit", 1, binary.BigEndian.AppendUint32(nil, groups.MaxFrame+1)},
		{"not protobuf", 0, []byte{0, 0, 0, 2, 0xff, 0xff}},
		{"a second hello", 0, frame(&linkv1.Frame{Hello: hello})},
		{"an offer among messages", 1, frame(&linkv1.Frame{Offers: []*linkv1.Offer{{Room: string(roomID(beta, "r"))}}})},
		{"a room the site is not the hub of", 0, frame(&linkv1.Frame{Offers: []*linkv1.Offer{{Room: string(roomID(alpha, "r"))}}})},
		{"a copy of a third site's room", 0, frame(&linkv1.Frame{Offers: []*linkv1.Offer{{Room: string(roomID(gamma, "r")), Head: []byte("head")}}})},
		{"the end of offers among messages", 1, frame(&linkv1.Frame{Offered: true})},
		{"a commit among messages", 1, frame(&linkv1.Frame{Submissions: []*linkv1.Submission{{Kind: uint32(groups.KindCommit)}}})},
		{"an ack among commits", 0, frame(&linkv1.Frame{Acks: []*linkv1.Ack{{}}})},
		{"a bad name", 0, frame(&linkv1.Frame{Subscribes: []*linkv1.Subscribe{{Room: "../../etc"}}})},
		{"a bad submission", 1, frame(&linkv1.Frame{Submissions: []*linkv1.Submission{{Kind: uint32(groups.KindMessage), Room: string(roomID(alpha, "r")), Device: "x"}}})},
	}
	for _, test := range cases {
		_, s := c.lanes(t, a, hello)
		eventually(t, "the link is up", func() bool { return len(a.linksOf(beta)) == 1 })
		s[test.lane].Write(test.send)
		eventually(t, test.name+": the link ended", func() bool { return len(a.linksOf(beta)) == 0 })
	}
	for name, h := range map[string]*linkv1.Hello{
		"another version": {Version: 2, Node: string(b), Incarnation: make([]byte, 16)},
		"another node":    {Version: 1, Node: string(nodeID(beta, "b2")), Incarnation: make([]byte, 16)},
	} {
		_, s := c.lanes(t, a, h)
		buf := make([]byte, 10)
		s[0].SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := s[0].Read(buf); err == nil {
			t.Errorf("%s: answered with %d bytes", name, n)
		} else if strings.Contains(err.Error(), "deadline") {
			t.Errorf("%s: not refused", name)
		}
	}
}

// "A 4-byte length must not buy memory": two thousand streams stop after the
// length of the largest frame.
func TestStalledLengthsCostLittle(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	length := binary.BigEndian.AppendUint32(nil, groups.MaxFrame)
	before := heap()
	streams := 0
	for i := range 10 {
		b := nodeID(beta, "b"+string(rune('0'+i)))
		c := caller{pki.cas[beta].issue(t, b, time.Hour), string(alpha), ALPN}
		conn, lanes := c.lanes(t, a, &linkv1.Hello{Version: 1, Node: string(b), Incarnation: make([]byte, 16)})
		eventually(t, "the link is up", func() bool { return len(a.linksOf(beta)) == i+1 })
		for _, s := range lanes {
			s.Write(length)
			streams++
		}
		for range 200 {
			s, err := conn.OpenStream()
			if err != nil {
				break
			}
			s.Write(append([]byte{blobStream}, length...))
			streams++
		}
	}
	time.Sleep(200 * time.Millisecond) // for what was written to be read
	if streams < 2000 {
		t.Fatalf("only %d streams", streams)
	}
	if grown := int64(heap()) - int64(before); grown > 100<<20 {
		t.Fatalf("%d stalled lengths cost %d MiB", streams, grown>>20)
	} else {
		t.Logf("%d stalled lengths cost %d KiB, both ends", streams, grown>>10)
	}
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
