package service

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"parley/coi"
	"parley/coi/hsm"
)

// UnwrapSettings is config.toml of an unwrap realm.
type UnwrapSettings struct {
	// Name is the local name of this instance: unwrap, unwrap2. Empty: unwrap.
	Name string `toml:"name"`
	// Status says where the OCSP responder of a site's devices is, by site: its URL,
	// StatusBundle, or StatusNone. A site that is not named has no devices that are
	// let in.
	Status map[string]string `toml:"status"`
	// KeepStatus is how long an answer "good" is used again, such as "30s"; empty
	// asks each time.
	KeepStatus string `toml:"keep_status"`
	// Quota bounds how fast keys go out.
	Quota struct {
		Device Quota `toml:"device"`
		User   Quota `toml:"user"`
		CoI    Quota `toml:"coi"`
	} `toml:"quota"`
	// Token is the socket of a parley-hsm whose keys are used beside those in
	// files; empty uses none.
	Token string `toml:"token"`
	// Cases says who approves cases; nobody, if it is left out.
	Cases CaseSettings `toml:"cases"`
}

// The folders and files of an unwrap realm, beside those that every realm has.
const (
	keysFolder       = "keys"
	logFolder        = "log"
	entitlementsFile = "entitlements.json"
)

// InitUnwrap makes the directory of an unwrap service, with its log.
func InitUnwrap(path string, p RealmPlan) (*Realm, error) {
	p.Role, p.Folder = RoleUnwrap, append(p.Folder, keysFolder)
	if p.Config == nil {
		status, err := p.deviceStatus()
		if err != nil {
			return nil, err
		}
		p.Config = fmt.Appendf(nil, unwrapConfig, p.Site, p.Site, status)
	}
	r, err := InitRealm(path, p)
	if err != nil {
		return nil, err
	}
	_, err = InitAudit(r.Path(logFolder), LogName(p.Site+"/unwrap/"+filepath.Base(abs(path))))
	return r, err
}

// deviceStatus returns what config.toml begins with for the own site's devices:
// what the administrator says, or the responder that the trust bundle names; that
// of the trust bundle to come, where it names none yet.
func (p *RealmPlan) deviceStatus() (string, error) {
	if p.Status != "" {
		return p.Status, CheckResponder(p.Status)
	}
	if p.Bundle != nil {
		s, err := trustOf(p.Bundle, p.Site)
		if err != nil {
			return "", fmt.Errorf("trust bundle of %s: %w", p.Site, err)
		}
		if url := ResponderOf(&s); url != "" {
			return url, nil
		}
	}
	return StatusBundle, nil
}

// unwrapConfig is what config.toml begins as.
const unwrapConfig = `# The unwrap service of %s. Every setting is optional but status.

# name = "unwrap"          # several instances: unwrap, unwrap2, each with its own directory

# Where to ask, at each request, whether a device's certificate is in force, by site:
#   "https://..."  the OCSP responder that answers for the site's device CA: a device
#                  that it does not call good gets no key
#   "bundle"       the one that the site's trust bundle in sites/ names, as it is then;
#                  while that names none, the same as "none", and the log warns
#   "none"         NOBODY IS ASKED: a revoked device gets keys until parley-pki
#                  entitle deny names it. Say so only if that is meant.
# The devices of a site that is not named here get no key.
[status]
"%s" = %q

# keep_status = "30s"      # use a good answer again for so long; it is asked each time otherwise

# token = "hsm.sock"       # keys that parley-hsm keeps in a PKCS #11 token

# How many keys may be had at once, and how many more each second.
# [quota.device]
# burst = 5000
# per_second = 20

# Who approves cases: forensics, subpoena, loss prevention. Only rooms whose own
# policy names the same people and keys are opened.
# [cases]
# threshold = 2
# approver = [{ name = "legal", key = "legal.pem" }, { name = "board", key = "board.pem" }]
`

// Audit returns the directory of the realm's log.
func (r *Realm) Audit() string { return r.Path(logFolder) }

// Entitlements returns who may use which CoI.
func (r *Realm) Entitlements() (*Entitlements, error) {
	return OpenEntitlements(r.Path(entitlementsFile))
}

// Settings reads config.toml of an unwrap realm.
func (r *Realm) Settings() (*UnwrapSettings, error) {
	s := &UnwrapSettings{Name: string(RoleUnwrap)}
	if err := r.ReadConfig(s); err != nil {
		return nil, err
	}
	return s, coi.CheckLabel(s.Name)
}

// ServiceURI returns the name by which requests mean this instance.
func (r *Realm) ServiceURI(s *UnwrapSettings) string {
	return coi.Name{Purpose: coi.Service, Site: r.Site(), Local: s.Name}.URI()
}

