package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// specFile shows which section of a standard is enforced where.
const specFile = "docs/spec.md"

// sourceKinds are the extensions that may cite: code, protocol files, scripts.
var sourceKinds = []string{".go", ".proto", ".txtar"}

// passedOver are folders whose citations are examples, or no sources of ours.
var passedOver = []string{".git", "bin", "node_modules", "internal/spec", "internal/lint"}

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "spec:", err)
		os.Exit(1)
	}
}

// pages are what this program writes, from the root of the tree.
var pages = []struct {
	file  string
	write func(tree fs.FS) (string, error)
}{
	{specFile, generate},
	{requirementsFile, requirementsPage},
}

// run writes the pages of the tree under root.
func run(root string) error {
	for _, p := range pages {
		text, err := p.write(os.DirFS(root))
		if err != nil {
			return err
		}
		if err := os.WriteFile(path.Join(root, p.file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate reads all sources and renders the page.
func generate(tree fs.FS) (string, error) {
	var all []citation
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains(passedOver, name) || slices.Contains(passedOver, path.Base(name))):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains(sourceKinds, path.Ext(name)) || strings.HasSuffix(name, ".pb.go"):
			return nil
		}
		body, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		all = append(all, fromFile(name, body)...)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read sources: %w", err)
	}
	if len(all) == 0 {
		return "", fmt.Errorf("no citation found: run it from the root of the tree")
	}
	text, err := page(all)
	if err != nil {
		return "", err
	}
	rules, err := refusals(tree)
	return text + rules, err
}
