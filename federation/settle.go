package federation

import (
	"sync"
	"sync/atomic"
	"time"

	"parley/groups"
)

// settleTime is how long a node that starts waits for its peers to say what they
// hold, before it orders anything in the rooms it had. Longer than a link takes to
// come up; a peer that can not be reached holds its rooms up no longer.
const settleTime = 5 * time.Second

// A settling is the time after a start in which this node asks before it orders:
// what it has on its disk may be an older copy, and its followers know. One entry
// ordered before they are heard would make two histories out of a delay.
type settling struct {
	done atomic.Bool
	now  func() time.Time

	mu    sync.Mutex
	until time.Time
	rooms map[groups.RoomID]struct{} // ordered here when the node started
	sites map[groups.SiteID]struct{} // not heard yet
}

// begin starts the wait for the peers of c.
func (s *settling) begin(c *Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.until = c.Now, c.Now().Add(settleTime)
	s.rooms, s.sites = make(map[groups.RoomID]struct{}), make(map[groups.SiteID]struct{})
	for _, p := range c.Sites {
		s.sites[p.Site] = struct{}{}
	}
	if len(c.Siblings) > 0 || c.Gossip != nil && len(c.Gossip.Join) > 0 {
		s.sites[c.Node.Site()] = struct{}{} // one of them
	}
	if len(s.sites) > 0 {
		for _, info := range c.Rooms.Rooms() {
			if info.Owned {
				s.rooms[info.Room] = struct{}{}
			}
		}
	}
	s.ended()
}

// heard notes that a node of a site has said what it holds.
func (s *settling) heard(site groups.SiteID) {
	if s.done.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sites, site)
	s.ended()
}

// ended looks whether the wait is over. Called under mu.
func (s *settling) ended() {
	if len(s.sites) == 0 || len(s.rooms) == 0 || !s.now().Before(s.until) {
		s.rooms, s.sites = nil, nil
		s.done.Store(true)
	}
}

// waits says whether a room has to wait.
func (s *settling) waits(room groups.RoomID) bool {
	if s.done.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return false // the node has not started
	}
	s.ended()
	_, waits := s.rooms[room]
	return waits
}

// Settled returns nil when this node may order entries of a room: just after a
// start it asks its peers first, for some seconds at most, and is Unavailable.
func (n *Node) Settled(room groups.RoomID) error {
	if !n.settling.waits(room) {
		return nil
	}
	return groups.Errorf(groups.Unavailable, "this node has just started and asks its peers where %s stands: try again in a moment", room)
}
