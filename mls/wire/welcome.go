package wire

// A PathSecret is the secret of one node of a committer's path (RFC 9420,
// Section 12.4.3.1).
//
//	struct {
//	  opaque path_secret<V>;
//	} PathSecret;
type PathSecret struct {
	PathSecret []byte
}

// Encode writes s.
func (s PathSecret) Encode(w *Writer) { w.Opaque(s.PathSecret) }

// Decode reads s.
func (s *PathSecret) Decode(r *Reader) { s.PathSecret = r.Opaque() }

// GroupSecrets are the secrets of a newcomer (RFC 9420, Section 12.4.3.1). A
// nil PathSecret is an absent one.
//
//	struct {
//	  opaque joiner_secret<V>;
//	  optional<PathSecret> path_secret;
//	  PreSharedKeyID psks<V>;
//	} GroupSecrets;
type GroupSecrets struct {
	JoinerSecret []byte
	PathSecret   *PathSecret
	PSKs         []PreSharedKeyID
}

// Encode writes s.
func (s GroupSecrets) Encode(w *Writer) {
	w.Opaque(s.JoinerSecret)
	w.Bool(s.PathSecret != nil)
	if s.PathSecret != nil {
		s.PathSecret.Encode(w)
	}
	encodeList(w, s.PSKs)
}

// Decode reads s.
func (s *GroupSecrets) Decode(r *Reader) {
	s.JoinerSecret = r.Opaque()
	s.PathSecret = nil
	if r.Bool() {
		s.PathSecret = decodeNew[PathSecret](r)
	}
	s.PSKs = decodeList[PreSharedKeyID](r)
}

// EncryptedGroupSecrets are the GroupSecrets of the newcomer whose key package
// has the reference NewMember (RFC 9420, Section 12.4.3.1).
//
//	struct {
//	  KeyPackageRef new_member;
//	  HPKECiphertext encrypted_group_secrets;
//	} EncryptedGroupSecrets;
type EncryptedGroupSecrets struct {
	NewMember             []byte
	EncryptedGroupSecrets HPKECiphertext
}

// Encode writes s.
func (s EncryptedGroupSecrets) Encode(w *Writer) {
	w.Opaque(s.NewMember)
	s.EncryptedGroupSecrets.Encode(w)
}

// Decode reads s.
func (s *EncryptedGroupSecrets) Decode(r *Reader) {
	s.NewMember = r.Opaque()
	s.EncryptedGroupSecrets.Decode(r)
}

// A Welcome brings newcomers into a group (RFC 9420, Section 12.4.3.1).
//
//	struct {
//	  CipherSuite cipher_suite;
//	  EncryptedGroupSecrets secrets<V>;
//	  opaque encrypted_group_info<V>;
//	} Welcome;
type Welcome struct {
	CipherSuite        CipherSuite
	Secrets            []EncryptedGroupSecrets
	EncryptedGroupInfo []byte
}

// Encode writes m.
func (m Welcome) Encode(w *Writer) {
	w.Uint16(uint16(m.CipherSuite))
	encodeList(w, m.Secrets)
	w.Opaque(m.EncryptedGroupInfo)
}

// Decode reads m.
func (m *Welcome) Decode(r *Reader) {
	m.CipherSuite = CipherSuite(r.Uint16())
	m.Secrets = decodeList[EncryptedGroupSecrets](r)
	m.EncryptedGroupInfo = r.Opaque()
}
