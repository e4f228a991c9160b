package wrap

import (
	"bytes"
	"crypto"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readMessage decodes one message of the profile. What it accepts it writes
// again to the same bytes: that rules out all other encodings at once.
func readMessage(der []byte) (*message, bool) {
	if len(der) > MaxEnvelope {
		return nil, false
	}
	m := &message{}
	in := cryptobyte.String(der)
	var info, content, data cryptobyte.String
	ok := in.ReadASN1(&info, cbasn1.SEQUENCE) && in.Empty() &&
		readOID(&info, oidAuthEnvelopedData) &&
		info.ReadASN1(&content, tag0c) && info.Empty() &&
		content.ReadASN1(&data, cbasn1.SEQUENCE) && content.Empty() &&
		m.readData(data)
	if !ok {
		return nil, false
	}
	again, err := m.write()
	return m, err == nil && bytes.Equal(again, der)
}

func (m *message) readData(in cryptobyte.String) bool {
	var infos, mac cryptobyte.String
	ok := readVersion(&in, 0) &&
		in.ReadASN1(&infos, cbasn1.SET) && m.readRecipients(infos) &&
		m.readEncrypted(&in) &&
		in.ReadASN1(&mac, cbasn1.OCTET_STRING) && in.Empty() &&
		len(mac) == macSize
	m.mac = mac
	return ok
}

// readEncrypted decodes EncryptedContentInfo (RFC 5652, Section 6.1) with the
// parameters of AES-GCM (RFC 5084, Section 3.2).
func (m *message) readEncrypted(in *cryptobyte.String) bool {
	var info, alg, params, nonce, ciphertext cryptobyte.String
	var size int
	ok := in.ReadASN1(&info, cbasn1.SEQUENCE) && readOID(&info, oidData) &&
		info.ReadASN1(&alg, cbasn1.SEQUENCE) && readOID(&alg, oidAES256GCM) &&
		alg.ReadASN1(&params, cbasn1.SEQUENCE) && alg.Empty() &&
		params.ReadASN1(&nonce, cbasn1.OCTET_STRING) &&
		params.ReadASN1Integer(&size) && params.Empty() &&
		info.ReadASN1(&ciphertext, tag0) && info.Empty() &&
		len(nonce) == nonceSize && size == macSize && len(ciphertext) > 0
	m.nonce, m.ciphertext = nonce, ciphertext
	return ok
}

func (m *message) readRecipients(in cryptobyte.String) bool {
	for !in.Empty() {
		if len(m.recipients) == MaxRecipients {
			return false
		}
		r := recipient{}
		var info cryptobyte.String
		switch {
		case in.PeekASN1Tag(cbasn1.SEQUENCE):
			if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !r.readTransport(info) {
				return false
			}
		default:
			if !in.ReadASN1(&info, tag1c) || !r.readAgree(info) {
				return false
			}
		}
		m.recipients = append(m.recipients, r)
	}
	return len(m.recipients) > 0
}

// readTransport decodes KeyTransRecipientInfo (RFC 5652, Section 6.2.1).
func (r *recipient) readTransport(in cryptobyte.String) bool {
	var keyID, key cryptobyte.String
	ok := readVersion(&in, 2) &&
		in.ReadASN1(&keyID, tag0) &&
		readExactly(&in, algOAEP) &&
		in.ReadASN1(&key, cbasn1.OCTET_STRING) && in.Empty() &&
		len(key) <= MaxRSABits/8
	r.keyID, r.key = keyID, key
	return ok && len(keyID) > 0 && len(keyID) <= maxKeyID
}

// readAgree decodes KeyAgreeRecipientInfo (RFC 5652, Section 6.2.2) with one
// RecipientEncryptedKey.
func (r *recipient) readAgree(in cryptobyte.String) bool {
	a := &agreement{hash: crypto.SHA256}
	var originator, public, ukm, keys, key, rid, keyID, wrapped cryptobyte.String
	var hasUKM bool
	ok := readVersion(&in, 3) &&
		in.ReadASN1(&originator, tag0c) &&
		originator.ReadASN1(&public, tag1c) && originator.Empty() &&
		readExactly(&public, algECPublicKey) &&
		public.ReadASN1BitStringAsBytes(&a.point) && public.Empty() &&
		in.ReadOptionalASN1(&ukm, &hasUKM, tag1c)
	if hasUKM {
		var material cryptobyte.String
		ok = ok && ukm.ReadASN1(&material, cbasn1.OCTET_STRING) && ukm.Empty() && len(material) == ukmSize
		a.ukm = material
	}
	if ok && !readExactly(&in, algStdDHSHA256) {
		a.hash = crypto.SHA384
		ok = readExactly(&in, algStdDHSHA384)
	}
	ok = ok && in.ReadASN1(&keys, cbasn1.SEQUENCE) && in.Empty() &&
		keys.ReadASN1(&key, cbasn1.SEQUENCE) && keys.Empty() &&
		key.ReadASN1(&rid, tag0c) &&
		rid.ReadASN1(&keyID, cbasn1.OCTET_STRING) && rid.Empty() &&
		key.ReadASN1(&wrapped, cbasn1.OCTET_STRING) && key.Empty()
	r.keyID, r.key, r.agree = keyID, wrapped, a
	return ok && len(keyID) > 0 && len(keyID) <= maxKeyID && len(wrapped) == wrappedSize
}

// readVersion reads the version that a structure must have.
func readVersion(in *cryptobyte.String, want int) bool {
	var version int
	return in.ReadASN1Integer(&version) && version == want
}

// readOID reads the object identifier that must stand there.
func readOID(in *cryptobyte.String, want []int) bool {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(want)
	return readExactly(in, b.BytesOrPanic())
}

// readExactly reads the very bytes that must stand there; it reads nothing
// where others do.
func readExactly(in *cryptobyte.String, want []byte) bool {
	return bytes.HasPrefix(*in, want) && in.Skip(len(want))
}
