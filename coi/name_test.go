package coi

import (
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	long := strings.Repeat("a", maxLabel)
	for uri, want := range map[string]Name{
		laptop:                                          {Device, "alpha.example", "alice", "laptop"},
		"mimi://alpha.example/n/a1":                     {Purpose: Node, Site: "alpha.example", Local: "a1"},
		"mimi://alpha.example/o/a1":                     {Purpose: Ordering, Site: "alpha.example", Local: "a1"},
		"mimi://a.b/s/enroll":                           {Purpose: Service, Site: "a.b", Local: "enroll"},
		"mimi://x-1.example/d/a.b_c-d/0":                {Device, "x-1.example", "a.b_c-d", "0"},
		"mimi://a.example/d/" + long + "/" + long:       {Device, "a.example", long, long},
		"mimi://alpha.example/n/..":                     {},
		"mimi://alpha.example/n/" + long + "a":          {},
		"mimi://alpha.example/d/alice":                  {},
		"mimi://alpha.example/n/a1/x":                   {},
		"mimi://alpha.example/d/alice/laptop/":          {},
		"mimi://alpha.example/d//laptop":                {},
		"mimi://alpha.example/ /a1":                     {},
		"mimi://alpha.example//a1":                      {},
		"mimi://alpha.example/u/alice":                  {},
		"mimi://alpha/n/a1":                             {},
		"mimi://Alpha.example/n/a1":                     {},
		"mimi://al_pha.example/n/a1":                    {},
		"mimi://.example/n/a1":                          {},
		"mimi://alpha.example/n/a1\x00":                 {},
		"MIMI://alpha.example/n/a1":                     {},
		"mimi:/alpha.example/n/a1":                      {},
		"":                                              {},
		"mimi://" + long + ".example/n/" + long:         {Purpose: Node, Site: long + ".example", Local: long},
		"mimi://" + strings.Repeat("a.", 101) + "b/n/a": {},
	} {
		n, err := ParseName(uri)
		switch {
		case want == Name{}:
			if ReasonOf(err) != BadName {
				t.Errorf("%q: %v, %v, want bad name", uri, n, err)
			}
		case err != nil || n != want || n.URI() != uri:
			t.Errorf("%q: %+v, %v, writes %q", uri, n, err, n.URI())
		}
	}
}

func TestNameCheck(t *testing.T) {
	for _, n := range []Name{
		{},
		{Purpose: 9, Site: "a.b", Local: "x"},
		{Purpose: Device, Site: "a.b", Local: "x"},
		{Purpose: Node, Site: "a.b", Local: "x", Device: "y"},
		{Purpose: Node, Site: "a.b", Local: "x", Device: "/"},
		{Purpose: Device, Site: "a.b", Local: "x/y", Device: "z"},
	} {
		if ReasonOf(n.Check()) != BadName {
			t.Errorf("%+v passes", n)
		}
	}
	n := Name{Device, "alpha.example", "alice", "laptop"}
	if n.User() != "mimi://alpha.example/u/alice" || n.Check() != nil {
		t.Errorf("%+v: user %s, %v", n, n.User(), n.Check())
	}
}

// FuzzParseName: what is accepted "writes the same bytes again".
func FuzzParseName(f *testing.F) {
	for _, s := range []string{laptop, "mimi://alpha.example/n/a1", "mimi://a.b/s/x", "mimi://", "mimi://a.b/d/x/y/z", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			if ReasonOf(err) != BadName || len(err.Error()) > 512 {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if n.URI() != s || n.Check() != nil {
			t.Fatalf("%q is read as %+v", s, n)
		}
	})
}

// FuzzAltNames: the extension's bytes are foreign.
func FuzzAltNames(f *testing.F) {
	alpha := newRealm(f, "alpha.example")
	for _, ext := range alpha.device(f, laptop).Extensions {
		if ext.Id.Equal(oidSubjectAltName) {
			f.Add(ext.Value)
		}
	}
	f.Add([]byte{0x30, 0x04, 0x86, 0x02, 'a', 'b'})
	f.Add([]byte{0x30, 0x80, 0x86, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		uris, err := parseAltNames(der)
		total := 0
		for _, u := range uris {
			total += len(u)
		}
		if total > len(der) || err != nil && ReasonOf(err) != Malformed {
			t.Fatalf("%x: %q, %v", der, uris, err)
		}
	})
}
