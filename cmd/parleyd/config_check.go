package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"parley/groups"
)

// check says every fault at once, each with what to do.
func (c *config) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if _, err := groups.ParseSiteID(string(c.Site)); err != nil {
		fault("site: %w", err)
	} else if _, err := groups.NewNodeID(c.Site, c.Node); err != nil {
		fault("node: %w", err)
	}
	if c.Data == "" {
		fault("data: name a directory for the room logs")
	}
	c.checkAddresses(fault)
	c.checkFile(fault, "identity.certificate", c.Identity.Certificate)
	c.checkFile(fault, "identity.key", c.Identity.Key)
	c.checkFile(fault, "identity.ordering_certificate", c.Identity.OrderingCertificate)
	c.checkFile(fault, "identity.ordering_key", c.Identity.OrderingKey)
	c.checkFile(fault, "identity.ca", c.Identity.CA)
	c.checkPeers(fault)
	c.Limits.check(fault)
	if _, err := newLogger(c.Log); err != nil {
		fault("%w", err)
	}
	return errors.Join(faults...)
}

func (c *config) checkPeers(fault func(string, ...any)) {
	seen := map[groups.SiteID]bool{c.Site: true}
	for i, p := range c.Peers {
		key := fmt.Sprintf("peer %d", i+1)
		if _, err := groups.ParseSiteID(string(p.Site)); err != nil {
			fault("%s: site: %w", key, err)
		} else if seen[p.Site] {
			fault("%s: %s is this site or named twice", key, p.Site)
		}
		seen[p.Site] = true
		if len(p.Addresses) == 0 {
			fault("%s: addresses: name at least one, such as \"beta.example:9443\"", key)
		}
		for _, a := range p.Addresses {
			checkAddress(fault, key+": addresses", a)
		}
		c.checkFile(fault, key+": ca", p.CA)
	}
}

func (c *config) checkAddresses(fault func(string, ...any)) {
	checkAddress(fault, "gateway.listen", c.Gateway.Listen)
	checkAddress(fault, "federation.listen", c.Federation.Listen)
	checkAddress(fault, "admin.listen", c.Admin.Listen)
	if host, _, err := net.SplitHostPort(c.Admin.Listen); err == nil && !isLoopback(host) {
		fault("admin.listen: %q is not loopback; the admin port has no login", c.Admin.Listen)
	}
	c.checkClash(fault)
	if c.Gossip.KeyFile == "" {
		if c.Gossip.Listen != "" || len(c.Gossip.Join) > 0 {
			fault("gossip: key_file is missing: gossip without a key is refused")
		}
		return
	}
	c.checkFile(fault, "gossip.key_file", c.Gossip.KeyFile)
	if _, err := c.gossipKey(); err != nil && !errors.Is(err, os.ErrNotExist) {
		fault("%w", err)
	}
	checkAddress(fault, "gossip.listen", c.Gossip.Listen)
	for _, a := range c.Gossip.Join {
		checkAddress(fault, "gossip.join", a)
	}
	if c.Gossip.Advertise != "" {
		checkAddress(fault, "gossip.advertise", c.Gossip.Advertise)
	}
	if c.Federation.Advertise != "" {
		checkAddress(fault, "federation.advertise", c.Federation.Advertise)
	}
	if host, _, err := net.SplitHostPort(c.Gossip.Listen); err == nil && isEverywhere(host) && c.Gossip.Advertise == "" {
		fault("gossip.advertise: name the host:port that other nodes reach; gossip.listen %q names none", c.Gossip.Listen)
	}
}

// checkClash finds two faces of the node at one address: it could not start.
func (c *config) checkClash(fault func(string, ...any)) {
	faces := []struct {
		key, address string
		tcp, udp     bool
	}{
		{"gateway.listen", c.Gateway.Listen, true, true},
		{"federation.listen", c.Federation.Listen, false, true},
		{"admin.listen", c.Admin.Listen, true, false},
		{"gossip.listen", c.Gossip.Listen, true, true},
	}
	for i, a := range faces {
		_, port, err := net.SplitHostPort(a.address)
		for _, b := range faces[:i] {
			if err == nil && port != "0" && a.address == b.address && (a.tcp && b.tcp || a.udp && b.udp) {
				fault("%s: %q is %s too: give it a port of its own", a.key, a.address, b.key)
			}
		}
	}
}

// checkAddress asks for host:port. Port 0, any, is for those who look it up.
func checkAddress(fault func(string, ...any), key, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		fault("%s: %q is not an address: write host:port, such as \"127.0.0.1:8443\"; ports end at 65535", key, addr)
	} else if n == 0 && !strings.HasSuffix(key, "listen") {
		fault("%s: %q: nobody answers at port 0", key, addr)
	}
}

// check refuses limits that mean nothing.
func (l limitsConfig) check(fault func(string, ...any)) {
	if l.MessagesPerSecond < 0 || l.MessageBurst < 0 || l.CommitsPerSecond < 0 || l.CommitBurst < 0 || l.ClaimsPerHour < 0 {
		fault("limits: none can be negative; 0 is the default")
	}
	if _, err := parseSize(l.LowWater); err != nil {
		fault("limits.low_water: %w", err)
	}
	if _, err := l.ballast(); err != nil {
		fault("limits.ballast: %w", err)
	}
}

// ballast is the size of storage's ballast file: 0 for the default, less than
// 0 for none.
func (l limitsConfig) ballast() (int64, error) {
	n, err := parseSize(l.Ballast)
	if err == nil && n == 0 && l.Ballast != "" {
		return -1, nil
	}
	return int64(n), err
}

func (c *config) checkFile(fault func(string, ...any), key, file string) {
	if file == "" {
		fault("%s: name a file", key)
		return
	}
	if _, err := os.Stat(c.path(file)); err != nil {
		fault("%s: %s can not be read: make it with parley-pki, or mend the path", key, c.path(file))
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isEverywhere says whether host means every address of this machine.
func isEverywhere(host string) bool {
	return host == "" || net.ParseIP(host).IsUnspecified()
}

// parseSize reads 512MiB, 2GiB or a number of bytes; empty is zero.
func parseSize(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	units := []struct {
		name  string
		shift uint
	}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"", 0}}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		var n uint64
		if _, err := fmt.Sscanf(digits, "%d", &n); err == nil && fmt.Sprint(n) == digits && n < 1<<20 || u.shift == 0 && err == nil {
			return n << u.shift, nil
		}
	}
	return 0, fmt.Errorf("%q is not a size: write 512MiB, 2GiB or bytes", s)
}
