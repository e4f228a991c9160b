package vectors

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Each runs check on every case of the official file name and of the project's
// own file of that name, in mls/testdata, which a lone clone has too.
func Each[T any](t *testing.T, name string, check func(*testing.T, T)) {
	t.Helper()
	t.Run("own", func(t *testing.T) { EachOwn(t, name, check) })
	t.Run("official", func(t *testing.T) {
		for _, c := range Load[T](t, name) {
			check(t, c)
		}
	})
}

// EachOwn runs check on every case of the project's own file name, which must
// be there.
func EachOwn[T any](t *testing.T, name string, check func(*testing.T, T)) {
	t.Helper()
	cases, err := readOwn[T](name)
	if err != nil || len(cases) == 0 {
		t.Fatalf("own vectors: %d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		check(t, c)
	}
}

// WriteOwn writes the project's own file name, a JSON array of T.
func WriteOwn[T any](t testing.TB, name string, cases []T) {
	t.Helper()
	b, err := json.MarshalIndent(cases, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ownPath(name), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readOwn[T any](name string) (cases []T, err error) {
	b, err := os.ReadFile(ownPath(name))
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(b, &cases)
	return cases, err
}

// ownPath is where the project's own vectors lie.
func ownPath(name string) string {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return filepath.Join("..", "mls", "testdata", name)
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "testdata", name)
}
