package client

import (
	"fmt"
	"time"

	"parley/groups"
)

// newestRow is what the store keeps of a community: when the newest certificate
// was made that this device was ever shown of it.
type newestRow struct {
	Name      groups.CoIID
	NotBefore time.Time
}

// loadNewest returns what earlier runs of the device were shown.
func loadNewest(s Store) (map[groups.CoIID]time.Time, error) {
	newest := make(map[groups.CoIID]time.Time)
	err := s.View(func(tx Tx) error {
		rows, err := scanJSON[newestRow](tx, TableCertificates, nil, maxDesk)
		for _, row := range rows {
			newest[row.Name] = row.NotBefore
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load certificates that were shown: %w", err)
	}
	return newest, nil
}

// newestOf returns when the newest certificate was made that a lookup service has
// ever shown this device for a community, this time included. A CoI CA retires
// what it has issued when it issues another, so an older one in use is one that
// somebody has put back. What rises is in the store before it is gone by: a
// restart does not make the device believe an older one.
func (k *desk) newestOf(c *groups.CoI, certificates []CoICertificate) (time.Time, error) {
	var shown time.Time
	for i := range certificates {
		s, err := k.trust().VerifyCoI(certificates[i].Chain, k.now())
		if err == nil && s.URI == string(c.Name) && s.Leaf.NotBefore.After(shown) {
			shown = s.Leaf.NotBefore
		}
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	before := k.newest[c.Name]
	out := k.crowded(c.Name)
	k.mu.Unlock()
	if !shown.After(before) {
		return before, nil
	}
	err := k.store.Update(func(tx Tx) error {
		if out != "" {
			if err := tx.Delete(TableCertificates, []byte(out)); err != nil {
				return err
			}
		}
		return putJSON(tx, TableCertificates, []byte(c.Name), newestRow{c.Name, shown})
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("remember the newest certificate of %s: %w", c.Name, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.newest, out)
	k.newest[c.Name] = shown
	return shown, nil
}

// crowded returns the community that makes room for another one: that whose
// newest certificate is the oldest, most likely one that is no more in use. The
// caller holds k.mu.
func (k *desk) crowded(name groups.CoIID) (out groups.CoIID) {
	if _, known := k.newest[name]; known || len(k.newest) < maxDesk {
		return ""
	}
	for other, at := range k.newest {
		if out == "" || at.Before(k.newest[out]) {
			out = other
		}
	}
	return out
}
