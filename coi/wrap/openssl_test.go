package wrap

import (
	"bytes"
	"crypto/aes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An openssl is the program, and a folder of keys and certificates it works on.
type openssl struct {
	t    *testing.T
	path string
	dir  string
}

// newOpenSSL finds the program. The build server installs it, so a test that
// does not run there is a failure; elsewhere it says so.
func newOpenSSL(t *testing.T) *openssl {
	t.Helper()
	path, err := exec.LookPath("openssl")
	version := []byte{}
	if err == nil {
		version, err = exec.Command(path, "version").Output()
	}
	if err != nil || !bytes.HasPrefix(version, []byte("OpenSSL ")) || version[len("OpenSSL ")] < '3' {
		if os.Getenv("CI") == "true" {
			t.Fatalf("openssl 3 is not installed (%q, %v): .ci/run installs it", version, err)
		}
		t.Skipf("NOT TESTED against openssl: version 3 is not installed (%q, %v)", version, err)
	}
	return &openssl{t: t, path: path, dir: t.TempDir()}
}

// file writes a file for the program.
func (o *openssl) file(name string, content []byte) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// keep writes a community's certificate and key for the program.
func (o *openssl) keep(name string, c *community) (cert, key string) {
	o.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		o.t.Fatal(err)
	}
	cert = o.file(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate.Raw}))
	return cert, o.file(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// decrypt lets openssl open a message for a certificate. What it prints before
// it has seen the tag does not count.
func (o *openssl) decrypt(message []byte, cert, key string) ([]byte, bool) {
	o.t.Helper()
	cmd := exec.Command(o.path, "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", cert, "-inkey", key)
	cmd.Stdin = bytes.NewReader(message)
	out, err := cmd.Output()
	return out, err == nil
}

// encrypt lets openssl seal a message.
func (o *openssl) encrypt(secret []byte, args ...string) []byte {
	o.t.Helper()
	cmd := exec.Command(o.path, append([]string{"cms", "-encrypt", "-binary", "-outform", "DER"}, args...)...)
	cmd.Stdin = bytes.NewReader(secret)
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("openssl %s: %v", strings.Join(cmd.Args, " "), err)
	}
	return out
}

// opened is the content that openssl has decrypted, as a secret.
func opened(t *testing.T, plain []byte) []byte {
	t.Helper()
	c, ok := readContent(plain)
	if !ok || c.binding != binding() {
		t.Fatalf("openssl opens to %x, which is no content", plain)
	}
	return c.secret
}

// TestJ3_OpenSSLOpensWhatWeSeal: "break-glass needs none of our code".
func TestJ3_OpenSSLOpensWhatWeSeal(t *testing.T) {
	o := newOpenSSL(t)
	for name, kinds := range map[string][]string{
		"RSA": {"rsa"}, "P-256": {"p256"}, "P-384": {"p384"}, "RSA and P-256": {"rsa", "p256"},
		"5": {"p256", "p384", "rsa", "p256", "p384"}, "20": append(repeated("p256", 19), "rsa"),
	} {
		all, to := communities(t, kinds...)
		envelope := seal(t, to, SealOptions{Mode: Any})
		for i, c := range all {
			if i > 0 && i < len(all)-2 {
				continue // of 20, the first and the last two
			}
			cert, key := o.keep("a", c)
			if got, ok := o.decrypt(envelope, cert, key); !ok || !bytes.Equal(opened(t, got), roomKey) {
				t.Errorf("%s: openssl opens to %x, %v for %s", name, got, ok, c.Name)
			}
		}
		t.Logf("%s: %d bytes", name, len(envelope))
	}
}

// TestOpenSSLOpensEachPart: a share comes out of openssl as it comes out of
// Open, and a post-quantum message gives the HPKE seal inside.
func TestOpenSSLOpensEachPart(t *testing.T) {
	o := newOpenSSL(t)
	all, to := communities(t, "p256", "rsa", "p384")
	for name, opts := range ways() {
		envelope := seal(t, to, opts)
		t.Logf("%s: %d bytes", name, len(envelope))
		parts, err := Parts(envelope)
		if err != nil {
			t.Fatal(err)
		}
		var shares [][]byte
		for i, c := range all {
			cert, key := o.keep("a", c)
			got, ok := o.decrypt(parts[i%len(parts)].Message, cert, key)
			if ok && opts.PostQuantum {
				got, err = openInner(got, c.pq)
				ok = err == nil
			}
			if !ok {
				t.Fatalf("%s: openssl does not open the part of %s", name, c.Name)
			}
			shares = append(shares, opened(t, got))
		}
		got := shares[0]
		if opts.Mode == All {
			got, err = Combine(shares...)
		}
		if err != nil || !bytes.Equal(got, roomKey) {
			t.Errorf("%s: by openssl %x, %v", name, got, err)
		}
	}
}

