package groups

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// An exported line is read by another program: its form is fixed.
func TestALineOfALogIsReadAsItWasWritten(t *testing.T) {
	e := someEntry()
	line, err := json.Marshal(NewLogLine(e))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`{"seq":`, `,"header":"`, `,"body":"`} {
		if !strings.Contains(string(line), field) {
			t.Errorf("%s lacks %s", line, field)
		}
	}
	again, err := ParseLogLine(line)
	if err != nil || !bytes.Equal(again.Marshal(), e.Marshal()) {
		t.Fatalf("%v, %v", again, err)
	}
	l := NewLogLine(e)
	for name, bad := range map[string]LogLine{
		"another number": {l.Seq + 1, l.Header, l.Body},
		"no header":      {l.Seq, nil, l.Body},
		"more than one":  {l.Seq, append(bytes.Clone(l.Header), 0), l.Body},
		"a huge body":    {l.Seq, l.Header, make([]byte, MaxBody+1)},
	} {
		line, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseLogLine(line); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// FuzzParseLogLine reads any line: no panic, and what is accepted is written and
// read again as the same entry.
func FuzzParseLogLine(f *testing.F) {
	line, err := json.Marshal(NewLogLine(someEntry()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"seq":1,"header":"AA==","body":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseLogLine(line)
		if err != nil {
			return
		}
		again, err := json.Marshal(NewLogLine(e))
		if err != nil {
			t.Fatal(err)
		}
		if same, err := ParseLogLine(again); err != nil || !bytes.Equal(same.Marshal(), e.Marshal()) {
			t.Fatalf("%v became %v, %v", e, same, err)
		}
	})
}
