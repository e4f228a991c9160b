package coi

import (
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// uriTag is uniformResourceIdentifier [6] IA5String (RFC 5280, Section 4.2.1.6).
const uriTag = cbasn1.Tag(6) | 0x80

// leafName returns the one URI of a certificate as the name it is. The URI is
// read from the extension's bytes: x509 keeps only a parsed URL, which writes
// several spellings the same.
func leafName(cert *x509.Certificate) (Name, error) {
	uris, err := uriNames(cert)
	if err != nil {
		return Name{}, err
	}
	if len(uris) != 1 {
		return Name{}, refuse(BadName, "the certificate carries %d URIs, it must carry exactly one", len(uris))
	}
	return ParseName(uris[0])
}

// uriNames lists the URIs of a certificate's subjectAltName, as they stand.
func uriNames(cert *x509.Certificate) ([]string, error) {
	var uris []string
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		more, err := parseAltNames(ext.Value)
		if err != nil {
			return nil, err
		}
		uris = append(uris, more...)
	}
	return uris, nil
}

// parseAltNames lists the URIs in GeneralNames (RFC 5280, Section 4.2.1.6).
func parseAltNames(der []byte) ([]string, error) {
	var uris []string
	in := cryptobyte.String(der)
	var names cryptobyte.String
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, refuse(Malformed, "subjectAltName is not a list of names")
	}
	for !names.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&value, &tag) {
			return nil, refuse(Malformed, "subjectAltName is cut short")
		}
		if tag == uriTag {
			uris = append(uris, string(value))
		}
	}
	return uris, nil
}
