// Package vectors finds the official MLS test vectors for tests.
//
//	$MLS_VECTORS/tree-math.json, else <repository>/../shared/vectors/mls/tree-math.json
//
// It knows where the files lie and what their absence means. It must not know
// what is in them, and nothing but tests may import it.
package vectors
