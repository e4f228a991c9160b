package client

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A validator decides about credentials for a room's group: under the
// device's trust, at the time of the entry that is being applied, so that all
// members judge alike, also years later. It implements
// tree.CredentialValidator.
type validator struct {
	d *Device
	r *room
}

// Validate refuses what the trust does not vouch for.
func (v *validator) Validate(cred wire.Credential, signatureKey []byte) error {
	if cred.CredentialType == wire.CredentialTypeBasic && !v.r.policy.BasicCredentials {
		return groups.Errorf(groups.Denied, "the room's policy asks for certificates, not basic credentials")
	}
	_, err := Directory{v.d.self.Load().trust}.Device(cred, signatureKey, v.r.at)
	return err
}

// Succeeds holds a leaf to its device.
func (v *validator) Succeeds(old, new wire.Credential) error {
	was, err := deviceOf(old)
	if err != nil {
		return err
	}
	is, err := deviceOf(new)
	if err != nil {
		return err
	}
	if was != is {
		return groups.Errorf(groups.Denied, "the leaf of %s can not become that of %s", was, is)
	}
	return nil
}

// deviceOf reads the device a credential names. It verifies nothing: leaves
// are verified when they come into the tree.
func deviceOf(cred wire.Credential) (groups.DeviceID, error) {
	d, _, err := whoIs(&cred)
	return d, err
}

// whoIs is deviceOf that also says whether it is a bot, at which no person sits.
func whoIs(cred *wire.Credential) (d groups.DeviceID, bot bool, err error) {
	if cred.CredentialType == wire.CredentialTypeBasic {
		d, err = groups.ParseDeviceID(string(cred.Identity))
		return d, false, err
	}
	if len(cred.Certificates) == 0 {
		return "", false, errors.New("credential without certificate")
	}
	cert, err := x509.ParseCertificate(cred.Certificates[0].CertData)
	if err != nil {
		return "", false, err
	}
	for _, uri := range cert.URIs {
		if d, err := groups.ParseDeviceID(uri.String()); err == nil {
			return d, coi.IsBot(cert), nil
		}
	}
	return "", false, errors.New("credential names no device")
}

// until is the end of a credential's certificate; zero if it has none.
func until(cred wire.Credential) time.Time {
	if len(cred.Certificates) == 0 {
		return time.Time{}
	}
	cert, err := x509.ParseCertificate(cred.Certificates[0].CertData)
	if err != nil {
		return time.Time{}
	}
	return cert.NotAfter
}

// members are the devices of a group by leaf, read from the tree when first
// asked for and kept up to date by what commits change.
type members struct {
	byLeaf   map[wire.LeafIndex]groups.DeviceID
	byDevice map[groups.DeviceID]wire.LeafIndex
	bots     map[wire.LeafIndex]bool // at which no person sits
	users    map[groups.UserID]int
}

// readMembers reads all leaves of a tree: in proportion to the members, once
// for each start of the device.
func readMembers(t *tree.Tree) *members {
	m := &members{
		byLeaf:   make(map[wire.LeafIndex]groups.DeviceID),
		byDevice: make(map[groups.DeviceID]wire.LeafIndex),
		bots:     make(map[wire.LeafIndex]bool),
		users:    make(map[groups.UserID]int),
	}
	for i, leaf := range t.Members() {
		if d, bot, err := whoIsLeaf(leaf); err == nil {
			m.add(d, i)
			m.mark(i, bot)
		}
	}
	return m
}

// deviceOfLeaf reads the device of an encoded leaf node.
func deviceOfLeaf(leaf []byte) (groups.DeviceID, error) {
	d, _, err := whoIsLeaf(leaf)
	return d, err
}

func whoIsLeaf(leaf []byte) (groups.DeviceID, bool, error) {
	n, err := wire.Unmarshal[wire.LeafNode](leaf)
	if err != nil {
		return "", false, err
	}
	return whoIs(&n.Credential)
}

func (m *members) add(d groups.DeviceID, leaf wire.LeafIndex) {
	m.byLeaf[leaf], m.byDevice[d] = d, leaf
	m.users[d.User()]++
}

// mark notes whether a leaf is a bot's: whose certificate says so now.
func (m *members) mark(leaf wire.LeafIndex, bot bool) {
	if delete(m.bots, leaf); bot {
		m.bots[leaf] = true
	}
}

func (m *members) remove(leaf wire.LeafIndex) {
	delete(m.bots, leaf)
	d, ok := m.byLeaf[leaf]
	if !ok {
		return
	}
	delete(m.byLeaf, leaf)
	if m.byDevice[d] == leaf {
		delete(m.byDevice, d)
	}
	if m.users[d.User()]--; m.users[d.User()] == 0 {
		delete(m.users, d.User())
	}
}

// has says whether a device is in the room.
func (m *members) has(d groups.DeviceID) bool {
	_, ok := m.byDevice[d]
	return ok
}

// roster returns the members of a room, whose group is loaded.
func (r *room) roster() *members {
	if r.members == nil {
		r.members = readMembers(r.group.Tree())
	}
	return r.members
}

// sender names who sealed a message. Of a late message's sender, who may have
// been removed since, only the leaf of that epoch tells.
func (r *room) sender(m *mls.Message) (groups.DeviceID, error) {
	if d, ok := r.roster().byLeaf[m.Sender]; ok {
		if now, there := r.group.Tree().LeafBytes(m.Sender); there && bytes.Equal(now, m.LeafNode) {
			return d, nil
		}
	}
	return deviceOfLeaf(m.LeafNode)
}

// follow takes a commit's change of the tree over, and says who came and went.
// It looks only at what differs.
func (m *members) follow(old, next *tree.Tree) (added, removed []groups.DeviceID) {
	type seat struct {
		leaf   wire.LeafIndex
		device groups.DeviceID
		bot    bool
	}
	var came []seat
	for x := range next.Diff(old) {
		i, isLeaf := x.Leaf()
		if !isLeaf {
			continue
		}
		was := m.byLeaf[i]
		var is groups.DeviceID
		bot := false
		if leaf, there := next.LeafBytes(i); there {
			is, bot, _ = whoIsLeaf(leaf)
		}
		if was == is {
			m.mark(i, bot)
			continue
		}
		if was != "" {
			removed = append(removed, was)
			m.remove(i)
		}
		if is != "" {
			came = append(came, seat{i, is, bot})
		}
	}
	for _, c := range came { // after all who left: a device may move
		m.add(c.device, c.leaf)
		m.mark(c.leaf, c.bot)
		added = append(added, c.device)
	}
	slices.Sort(added)
	slices.Sort(removed)
	return added, removed
}