// UnwrapConfig puts together what an unwrap service runs on. The log and the
// connections to a token are open then, and stop closes them, after the service.
func (r *Realm) UnwrapConfig(s *UnwrapSettings) (c UnwrapConfig, stop func() error, err error) {
	keys := &keyFiles{realm: r}
	if s.Token != "" {
		if keys.token, err = hsm.Dial(r.Resolve(s.Token)); err != nil {
			return c, nil, fmt.Errorf("token: %w", err)
		}
	}
	if c, err = r.unwrapConfig(s, keys); err != nil {
		keys.close()
		return c, nil, err
	}
	return c, func() error { keys.close(); return c.Log.Close() }, nil
}

// unwrapConfig is UnwrapConfig once the token is reached.
func (r *Realm) unwrapConfig(s *UnwrapSettings, keys *keyFiles) (UnwrapConfig, error) {
	c := UnwrapConfig{
		Service: r.ServiceURI(s), Trust: r.Trust, Keys: keys.ring, Certificate: r.Certificate,
		State:  NewUnwrapState(time.Now()),
		Quotas: Quotas{Device: s.Quota.Device, User: s.Quota.User, CoI: s.Quota.CoI},
	}
	var err error
	if c.Status, err = r.statusClient(s); err != nil {
		return c, err
	}
	if c.Cases, err = r.caseAuthority(&s.Cases); err != nil {
		return c, err
	}
	if c.Entitlements, err = r.Entitlements(); err != nil {
		return c, err
	}
	c.Log, err = OpenAudit(r.Audit(), c.State.Recall)
	return c, err
}

// statusClient asks each site's responder over connections that its own CA
// vouches for.
func (r *Realm) statusClient(s *UnwrapSettings) (*StatusClient, error) {
	for site, url := range s.Status {
		if err := CheckResponder(url); err != nil {
			return nil, fmt.Errorf("status of %s: %w", site, err)
		}
	}
	c := &StatusClient{URL: s.Status, Told: r.told}
	if s.KeepStatus != "" {
		var err error
		if c.Keep, err = time.ParseDuration(s.KeepStatus); err != nil || c.Keep < 0 {
			return nil, fmt.Errorf("keep_status = %q: write a time such as \"30s\"", s.KeepStatus)
		}
	}
	trust, err := r.Trust()
	if err != nil {
		return nil, err
	}
	clients := map[string]*http.Client{}
	for _, site := range trust.Sites() {
		clients[site.Name] = PeerClient(trust, site.Name, time.Now)
	}
	c.Client = func(site string) *http.Client { return clients[site] }
	return c, nil
}

// told returns the responder that a site's trust bundle names, as it is now.
func (r *Realm) told(site string) (string, error) {
	sites, err := r.Sites()
	if err != nil {
		return "", err
	}
	for i := range sites {
		if sites[i].Name == site {
			return ResponderOf(&sites[i]), nil
		}
	}
	return "", fmt.Errorf("the trust bundle of %s is not there", site)
}

// keyFiles reads a realm's keys again when the folder has changed.
type keyFiles struct {
	realm *Realm
	token *hsm.Client // nil for none

	mu    sync.Mutex // guards the rest
	stamp time.Time
	last  *KeyRing
}

// ring returns the keys as they are now.
func (k *keyFiles) ring() (*KeyRing, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	stamp, err := folderStamp(k.realm.Path(keysFolder))
	if err != nil {
		return nil, err
	}
	if k.last != nil && stamp.Equal(k.stamp) {
		return k.last, nil
	}
	files, err := k.realm.CoIKeys()
	if err != nil {
		return nil, err
	}
	var held []HeldKey
	for _, f := range files {
		h, err := NewHeldKey(f.Name, f.Private.Public(), f.Private)
		if err != nil {
			return nil, err
		}
		h.PQ, h.From = f.PostQuantum, f.File
		for _, c := range f.Certificates {
			if c.NotBefore.After(h.Since) {
				h.Since = c.NotBefore
			}
		}
		held = append(held, h)
	}
	tokens, err := k.tokenKeys()
	if err != nil {
		return nil, err
	}
	k.last, k.stamp = NewKeyRing(append(held, tokens...)...), stamp
	return k.last, nil
}

// tokenKeys are the keys of the token. They come after those in files: a CoI
// that has both is moving into the token.
func (k *keyFiles) tokenKeys() ([]HeldKey, error) {
	if k.token == nil {
		return nil, nil
	}
	var held []HeldKey
	for _, key := range k.token.Keys() {
		name := key.Name
		if coi.CheckLabel(name) == nil {
			name = coi.Name{Purpose: coi.CoI, Site: k.realm.Site(), Local: name}.URI()
		}
		h, err := NewHeldKey(name, key.Public, key.Private)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		h.From = "token"
		held = append(held, h)
	}
	return held, nil
}

func (k *keyFiles) close() {
	if k.token != nil {
		k.token.Close()
	}
}
