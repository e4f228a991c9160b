package main

import (
	"time"

	"parley/client"
	"parley/groups"
)

// An encryptionJSON is an encryption configuration as --json prints it.
type encryptionJSON struct {
	Room         groups.RoomID   `json:"room"`
	Epoch        groups.Epoch    `json:"epoch"`
	Suite        string          `json:"suite"`
	Mode         string          `json:"mode"`
	History      string          `json:"history"`
	PostQuantum  bool            `json:"post_quantum"`
	StrictStatus bool            `json:"strict_status"`
	MaxKeyAge    int64           `json:"max_key_age_seconds"`
	MaxKeyUses   uint64          `json:"max_key_messages"`
	AutoRenew    int64           `json:"auto_renew_seconds"`
	Communities  []communityJSON `json:"communities"`
	Cases        casesJSON       `json:"cases"`
	Denied       string          `json:"denied,omitempty"`
	Accepted     bool            `json:"accepted"`
	Changes      []string        `json:"changes"`
}

type communityJSON struct {
	Name        groups.CoIID `json:"name"`
	Root        groups.Hash  `json:"root"`
	Certificate groups.Hash  `json:"certificate,omitzero"`
	Serial      string       `json:"serial,omitempty"`
	NotBefore   time.Time    `json:"not_before,omitzero"`
	NotAfter    time.Time    `json:"not_after,omitzero"`
	StatusAt    time.Time    `json:"status_at,omitzero"`
	Lookup      string       `json:"lookup"`
	Unwrap      []string     `json:"unwrap"`
	Status      string       `json:"status,omitempty"`
	Officer     string       `json:"officer,omitempty"`
	Reader      bool         `json:"reader"`
	Problem     string       `json:"problem,omitempty"`
}

type casesJSON struct {
	Threshold uint8          `json:"threshold"`
	Approvers []approverJSON `json:"approvers"`
}

type approverJSON struct {
	Name string      `json:"name"`
	Key  groups.Hash `json:"key"`
}

func describeEncryption(e *client.Encryption) encryptionJSON {
	p := &e.Policy
	out := encryptionJSON{
		Room: e.Room, Epoch: e.Epoch, Suite: e.Suite, Mode: p.Mode.String(), History: p.History.String(), PostQuantum: p.PostQuantum,
		StrictStatus: p.StrictStatus, MaxKeyAge: int64(p.MaxKeyAge / time.Second), MaxKeyUses: p.MaxKeyMessages,
		AutoRenew: int64(p.AutoRenew / time.Second), Communities: []communityJSON{},
		Cases: casesJSON{p.Cases.Threshold, []approverJSON{}}, Denied: e.Denied, Accepted: e.Accepted, Changes: e.Changes,
	}
	if out.Changes == nil {
		out.Changes = []string{}
	}
	for _, a := range p.Cases.Approvers {
		out.Cases.Approvers = append(out.Cases.Approvers, approverJSON{a.Name, a.Key})
	}
	for i := range e.Communities {
		c := &e.Communities[i]
		row := communityJSON{
			Name: c.Name, Root: c.Root, Certificate: c.Certificate, Serial: c.Serial, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
			StatusAt: c.StatusAt, Lookup: c.Lookup, Unwrap: c.Unwrap, Status: c.Status, Officer: c.Officer, Problem: c.Problem,
		}
		for _, r := range p.Readers {
			row.Reader = row.Reader || r == c.Name
		}
		out.Communities = append(out.Communities, row)
	}
	return out
}
