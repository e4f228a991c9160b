package groups

import (
	"encoding/json"

	"parley/mls/wire"
)

// A LogLine is one entry of a room's log as it is exported: a line of JSON, its
// bytes in base64. parley room export writes such lines, parley-pki case reads
// them, and so may anybody else: each entry is what gateways store, ciphertext.
//
//	{"seq":1,"header":"...","body":"..."}
type LogLine struct {
	Seq    Seq    `json:"seq"`    // as in the header, for people
	Header []byte `json:"header"` // EntryHeader
	Body   []byte `json:"body"`
}

// NewLogLine returns an entry as it is exported.
func NewLogLine(e *Entry) LogLine {
	w := wire.NewWriter(nil)
	e.EntryHeader.Encode(w)
	return LogLine{e.Seq, w.Bytes(), e.Body}
}

// ParseLogLine reads one line. Whether the entry belongs where it stands is the
// ledger's to say: its header names what is before it and its body.
func ParseLogLine(b []byte) (*Entry, error) {
	var l LogLine
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, Errorf(Invalid, "line of a log: %w", err)
	}
	if len(l.Body) > MaxBody {
		return nil, Errorf(TooLarge, "entry %d: a body of %d bytes: at most %d", l.Seq, len(l.Body), MaxBody)
	}
	e := &Entry{Body: l.Body}
	r := wire.NewReader(l.Header)
	e.EntryHeader.Decode(r)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "entry %d: %w", l.Seq, err)
	}
	if e.Seq != l.Seq {
		return nil, Errorf(Invalid, "a line of entry %d holds entry %d", l.Seq, e.Seq)
	}
	return e, nil
}
