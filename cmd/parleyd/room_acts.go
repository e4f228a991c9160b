package main

import "parley/groups"

// lossRow is what the admin port answers when a loss was accepted.
type lossRow struct {
	Room groups.RoomID `json:"room"`
	Held groups.Seq    `json:"held"`
	Lost groups.Seq    `json:"lost_up_to"` // as far as is known; held if nothing is
	Term groups.Term   `json:"term"`
}

// refill looks now for who can give a parked room back what it lacks.
func (n *node) refill(room groups.RoomID) (any, error) {
	if _, err := n.store.Room(room); err != nil {
		return nil, err
	}
	n.links.Look(room)
	for _, row := range n.roomRows().([]roomRow) {
		if row.Room == room {
			return row, nil
		}
	}
	return nil, groups.Errorf(groups.NotFound, "%s is not known to this node", room)
}

// acceptLoss lets a parked room go on without what it lost.
func (n *node) acceptLoss(room groups.RoomID) (any, error) {
	loss, err := n.store.AcceptLoss(room)
	if err != nil {
		return nil, err
	}
	n.links.Look(room)
	return lossRow{Room: loss.Room, Held: loss.Held, Lost: loss.Lost, Term: loss.Term}, nil
}
