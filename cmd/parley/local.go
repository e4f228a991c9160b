package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"parley/groups"
)

// A localNode is a gateway node on this machine, as its config describes it:
// what demo and bench run. Paths are relative to the config's folder.
type localNode struct {
	Site   groups.SiteID
	Node   string
	PKI    string // the directory of parley-pki
	Peers  []*localNode
	Gossip []*localNode // the other nodes of the site; none means no gossip
	Limits string       // lines of [limits]
	// Addresses on loopback: for devices, for nodes, for gossip, for health.
	Devices, Nodes, Members, Admin string
}

// gossipKey is the file with the key that the nodes of a site share.
const gossipKey = "gossip.key"

// placeNodes gives nodes addresses with ports that are free for TCP and UDP.
func placeNodes(nodes ...*localNode) error {
	var fields []*string
	for _, n := range nodes {
		fields = append(fields, &n.Devices, &n.Nodes, &n.Members, &n.Admin)
	}
	addresses, err := freeAddresses(len(fields))
	if err != nil {
		return err
	}
	for i, f := range fields {
		*f = addresses[i]
	}
	return nil
}

// Ports below those that systems give to outgoing connections and to who asks for
// any: nobody gets one of them by chance between its choice and its use.
const (
	lowPort  = 15_000
	lowPorts = 32_768 - lowPort
)

// freeAddresses returns addresses on loopback on which nobody listens. They
// are held together, so that no two are the same.
func freeAddresses(n int) (addresses []string, err error) {
	var held []interface{ Close() error }
	defer func() {
		for _, h := range held {
			err = errors.Join(err, h.Close())
		}
	}()
	for tries := 0; len(addresses) < n; tries++ {
		if tries > 100+10*n {
			return nil, errors.New("find free ports on 127.0.0.1: there are too few")
		}
		tcp, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowPort+rand.N(lowPorts)))
		if err != nil {
			continue // somebody has it
		}
		held = append(held, tcp)
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil {
			continue // it is free for TCP only
		}
		held = append(held, udp)
		addresses = append(addresses, tcp.Addr().String())
	}
	return addresses, nil
}

// id returns the node's name in answers of the admin port.
func (n *localNode) id() string { return fmt.Sprintf("mimi://%s/n/%s", n.Site, n.Node) }

// file returns the name of the node's config.
func (n *localNode) file() string { return n.Node + ".toml" }

// data returns the name of the directory of the node's room logs.
func (n *localNode) data() string { return "data-" + n.Node }

// config writes the node's config file.
func (n *localNode) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "site = %q\nnode = %q\ndata = %q\n", n.Site, n.Node, n.data())
	fmt.Fprintf(&b, "[gateway]\nlisten = %q\n[federation]\nlisten = %q\n[admin]\nlisten = %q\n", n.Devices, n.Nodes, n.Admin)
	own := n.PKI + "/nodes/" + n.Node
	fmt.Fprintf(&b, "[identity]\ncertificate = %q\nkey = %q\n", own+"/tls.crt", own+"/tls.key")
	fmt.Fprintf(&b, "ordering_certificate = %q\nordering_key = %q\nca = %q\n", own+"/ordering.crt", own+"/ordering.key", n.PKI+"/ca.pem")
	if len(n.Gossip) > 0 {
		fmt.Fprintf(&b, "[gossip]\nlisten = %q\nkey_file = %q\njoin = [", n.Members, gossipKey)
		for _, o := range n.Gossip {
			fmt.Fprintf(&b, "%q, ", o.Members)
		}
		b.WriteString("]\n")
	}
	for i, p := range n.Peers {
		if i > 0 && p.Site == n.Peers[i-1].Site {
			continue // it is among the addresses of the one before
		}
		fmt.Fprintf(&b, "[[peer]]\nsite = %q\nca = %q\naddresses = [", p.Site, n.PKI+"/trust/"+string(p.Site)+"/ca.pem")
		for _, o := range n.Peers[i:] {
			if o.Site == p.Site {
				fmt.Fprintf(&b, "%q, ", o.Nodes)
			}
		}
		b.WriteString("]\n")
	}
	fmt.Fprintf(&b, "[limits]\nlow_water = \"64MiB\"\nballast = \"0\"\n%s[log]\nlevel = \"info\"\nformat = \"text\"\n", n.Limits)
	return b.String()
}

// A binaries says where the three programs are.
type binaries struct{ parley, parleyd, pki string }

// findBinaries looks for the programs beside this one, else on PATH.
func findBinaries() (b binaries, err error) {
	own, err := os.Executable()
	if err != nil {
		return b, fmt.Errorf("find own program: %w", err)
	}
	b.parley = own
	for name, path := range map[string]*string{"parleyd": &b.parleyd, "parley-pki": &b.pki} {
		*path = filepath.Join(filepath.Dir(own), name+filepath.Ext(own))
		if _, err := os.Stat(*path); err == nil {
			continue
		}
		if *path, err = exec.LookPath(name); err != nil {
			return b, fmt.Errorf("%s is neither beside %s nor on PATH: build all programs into one folder, with make bin", name, own)
		}
	}
	return b, nil
}
