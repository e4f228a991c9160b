package main

import (
	"time"

	"parley/groups"
)

// The rows below are what the admin port answers, in JSON with stable names,
// and what `parley node ls` and `parley peer ls` print.

type nodeRow struct {
	Node    groups.NodeID `json:"node"`
	State   string        `json:"state"`
	Address string        `json:"address"`
	Linked  bool          `json:"linked"`
	Rooms   uint32        `json:"rooms"`
	Load    uint32        `json:"load_percent"`
	RTT     float64       `json:"rtt_ms"`
	Since   time.Time     `json:"since,omitzero"` // not of this node itself
}

type peerRow struct {
	Site     groups.SiteID `json:"site"`
	Node     groups.NodeID `json:"node"`
	State    string        `json:"state"`
	Address  string        `json:"address"`
	Behind   uint64        `json:"entries_behind"`
	InFlight int           `json:"submissions_in_flight"`
	RTT      float64       `json:"rtt_ms"`
	Since    time.Time     `json:"since"`
	Error    string        `json:"last_error"`
	Software string        `json:"software"`
}

type roomRow struct {
	Room    groups.RoomID   `json:"room"`
	Owner   groups.NodeID   `json:"owner"`
	Owned   bool            `json:"owned_here"`
	Seq     groups.Seq      `json:"seq"`
	Epoch   groups.Epoch    `json:"epoch"`
	Hash    string          `json:"hash"`
	Devices int             `json:"devices"`
	Sites   []groups.SiteID `json:"sites"`
	Parked  string          `json:"parked"`
	Damaged bool            `json:"damaged"` // mended at the node's next start
	Refill  groups.Seq      `json:"refill"`  // entry that makes it live again, 0 if none does
}

func (n *node) status() status {
	return status{ready: n.store.Ready, nodes: n.nodeRows, peers: n.peerRows, rooms: n.roomRows,
		refill: n.refill, acceptLoss: n.acceptLoss}
}

func (n *node) nodeRows() any {
	rows := []nodeRow{}
	for _, s := range n.links.Nodes() {
		rows = append(rows, nodeRow{
			Node: s.Node, State: s.State, Address: s.Address, Linked: s.Linked,
			Rooms: s.Rooms, Load: s.Load, RTT: milliseconds(s.RTT), Since: s.Since,
		})
	}
	return rows
}

func (n *node) peerRows() any {
	rows := []peerRow{}
	for _, s := range n.links.Peers() {
		row := peerRow{
			Site: s.Site, Node: s.Node, State: s.State, Address: s.Address, InFlight: s.InFlight,
			RTT: milliseconds(s.RTT), Since: s.Since, Error: s.LastError, Software: s.Software,
		}
		for _, entries := range s.Behind {
			row.Behind += entries
		}
		rows = append(rows, row)
	}
	return rows
}

// roomRows tells of the rooms held here; a room may be parked by the store, or
// by its follower because of what came over a link.
func (n *node) roomRows() any {
	parked := make(map[groups.RoomID]string)
	for _, p := range n.links.Parked() {
		parked[p.Room] = p.Why
	}
	rows := []roomRow{}
	for _, in := range n.store.Rooms() {
		row := roomRow{
			Room: in.Room, Owner: in.Owner, Owned: in.Owned, Seq: in.Head.Seq, Epoch: in.Head.Epoch,
			Hash: in.Head.Hash.String(), Devices: in.Members, Sites: in.Sites, Parked: in.Parked, Damaged: in.Damaged, Refill: in.Fenced,
		}
		if why := parked[in.Room]; why != "" && row.Parked != "" {
			row.Parked += "; " + why
		} else if why != "" {
			row.Parked = why
		}
		rows = append(rows, row)
	}
	return rows
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
