package groups

import "testing"

// A membership forgot the stays before the last: what a device had not read of
// them was lost to it.
func TestMembershipHoldsEarlierStays(t *testing.T) {
	var m Membership
	m.Enter(2)
	m.Leave(5)
	m.Enter(9)
	m.Leave(12)
	m.Enter(12) // the same commit
	for _, c := range []struct {
		after Seq
		want  Stay
	}{
		{0, Stay{2, 5}}, {2, Stay{2, 5}}, {4, Stay{2, 5}},
		{5, Stay{9, 12}}, {7, Stay{9, 12}}, {11, Stay{9, 12}},
		{12, Stay{12, 0}}, {99, Stay{12, 0}},
	} {
		if got, ok := m.After(c.after); got != c.want || !ok {
			t.Errorf("after %d: %v, %v, want %v", c.after, got, ok, c.want)
		}
	}
	m.Leave(20)
	if got, ok := m.After(19); got != (Stay{12, 20}) || !ok {
		t.Errorf("after 19: %v, %v", got, ok)
	}
	if got, ok := m.After(20); ok {
		t.Errorf("after it has left: %v", got)
	}
}

// "Older ones are forgotten."
func TestMembershipIsBounded(t *testing.T) {
	var m Membership
	for i := range Seq(10 * MaxStays) {
		m.Enter(10*i + 1)
		m.Leave(10*i + 5)
	}
	if len(m.Before) != MaxStays-1 {
		t.Fatalf("%d stays before the last", len(m.Before))
	}
	if got, _ := m.After(0); got.Joined != 10*(10*MaxStays-MaxStays)+1 {
		t.Errorf("the oldest is %v", got)
	}
}
