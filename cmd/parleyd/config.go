package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"parley/groups"
)

// config is the file of a node. Paths are relative to the file.
type config struct {
	Site       groups.SiteID    `toml:"site" comment:"the organisation's domain"`
	Node       string           `toml:"node" comment:"this node's name within the site"`
	Data       string           `toml:"data" comment:"directory of the room logs; only this node writes it"`
	Gateway    gatewayConfig    `toml:"gateway" comment:"the face to devices"`
	Federation federationConfig `toml:"federation" comment:"the face to other nodes"`
	Identity   identityConfig   `toml:"identity" comment:"what parley-pki made for this node"`
	Peers      []peerConfig     `toml:"peer,omitempty" comment:"another site"`
	Gossip     gossipConfig     `toml:"gossip" comment:"how the nodes of this site find each other; no key: a single node"`
	Admin      adminConfig      `toml:"admin" comment:"health and metrics, loopback only"`
	Limits     limitsConfig     `toml:"limits" comment:"what one device may ask for"`
	Log        logConfig        `toml:"log"`
	dir        string
}

type gatewayConfig struct {
	Listen string `toml:"listen" comment:"TCP and UDP address for devices"`
}

type federationConfig struct {
	Listen    string `toml:"listen" comment:"UDP address for other nodes"`
	Advertise string `toml:"advertise,omitempty" comment:"address that siblings dial, if not listen"`
}

type identityConfig struct {
	Certificate         string `toml:"certificate"`
	Key                 string `toml:"key"`
	OrderingCertificate string `toml:"ordering_certificate"`
	OrderingKey         string `toml:"ordering_key"`
	CA                  string `toml:"ca" comment:"this site's CA certificates"`
}

type peerConfig struct {
	Site      groups.SiteID `toml:"site"`
	Addresses []string      `toml:"addresses" comment:"UDP addresses of its nodes, any of them"`
	CA        string        `toml:"ca" comment:"its CA certificates"`
}

type gossipConfig struct {
	Listen    string   `toml:"listen,omitempty"`
	Advertise string   `toml:"advertise,omitempty" comment:"address that siblings are told, if not listen"`
	KeyFile   string   `toml:"key_file,omitempty" comment:"32 bytes, the same on every node of the site"`
	Join      []string `toml:"join,omitempty" comment:"gossip addresses of other nodes"`
}

type adminConfig struct {
	Listen string `toml:"listen"`
}

type limitsConfig struct {
	MessagesPerSecond float64 `toml:"messages_per_second" comment:"per device, 0: the default of 20"`
	MessageBurst      int     `toml:"message_burst" comment:"0: the default of 200"`
	CommitsPerSecond  float64 `toml:"commits_per_second" comment:"per device, 0: the default of 1"`
	CommitBurst       int     `toml:"commit_burst" comment:"0: the default of 10"`
	ClaimsPerHour     int     `toml:"claims_per_hour" comment:"of one device for one user, 0: the default of 10"`
	LowWater          string  `toml:"low_water,omitempty" comment:"free disk below which writes stop, such as 2GiB"`
}

type logConfig struct {
	Level  string `toml:"level" comment:"debug, info, warn, error"`
	Format string `toml:"format" comment:"auto, text, json"`
}

// loadConfig reads and checks a file. An unknown key is an error with its line.
func loadConfig(path string) (*config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: write one with `parleyd config init --out %s`", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	c := &config{dir: filepath.Dir(path)}
	dec := toml.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %s", path, explainTOML(err))
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// explainTOML puts line, column and key of a decoding error into words.
func explainTOML(err error) string {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var lines []string
		for _, e := range strict.Errors {
			row, col := e.Position()
			lines = append(lines, fmt.Sprintf("line %d, column %d: unknown key %q", row, col, strings.Join(e.Key(), ".")))
		}
		return strings.Join(lines, "; ") + " (see `parleyd config init` for the keys there are)"
	}
	if dec, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, col := dec.Position()
		return fmt.Sprintf("line %d, column %d: %s", row, col, dec.Error())
	}
	return err.Error()
}

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
	for key, file := range map[string]string{
		"identity.certificate": c.Identity.Certificate, "identity.key": c.Identity.Key,
		"identity.ordering_certificate": c.Identity.OrderingCertificate,
		"identity.ordering_key":         c.Identity.OrderingKey, "identity.ca": c.Identity.CA,
	} {
		c.checkFile(fault, key, file)
	}
	seen := map[groups.SiteID]bool{c.Site: true}
	for i, p := range c.Peers {
		key := fmt.Sprintf("peer %d", i+1)
		if _, err := groups.ParseSiteID(string(p.Site)); err != nil {
			fault("%s: site: %w", key, err)
		}
		if seen[p.Site] {
			fault("%s: %s is this site or named twice", key, p.Site)
		}
		seen[p.Site] = true
		if len(p.Addresses) == 0 {
			fault("%s: addresses: name at least one, such as \"beta.example:9443\"", key)
		}
		c.checkFile(fault, key+": ca", p.CA)
	}
	return errors.Join(faults...)
}

func (c *config) checkAddresses(fault func(string, ...any)) {
	for key, addr := range map[string]string{
		"gateway.listen": c.Gateway.Listen, "federation.listen": c.Federation.Listen, "admin.listen": c.Admin.Listen,
	} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			fault("%s: %q is not an address: write host:port, such as \"127.0.0.1:8443\"", key, addr)
		}
	}
	if host, _, err := net.SplitHostPort(c.Admin.Listen); err == nil && !isLoopback(host) {
		fault("admin.listen: %q is not loopback; the admin port has no login", c.Admin.Listen)
	}
	if c.Gossip.KeyFile == "" && (c.Gossip.Listen != "" || len(c.Gossip.Join) > 0) {
		fault("gossip: key_file is missing: gossip without a key is refused")
	}
	if c.Gossip.KeyFile != "" {
		c.checkFile(fault, "gossip.key_file", c.Gossip.KeyFile)
		if _, _, err := net.SplitHostPort(c.Gossip.Listen); err != nil {
			fault("gossip.listen: %q is not an address", c.Gossip.Listen)
		}
	}
	if _, err := parseSize(c.Limits.LowWater); err != nil {
		fault("limits.low_water: %w", err)
	}
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

// path resolves a path of the file against the file's directory.
func (c *config) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

func (c *config) nodeID() groups.NodeID {
	id, err := groups.NewNodeID(c.Site, c.Node)
	if err != nil {
		panic("BUG: node name was not checked: " + err.Error())
	}
	return id
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
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
