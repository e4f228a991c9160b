package wire

// A KDFLabel is the info of ExpandWithLabel (RFC 9420, Section 8). Label
// includes the prefix "MLS 1.0 ".
//
//	struct {
//	    uint16 length;
//	    opaque label<V>;
//	    opaque context<V>;
//	} KDFLabel;
type KDFLabel struct {
	Length  uint16
	Label   string
	Context []byte
}

// Encode writes l.
func (l KDFLabel) Encode(w *Writer) {
	w.Uint16(l.Length)
	w.String(l.Label)
	w.Opaque(l.Context)
}

// SignContent is what SignWithLabel signs (RFC 9420, Section 5.1.2). Label
// includes the prefix "MLS 1.0 ".
//
//	struct {
//	    opaque label<V>;
//	    opaque content<V>;
//	} SignContent;
type SignContent struct {
	Label   string
	Content []byte
}

// Encode writes c.
func (c SignContent) Encode(w *Writer) {
	w.String(c.Label)
	w.Opaque(c.Content)
}

// EncryptContext is the info of EncryptWithLabel (RFC 9420, Section 5.1.3).
// Label includes the prefix "MLS 1.0 ".
//
//	struct {
//	  opaque label<V>;
//	  opaque context<V>;
//	} EncryptContext;
type EncryptContext struct {
	Label   string
	Context []byte
}

// Encode writes c.
func (c EncryptContext) Encode(w *Writer) {
	w.String(c.Label)
	w.Opaque(c.Context)
}

// RefHashInput is what a hash reference covers (RFC 9420, Section 5.2).
//
//	struct {
//	  opaque label<V>;
//	  opaque value<V>;
//	} RefHashInput;
type RefHashInput struct {
	Label string
	Value []byte
}

// Encode writes i.
func (i RefHashInput) Encode(w *Writer) {
	w.String(i.Label)
	w.Opaque(i.Value)
}
