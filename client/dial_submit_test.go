package client

import (
	"fmt"
	"testing"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

func answerOf(receipt string, refused ...string) *devicev1.SubmitStreamResponse {
	m := &devicev1.SubmitStreamResponse{Receipts: [][]byte{[]byte(receipt)}, Heads: [][]byte{[]byte("head of " + receipt)}}
	for _, id := range refused {
		m.Refused = append(m.Refused, &devicev1.Refused{Id: []byte(id)})
	}
	return m
}

// "Those that come while the last ones are looked into are looked into
// together", and "what was accepted after a refusal is not to be seen before
// it".
func TestAnswersThatWaitAreJoinedUpToARefusal(t *testing.T) {
	s := &submitStream{waiting: []*devicev1.SubmitStreamResponse{
		answerOf("a"), answerOf("b"), answerOf("c", "x"), answerOf("d", "y"), answerOf("e"), answerOf("f"),
	}}
	for i, want := range []string{"[a b c] [x]", "[d] [y]", "[e f] []"} {
		got := s.take()
		refused := []string{}
		for _, r := range got.Refused {
			refused = append(refused, string(r.Id))
		}
		if have := fmt.Sprintf("%s %s", got.Receipts, refused); have != want || len(got.Heads) != len(got.Receipts) {
			t.Errorf("answer %d is %s with %d heads, want %s", i, have, len(got.Heads), want)
		}
	}
	if s.take() != nil || len(s.waiting) != 0 {
		t.Error("an answer is taken twice")
	}
}

func TestTheLatestHeadComesFirst(t *testing.T) {
	var list [][]byte
	for _, seq := range []groups.Seq{3, 9, 4} {
		head := groups.SignedHead{Head: groups.Head{Room: "mimi://alpha.example/r/ops", Seq: seq}}
		list = append(list, head.Marshal())
	}
	signed, err := parseHeads(list)
	if err != nil || signed[0].Head.Seq != 9 || signed[2].Head.Seq != 3 {
		t.Fatalf("%v, %v", signed, err)
	}
	if _, err := parseHeads(append(list, []byte("x"))); groups.KindOf(err) != groups.Invalid {
		t.Errorf("bytes that are no head: %v", err)
	}
}
