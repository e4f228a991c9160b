package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	enrollv1 "parley/api/enroll/v1"
	"parley/coi"

	"google.golang.org/protobuf/proto"
)

func TestParseCode(t *testing.T) {
	c := NewCode()
	for _, s := range []string{c.String(), strings.ToLower(c.String()), strings.ReplaceAll(c.String(), "-", ""), " " + strings.ReplaceAll(c.String(), "-", " ")} {
		if got, err := ParseCode(s); err != nil || got != c {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	if a, err := ParseCode("oooo-iiii-llll-0011"); err != nil || a.String() != "0000-1111-1111-0011" {
		t.Errorf("letters like digits: %v, %v", a, err)
	}
	for _, s := range []string{"", "-", "7QK3-0FXA-9M2T-C8W", "7QK3-0FXA-9M2T-C8WDX", "UUUU-UUUU-UUUU-UUUU", "7QK3-0FXA-9M2T-C8Wé", strings.Repeat("-", 100)} {
		if _, err := ParseCode(s); err == nil {
			t.Errorf("%q is taken for a code", s)
		}
	}
}

// FuzzParseCode: a code that is read writes one spelling, which reads the same.
func FuzzParseCode(f *testing.F) {
	f.Add("7QK3-0FXA-9M2T-C8WD")
	f.Add("oil0")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCode(s)
		if err != nil {
			return
		}
		if again, err := ParseCode(c.String()); err != nil || again != c || len(c.String()) != 19 {
			t.Fatalf("%q is read as %s, then %s, %v", s, c, again, err)
		}
	})
}

// FuzzEnroll throws whole messages at the service: none may panic, spend the
// code without giving a certificate, or leave a line that can not be read.
func FuzzEnroll(f *testing.F) {
	d := newDesk(f)
	csr, err := coi.NewRequest(newKey(f))
	must(f, err)
	ca, err := d.dir.DeviceCA()
	must(f, err)
	e, err := NewEnroll(Config{CA: ca, Codes: d.codes, Issued: d.log, Sites: d.dir.Sites})
	must(f, err)
	for _, m := range []*enrollv1.EnrollRequest{
		{Code: "7QK3-0FXA-9M2T-C8WD", Csr: csr, Device: "laptop"}, {Csr: csr}, {Device: "/"}, {},
	} {
		b, err := proto.Marshal(m)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m enrollv1.EnrollRequest
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		if cert, name, err := e.enroll(&m, then); err == nil {
			t.Fatalf("%s enrolled without a code: %v", name, cert.Subject)
		}
	})
}

// FuzzReadLog: the log is ours, but disks are not.
func FuzzReadLog(f *testing.F) {
	f.Add([]byte("{\"serial\":\"1\",\"name\":\"x\"}\n{\"serial\""))
	f.Add([]byte("\n"))
	f.Add([]byte(strings.Repeat("x", maxRecord+1)))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "issued.jsonl")
		must(t, os.WriteFile(path, b, fileMode))
		n := 0
		if err := ReadLog(path, func(Record) { n++ }); err != nil {
			return
		}
		l, err := OpenLog(path)
		must(t, err)
		must(t, l.append(Record{Serial: "new", Name: "n", NotAfter: then}))
		must(t, l.Close())
		m := 0
		must(t, ReadLog(path, func(Record) { m++ }))
		if m != n+1 && m != n { // n: the serial "new" was there
			t.Fatalf("%d records, then %d", n, m)
		}
	})
}
