package main

import (
	"testing"

	"parley/groups"
)

// "known says whether exactly this was found good before."
func TestOnlyTheVerySignatureThatWasGoodIsKnown(t *testing.T) {
	var p provenHeads
	by, root, signature := groups.Hash{1}, groups.Hash{2}, []byte("signature")
	if p.known(groups.Hash{}, groups.Hash{}, nil) || p.known(by, root, signature) {
		t.Fatal("something is known before it was good")
	}
	p.note(by, root, signature)
	signature[0]++ // what is remembered is a copy
	if p.known(by, root, signature) || !p.known(by, root, []byte("signature")) {
		t.Error("another signature is known, or the one that was good is not")
	}
	if p.known(groups.Hash{3}, root, []byte("signature")) || p.known(by, groups.Hash{3}, []byte("signature")) {
		t.Error("a signature is known of another certificate or batch")
	}
	for i := range provenBatches {
		p.note(by, groups.Hash{4, byte(i)}, []byte("later"))
	}
	if p.known(by, root, []byte("signature")) {
		t.Error("more signatures are remembered than there is room for")
	}
}
