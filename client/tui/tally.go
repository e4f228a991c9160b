package tui

import (
	"slices"

	"parley/client"
	"parley/groups"
)

// A Count is an emoji and how many people have put it on a message.
type Count struct {
	Emoji string
	Count int
	Users []groups.UserID
}

// Tally counts reactions, in the order in which each emoji came first. The
// same emoji of the same person counts once.
func Tally(reactions []client.Reaction) []Count {
	var out []Count
	for _, r := range reactions {
		i := slices.IndexFunc(out, func(c Count) bool { return c.Emoji == r.Emoji })
		if i < 0 {
			i = len(out)
			out = append(out, Count{Emoji: r.Emoji})
		}
		if !slices.Contains(out[i].Users, r.User) {
			out[i].Users = append(out[i].Users, r.User)
			out[i].Count++
		}
	}
	return out
}
