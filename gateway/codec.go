package gateway

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// protoCodec is Connect's protobuf codec, which also takes frames that are
// encoded already.
type protoCodec struct{}

// Name returns the codec's name in content types.
func (protoCodec) Name() string { return "proto" }

// Marshal encodes a message or a frame.
func (c protoCodec) Marshal(v any) ([]byte, error) { return c.MarshalAppend(nil, v) }

// MarshalAppend appends the encoding of a message or a frame.
func (protoCodec) MarshalAppend(b []byte, v any) ([]byte, error) {
	switch m := v.(type) {
	case *frame:
		return m.appendProto(b)
	case proto.Message:
		return proto.MarshalOptions{}.MarshalAppend(b, m)
	}
	return nil, fmt.Errorf("encode %T: not a message", v)
}

// Unmarshal decodes a message.
func (protoCodec) Unmarshal(b []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("decode %T: not a message", v)
	}
	rest := b
	for parts := 0; len(rest) > 0; parts++ {
		_, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			break // Unmarshal says what is wrong
		}
		if parts == maxParts {
			return errCrowded
		}
		rest = rest[n:]
	}
	return proto.Unmarshal(b, m)
}

// maxParts bounds what stands in one request beside each other. An empty part is two
// bytes long and costs a hundred to read, so they are counted first (I9).
const maxParts = 1 << 16

var errCrowded = fmt.Errorf("more than %d things in one message", maxParts)

// jsonCodec is the same for JSON; unknown fields are passed over, so that a
// newer client may talk to an older node.
type jsonCodec struct{ name string }

// Name returns the codec's name in content types.
func (c jsonCodec) Name() string { return c.name }

// Marshal encodes a message or a frame.
func (jsonCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *frame:
		return m.json()
	case proto.Message:
		return protojson.Marshal(m)
	}
	return nil, fmt.Errorf("encode %T: not a message", v)
}

// Unmarshal decodes a message; no bytes are an empty one.
func (jsonCodec) Unmarshal(b []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("decode %T: not a message", v)
	}
	if len(b) == 0 {
		return fmt.Errorf("decode %T: zero-length payload is not a valid JSON object", v)
	}
	if bytes.Count(b, []byte("{")) > maxParts || bytes.Count(b, []byte(",")) > maxParts {
		return errCrowded
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, m)
}
