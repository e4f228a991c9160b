// Package lint is the house style as a test: it reads the tree's own sources
// and fails the build where they leave the style.
//
//	sources --Load--> Tree --each Rule--> Findings --house_test--> pass or fail
//	docs/architecture.md ----^ (import table)
//
// It knows the rules of docs/HACKING.md, the import table and the syntax of Go.
// It must not know types or run the code: what it can not see in one file's
// syntax, or in the imports of all files, is left to review. Every rule is
// itself tested against a small tree that breaks it.
package lint
