package gateway

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	devicev1 "parley/api/device/v1"
)

// A frame is one TailResponse: pages that are encoded already, and the rest.
type frame struct {
	pages   [][]byte
	rest    *devicev1.TailResponse // without rooms
	size    int                    // of all, about
	entries int
}

func newFrame() *frame { return &frame{rest: new(devicev1.TailResponse)} }

// empty says whether there is nothing to send.
func (f *frame) empty() bool {
	return len(f.pages) == 0 && len(f.rest.Welcomes) == 0 && len(f.rest.Closed) == 0 &&
		len(f.rest.Signals) == 0 && !f.rest.CaughtUp
}

// add puts a page into the frame.
func (f *frame) add(p *page) {
	if p.entries == 0 {
		return
	}
	f.pages = append(f.pages, p.bytes)
	f.size += len(p.bytes)
	f.entries += p.entries
}

// appendProto appends the encoding: fields of one message may stand in any
// order, and encodings that follow each other are merged.
func (f *frame) appendProto(b []byte) ([]byte, error) {
	for _, p := range f.pages {
		b = append(b, p...)
	}
	return proto.MarshalOptions{}.MarshalAppend(b, f.rest)
}

func (f *frame) json() ([]byte, error) {
	b, err := f.appendProto(nil)
	if err != nil {
		return nil, err
	}
	m := new(devicev1.TailResponse)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, err
	}
	return protojson.Marshal(m)
}
