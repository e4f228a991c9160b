//go:build cgo

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"

	"parley/coi/hsm"
)

// describe tells what a private key is, nil if it has no label or is neither EC
// nor RSA. What keeps it from being used is its problem.
func (t *token) describe(private pkcs11.ObjectHandle) *found {
	k := &found{name: string(t.value(private, pkcs11.CKA_LABEL)), id: t.value(private, pkcs11.CKA_ID)}
	if k.name == "" {
		return nil
	}
	var err error
	switch number(t.value(private, pkcs11.CKA_KEY_TYPE)) {
	case pkcs11.CKK_EC:
		var key *ecdsa.PublicKey
		if key, err = t.ecPublic(private, k.id); err == nil {
			k.public, k.size = key, (key.Params().BitSize+7)/8
		}
	case pkcs11.CKK_RSA:
		k.public = &rsa.PublicKey{
			N: new(big.Int).SetBytes(t.value(private, pkcs11.CKA_MODULUS)),
			E: int(new(big.Int).SetBytes(t.value(private, pkcs11.CKA_PUBLIC_EXPONENT)).Int64()),
		}
	default:
		return nil
	}
	if err == nil {
		k.SPKI, err = x509.MarshalPKIXPublicKey(k.public)
	}
	k.Listed, k.spki, k.problem = hsm.Listed{Name: k.name, SPKI: k.SPKI}, sha256.Sum256(k.SPKI), err
	return k
}

// ecPublic finds the public half of an EC key under its id: a private key object
// has no point.
func (t *token) ecPublic(private pkcs11.ObjectHandle, id []byte) (*ecdsa.PublicKey, error) {
	curve, err := curveOf(t.value(private, pkcs11.CKA_EC_PARAMS))
	if err != nil {
		return nil, err
	}
	publics, err := t.objects(t.main, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC), pkcs11.NewAttribute(pkcs11.CKA_ID, id))
	if err != nil {
		return nil, err
	}
	if len(publics) != 1 {
		return nil, fmt.Errorf("%d EC public keys have the same id, want one", len(publics))
	}
	point := t.value(publics[0], pkcs11.CKA_EC_POINT)
	var inner []byte // DER OCTET STRING (PKCS #11, Section 6.3.3); some tokens leave it bare
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 {
		point = inner
	}
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

// curveOf reads CKA_EC_PARAMS: the named curve's object identifier.
func curveOf(params []byte) (elliptic.Curve, error) {
	var id asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(params, &id); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("the curve %x has no name", params)
	}
	switch {
	case id.Equal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}):
		return elliptic.P256(), nil
	case id.Equal(asn1.ObjectIdentifier{1, 3, 132, 0, 34}):
		return elliptic.P384(), nil
	}
	return nil, fmt.Errorf("the curve %v is neither P-256 nor P-384", id)
}

// number reads a CK_ULONG, in the order of this machine's bytes.
func number(b []byte) uint {
	for _, kind := range []uint{pkcs11.CKK_EC, pkcs11.CKK_RSA} {
		if string(b) == string(pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, kind).Value) {
			return kind
		}
	}
	return pkcs11.CKK_VENDOR_DEFINED
}
