package main

import (
	"bytes"
	"errors"
	"fmt"
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
	Ballast           string  `toml:"ballast,omitempty" comment:"disk set aside so that a full one can be tidied up, such as 256MiB; 0: none"`
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
		said := strings.TrimPrefix(dec.Error(), "toml: ")
		if _, what, wrongType := strings.Cut(said, "cannot decode TOML "); wrongType {
			what, _, _ = strings.Cut(what, " into ")
			said = fmt.Sprintf("%s can not be of type %s", strings.Join(dec.Key(), "."), what)
		}
		return fmt.Sprintf("line %d, column %d: %s", row, col, said)
	}
	return err.Error()
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
