package vectors

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Open returns the content of the vector file name, such as "tree-math.json".
// It looks in the folder MLS_VECTORS, else beside the repository. A file that
// is not there fails the test when CI=true and skips it, saying so, otherwise.
func Open(t testing.TB, name string) []byte {
	t.Helper()
	path := filepath.Join(dir(), name)
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		return b
	case os.Getenv("CI") == "true":
		t.Fatalf("official vectors: %v (set MLS_VECTORS to their folder)", err)
	default:
		t.Skipf("OFFICIAL VECTORS NOT CHECKED: %v (set MLS_VECTORS to their folder)", err)
	}
	return nil
}

// Load decodes the vector file name, a JSON array of T.
func Load[T any](t testing.TB, name string) []T {
	t.Helper()
	var cases []T
	if err := json.Unmarshal(Open(t, name), &cases); err != nil {
		t.Fatalf("official vectors: %s: %v", name, err)
	}
	if len(cases) == 0 {
		t.Fatalf("official vectors: %s holds no case", name)
	}
	return cases
}

// Find is Load for seeds of a fuzz test, which do without the file.
func Find[T any](name string) (cases []T, err error) {
	b, err := os.ReadFile(filepath.Join(dir(), name))
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(b, &cases)
	return cases, err
}

// Hex is a byte string that the vector files write in hexadecimal.
type Hex []byte

// UnmarshalText decodes hexadecimal text.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// dir is the folder of the official vectors.
func dir() string {
	if d := os.Getenv("MLS_VECTORS"); d != "" {
		return d
	}
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return filepath.Join("..", "..", "..", "shared", "vectors", "mls")
	}
	repository := filepath.Join(filepath.Dir(file), "..", "..", "..")
	return filepath.Join(repository, "..", "shared", "vectors", "mls")
}

// MarshalText writes hexadecimal text.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }
