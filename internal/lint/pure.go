package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// impure are the standard packages that bring a lock, a clock, a network, a
// disk, a logger, a context or a process. An entry ending in / stands for all
// below it.
var impure = []string{
	"context", "expvar", "flag", "log", "log/", "net", "net/", "os", "os/", "plugin",
	"runtime", "runtime/", "sync", "sync/", "syscall", "testing", "testing/", "unsafe",
	"io/ioutil", "database/", "path/filepath", "embed",
}

// pureExceptions are packages below an impure name that only compute.
var pureExceptions = []string{"net/url", "net/netip"}

// pureOutside are the modules a pure package may use: they compute.
var pureOutside = []string{"golang.org/x/crypto/", "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"}

// clock are the names of package time that read or wait for the clock.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// checkPurity: the packages whose kind is pure in the import table hold no
// goroutine, channel, lock, clock, network, disk, logger or context.
func checkPurity(t *Tree) []Finding {
	var out []Finding
	pure := t.purePackages()
	for _, f := range t.sources() {
		if slices.Contains(pure, f.Dir) {
			out = append(out, t.impureImports(f)...)
			out = append(out, t.impureCode(f)...)
		}
	}
	return out
}

// purePackages are the packages of the tree that the table calls pure.
func (t *Tree) purePackages() []string {
	var out []string
	dirs, _ := packages(t.sources())
	for _, dir := range dirs {
		if strings.HasPrefix(t.kind(dir), "pure") {
			out = append(out, dir)
		}
	}
	return out
}

// impureImports finds imports that a pure package may not have.
func (t *Tree) impureImports(f *File) []Finding {
	var out []Finding
	for _, spec := range f.AST.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil && !t.pureImport(p) {
			out = append(out, t.at(spec.Pos(), "pure package "+f.Dir+" imports "+p,
				"take what it needs as an argument, or move this up"))
		}
	}
	return out
}

// pureImport says whether a pure package may import p.
func (t *Tree) pureImport(p string) bool {
	within := func(list []string) bool {
		return slices.ContainsFunc(list, func(e string) bool {
			return p == e || strings.HasSuffix(e, "/") && strings.HasPrefix(p, e)
		})
	}
	switch {
	case strings.HasPrefix(p, t.Module+"/"), within(pureExceptions), within(pureOutside):
		return true
	case strings.Contains(strings.Split(p, "/")[0], "."):
		return false // a module from outside
	}
	return !within(impure)
}

// impureCode finds goroutines, channels and clocks.
func (t *Tree) impureCode(f *File) []Finding {
	var out []Finding
	add := func(n ast.Node, what string) {
		out = append(out, t.at(n.Pos(), "pure package "+f.Dir+" has "+what, "return an effect and let the caller perform it"))
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			add(n, "a goroutine")
		case *ast.ChanType:
			add(n, "a channel")
		case *ast.SelectStmt:
			add(n, "a select")
		case *ast.SendStmt:
			add(n, "a send")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				add(n, "a receive")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && x.Obj == nil && slices.Contains(clock, n.Sel.Name) {
				add(n, "a clock (time."+n.Sel.Name+")")
			}
		}
		return true
	})
	return out
}
