package service

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"parley/coi"
)

// maxURL bounds the URL in the file service.url, in bytes.
const maxURL = 2048

// Certificate reads the first certificate of a file of the directory.
func (d *Directory) Certificate(elem ...string) (*x509.Certificate, error) {
	path := d.Path(elem...)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	certs, err := coi.ParseCertificatesPEM(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return certs[0], nil
}

// ServiceURL returns where devices find the enrolment service, empty if it
// never ran from this directory.
func (d *Directory) ServiceURL() (string, error) {
	data, err := os.ReadFile(d.Path("service.url"))
	if os.IsNotExist(err) {
		return "", nil
	}
	if err == nil && len(data) > maxURL {
		err = fmt.Errorf("%d bytes are no URL", len(data))
	}
	if err != nil {
		return "", fmt.Errorf("read the service's URL: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// SetServiceURL notes where devices find the enrolment service.
func (d *Directory) SetServiceURL(url string) error {
	return replace(d.Path("service.url"), []byte(url+"\n"))
}

// WriteFile writes a file (0600), in place of one that may be there: who reads
// it sees the one or the other, never a part.
func WriteFile(path string, data []byte) error { return replace(path, data) }
