package wire

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"parley/mls/internal/vectors"
)

// subjects are all decoders of foreign bytes; a fuzz input's first octet
// selects one.
var subjects = []struct {
	name   string
	decode func([]byte) (any, []byte, error)
}{
	{"MLSMessage", subject[MLSMessage]},
	{"PublicMessage", subject[PublicMessage]},
	{"PrivateMessage", subject[PrivateMessage]},
	{"Welcome", subject[Welcome]},
	{"GroupInfo", subject[GroupInfo]},
	{"KeyPackage", subject[KeyPackage]},
	{"RatchetTree", subject[RatchetTree]},
	{"GroupSecrets", subject[GroupSecrets]},
	{"Proposal", subject[Proposal]},
	{"Commit", subject[Commit]},
	{"GroupContext", subject[GroupContext]},
	{"AuthenticatedContent", subject[AuthenticatedContent]},
	{"SenderData", subject[SenderData]},
	{"LeafNode", subject[LeafNode]},
	{"ParentNode", subject[ParentNode]},
	{"UpdatePath", subject[UpdatePath]},
	{"Extensions", subject[Extensions]},
	{"RequiredCapabilities", subject[RequiredCapabilities]},
	{"ExternalSenders", subject[ExternalSenders]},
	{"ExternalPub", subject[ExternalPub]},
	{"ParsePrivateMessage", func(b []byte) (any, []byte, error) {
		m, err := ParsePrivateMessage(b)
		if err != nil {
			return nil, nil, err
		}
		return m, Marshal(MLSMessage{WireFormat: WireFormatPrivateMessage, PrivateMessage: &m}), nil
	}},
	{"PrivateMessageContent application", content(ContentTypeApplication)},
	{"PrivateMessageContent proposal", content(ContentTypeProposal)},
	{"PrivateMessageContent commit", content(ContentTypeCommit)},
}

// subject decodes a T and encodes it again.
func subject[T Encoder, P decoderOf[T]](b []byte) (any, []byte, error) {
	v, err := Unmarshal[T, P](b)
	if err != nil {
		return nil, nil, err
	}
	return v, Marshal(v), nil
}

// content decodes the plaintext of a PrivateMessage of type t.
func content(t ContentType) func([]byte) (any, []byte, error) {
	return func(b []byte) (any, []byte, error) {
		v, err := ParsePrivateMessageContent(b, t)
		if err != nil {
			return nil, nil, err
		}
		return v, Marshal(v), nil
	}
}

// FuzzDecoders feeds any bytes to any decoder: it must not panic, must not
// allocate more than MaxGrowth bytes per byte of input (plus a page), and what
// it accepts must encode to the bytes it came from and decode to itself.
func FuzzDecoders(f *testing.F) {
	for i := range subjects {
		f.Add(byte(i), []byte{0})
		f.Add(byte(i), []byte{0, 1, 0, 1, 0x80, 0xff, 0xff, 0xff})
		f.Add(byte(i), append([]byte{0x43, 0xe8}, make([]byte, 1000)...))
	}
	for i, m := range seeds(f) {
		f.Add(m.selector, m.bytes)
		if i > 60 {
			break
		}
	}
	f.Fuzz(func(t *testing.T, selector byte, b []byte) {
		s := subjects[int(selector)%len(subjects)]
		if len(b) >= 512 {
			checkGrowth(t, selector, b)
		}
		v, again, err := s.decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%s: decode-encode differs:\n%x\n%x", s.name, b, again)
		}
		twice, _, err := s.decode(again)
		if err != nil || !reflect.DeepEqual(v, twice) {
			t.Fatalf("%s: decode-encode-decode differs: %v", s.name, err)
		}
	})
}

// checkGrowth decodes b and fails if that allocates more than MaxGrowth allows.
func checkGrowth(t *testing.T, selector byte, b []byte) {
	t.Helper()
	s := subjects[int(selector)%len(subjects)]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := s.decode(b)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(MaxGrowth*len(b)+1<<16) {
		t.Fatalf("%s: %d bytes of input allocate %d (%v)", s.name, len(b), grown, err)
	}
}

// TestHostileListsAreBounded gives every decoder lists of the smallest
// elements there are, and lengths of what is not there.
func TestHostileListsAreBounded(t *testing.T) {
	const n = 60_000
	for selector := range subjects {
		for _, element := range []string{"\x00", "\x01", "\x02\x00", "\x00\x00", "\x00\x00\x00", "\x01\x02\x00\x00", "\x01\x00\x07\x00", "\x01\x02\x00\x00\x00"} {
			list := bytes.Repeat([]byte(element), n/len(element))
			for _, prefix := range []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\x00\x00\x01\x00\x02"} {
				checkGrowth(t, byte(selector), append([]byte(prefix), Marshal(ExternalPub{list})...))
			}
			checkGrowth(t, byte(selector), append([]byte{0x80, 0xff, 0xff, 0xff}, list...))
		}
	}
}

// seed is one fuzz input.
type seed struct {
	selector byte
	bytes    []byte
}

// seeds takes inputs from the official messages where they are present.
func seeds(f *testing.F) (all []seed) {
	f.Helper()
	selectors := map[string]byte{
		"mls_welcome": 0, "mls_group_info": 0, "mls_key_package": 0, "public_message_proposal": 0,
		"public_message_commit": 0, "private_message": 0, "ratchet_tree": 6, "group_secrets": 7, "commit": 9,
	}
	files, err := vectors.Find[map[string]vectors.Hex]("messages.json")
	if err != nil {
		f.Logf("fuzzing without official seeds: %v", err)
		return nil
	}
	for _, c := range files[:min(8, len(files))] {
		for name, selector := range selectors {
			all = append(all, seed{selector, c[name]})
		}
	}
	return all
}
