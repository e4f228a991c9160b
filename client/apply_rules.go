package client

import (
	"fmt"
	"slices"

	"parley/groups"
	"parley/mls/tree"
)

// allowed holds a commit to the rules that the hub holds it to: who may add,
// who may remove, by right or by warrant, whose leaf stays whose.
func (a *applier) allowed(actor groups.DeviceID, c *tree.Change, warrants []groups.Warrant) error {
	roster := a.r.roster()
	if roster.byLeaf[c.Sender] != actor {
		return groups.Errorf(groups.Denied, "signed by the leaf of %s, stamped by %s", roster.byLeaf[c.Sender], actor)
	}
	var asked groups.Change
	waiting := a.waiting()
	for i := range c.Removed {
		if d := roster.byLeaf[c.Removed[i].Index]; !slices.Contains(waiting, d) {
			asked.Removed = append(asked.Removed, d)
		}
	}
	for i := range c.Added {
		d, err := deviceOf(c.Added[i].LeafNode.Credential)
		if err != nil {
			return err
		}
		if roster.has(d) && !removes(roster, c, d) || slices.Contains(asked.Added, d) {
			return groups.Errorf(groups.Conflict, "%s is in the room already", d)
		}
		asked.Added = append(asked.Added, d)
	}
	for i := range c.Updated {
		d, err := deviceOf(c.Updated[i].LeafNode.Credential)
		if err != nil {
			return err
		}
		if was := roster.byLeaf[c.Updated[i].Index]; was != d {
			return groups.Errorf(groups.Denied, "the leaf of %s can not become that of %s", was, d)
		}
	}
	if c.ExtensionsReplaced {
		p, err := policyOf(c.Extensions)
		if err != nil {
			return err
		}
		asked.Policy = p
	}
	o := groups.Ousting{
		Warrants: warrants, Policy: &a.r.policy, Removed: c.Removed, At: a.r.at,
		Device: func(m tree.Member) groups.DeviceID { return roster.byLeaf[m.Index] },
	}
	proven, err := o.Judge(Directory{a.d.self.Load().trust})
	if err != nil {
		return err
	}
	asked.Removed = groups.Unproven(asked.Removed, proven)
	return a.r.policy.Check(actor, asked)
}

// waiting lists the devices whose removal was proposed: the hub asked who may
// when it took the proposal.
func (a *applier) waiting() []groups.DeviceID {
	var list []groups.DeviceID
	for _, p := range a.r.group.PendingProposals() {
		if p.Proposal.Remove != nil {
			list = append(list, a.r.roster().byLeaf[p.Proposal.Remove.Removed])
		}
	}
	return list
}

// removes says whether a commit removes a device, perhaps to add it again.
func removes(roster *members, c *tree.Change, d groups.DeviceID) bool {
	return slices.ContainsFunc(c.Removed, func(m tree.Member) bool { return roster.byLeaf[m.Index] == d })
}

// describe says in words what a commit did.
func describe(c *Change) string {
	what := fmt.Sprintf("epoch %d", c.Epoch)
	for _, list := range []struct {
		word    string
		devices []groups.DeviceID
	}{{"added", c.Added}, {"removed", c.Removed}} {
		switch n := len(list.devices); {
		case n == 0:
		case n <= 3:
			what += fmt.Sprintf(", %s %v", list.word, list.devices)
		default:
			what += fmt.Sprintf(", %s %d devices", list.word, n)
		}
	}
	if c.Policy {
		what += ", policy changed"
	}
	return what
}
