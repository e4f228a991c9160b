package coi

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// hasPolicy says whether a certificate carries a policy (RFC 5280, Section
// 4.2.1.4).
func hasPolicy(cert *x509.Certificate, policy asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(cert.Policies, func(o x509.OID) bool { return o.EqualASN1OID(policy) })
}

// policies makes the list of policies of a template.
func policies(policy asn1.ObjectIdentifier) []x509.OID {
	oid, err := x509.ParseOID(policy.String())
	if err != nil {
		panic("BUG: policy " + policy.String() + " is no object identifier")
	}
	return []x509.OID{oid}
}