// TestOpenSSLRefusesWhatWasChanged: each byte of tag, nonce, ciphertext (which
// holds the binding) and of all of the recipient that is not fixed.
func TestOpenSSLRefusesWhatWasChanged(t *testing.T) {
	o := newOpenSSL(t)
	all, to := communities(t, "p256")
	cert, key := o.keep("a", all[0])
	envelope := seal(t, to, SealOptions{Mode: Any})
	m, ok := readMessage(envelope)
	if !ok {
		t.Fatal("what was sealed is not read")
	}
	r := m.recipients[0]
	for name, field := range map[string][]byte{
		"tag": m.mac, "nonce": m.nonce, "ciphertext": m.ciphertext, "key identifier": r.keyID,
		"wrapped key": r.key, "ephemeral key": r.agree.point, "user keying material": r.agree.ukm,
	} {
		start := bytes.Index(envelope, field)
		if start < 0 {
			t.Fatalf("%s: not in the envelope", name)
		}
		for i := range field {
			changed := bytes.Clone(envelope)
			changed[start+i] ^= 1
			// A process for each byte takes seconds: of the ciphertext openssl is shown
			// one of each block of the cipher, and the last. We are shown all.
			byOpenSSL := name != "ciphertext" || i%aes.BlockSize == 7 || i == len(field)-1
			if byOpenSSL {
				if got, ok := o.decrypt(changed, cert, key); ok {
					t.Errorf("%s: byte %d changed: openssl opens to %q", name, i, got)
				}
			}
			if _, err := Open(changed, all[0].open(), binding()); err != ErrOpen {
				t.Errorf("%s: byte %d changed: %v, want ErrOpen", name, i, err)
			}
		}
	}
}

// TestJ3W4W5W6A19_WeOpenWhatOpenSSLSealsWithinTheProfile within the profile, and nothing outside of it:
// "refuse v1.5, DES/3DES/CBC, SHA-1 KDF", "downgrade to CBC/v1.5/sha1kdf".
func TestJ3W4W5W6A19_WeOpenWhatOpenSSLSealsWithinTheProfile(t *testing.T) {
	o := newOpenSSL(t)
	keys, certs := map[string]Key{}, map[string]string{}
	for _, kind := range []string{"rsa", "p256", "p384"} {
		c := newCommunity(t, kind)
		keys[kind] = c.open()
		certs[kind], _ = o.keep(kind, c)
	}
	ec256 := []string{"-recip", certs["p256"], "-keyopt", "ecdh_kdf_md:sha256"}
	ec384 := []string{"-recip", certs["p384"], "-keyopt", "ecdh_kdf_md:sha384"}
	oaep := []string{"-recip", certs["rsa"], "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"}
	gcm := []string{"-aes-256-gcm", "-keyid"}
	for _, v := range []struct {
		name, key  string
		recipients int // 0: not within the profile
		args       []string
	}{
		{"P-256", "p256", 1, slices.Concat(gcm, ec256)},
		{"P-384", "p384", 1, slices.Concat(gcm, ec384)},
		{"RSA", "rsa", 1, slices.Concat(gcm, oaep)},
		{"all of them", "rsa", 3, slices.Concat(gcm, ec256, ec384, oaep)},
		{"SHA-1 in the key derivation, which is openssl's default", "p256", 0, slices.Concat(gcm, ec256[:2])},
		{"AES-128 key wrap", "p256", 0, slices.Concat(gcm, []string{"-aes128-wrap"}, ec256)},
		{"issuer and serial number", "p256", 0, slices.Concat(gcm[:1], ec256)},
		{"cofactor agreement", "p256", 0, slices.Concat(gcm, ec256, []string{"-keyopt", "ecdh_cofactor_mode:1"})},
		{"PKCS #1 v1.5, which is openssl's default", "rsa", 0, slices.Concat(gcm, oaep[:2])},
		{"OAEP with SHA-1", "rsa", 0, slices.Concat(gcm, oaep[:4])},
		{"OAEP with SHA-1 in MGF1", "rsa", 0, slices.Concat(gcm, oaep, []string{"-keyopt", "rsa_mgf1_md:sha1"})},
		{"OAEP with a label", "rsa", 0, slices.Concat(gcm, oaep, []string{"-keyopt", "rsa_oaep_label:6162"})},
		{"RSA by issuer and serial number", "rsa", 0, slices.Concat(gcm[:1], oaep)},
		{"AES-256-CBC", "p256", 0, slices.Concat([]string{"-aes-256-cbc", "-keyid"}, ec256)},
		{"3DES", "p256", 0, slices.Concat([]string{"-des3", "-keyid"}, ec256)},
		{"AES-128-GCM", "p256", 0, slices.Concat([]string{"-aes-128-gcm", "-keyid"}, ec256)},
		{"indefinite length", "p256", 0, slices.Concat([]string{"-stream"}, gcm, ec256)},
		{"PEM", "p256", 0, slices.Concat([]string{"-outform", "PEM"}, gcm, ec256)},
		{"a legacy recipient beside ours", "p256", 0, slices.Concat(gcm, ec256, oaep[:2])},
	} {
		c := content{secret: roomKey, binding: binding(), place: place{mode: Any, of: max(1, v.recipients)}}
		file := o.encrypt(c.write(), v.args...)
		got, err := Open(file, keys[v.key], binding())
		if v.recipients > 0 && (err != nil || !bytes.Equal(got, roomKey)) {
			t.Errorf("%s: opens to %x, %v", v.name, got, err)
		}
		if v.recipients == 0 && err != ErrOpen {
			t.Errorf("%s: opens to %x, %v, want ErrOpen", v.name, got, err)
		}
		if _, err := Parts(file); (err == nil) != (v.recipients > 0) {
			t.Errorf("%s: parts: %v", v.name, err)
		}
	}
	bare := o.encrypt(roomKey, slices.Concat(gcm, ec256)...)
	if _, err := Open(bare, keys["p256"], binding()); err != ErrOpen {
		t.Errorf("what is bound to nothing: %v, want ErrOpen", err)
	}
}
