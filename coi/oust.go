package coi

import "time"

// OustAge is how old a proof that a device is to be out of a room may be when it
// is shown: time enough to bring it to the room, little to keep it for later.
const OustAge = 10 * time.Minute

// VerifyRevoked says that the device of a chain has a certificate that its CA has
// revoked: response is of the CA's responder (RFC 6960), at most OustAge old. Any
// doubt is an *Error.
func (t *Trust) VerifyRevoked(chain [][]byte, response []byte, now time.Time) error {
	subject, err := t.Verify(chain, Device, now)
	if err != nil {
		return err
	}
	status, err := CheckStatus(response, subject.Leaf, subject.Issuer, StatusOptions{Now: now, MaxAge: OustAge})
	if err == nil && status.State != Revoked {
		err = refuse(Mismatch, "the certificate of %s is %s, not revoked", subject.URI, status.State)
	}
	return err
}

// VerifyCutOff says that the device of a chain is a bot, and that an unwrap
// service of one of some CoIs has cut it off: signed is its statement (Cuts), at
// most OustAge old. Whatever a service states, a device at which a person may sit
// is not cut off by it. Any doubt is an *Error.
func (t *Trust) VerifyCutOff(chain [][]byte, signed []byte, cois []string, now time.Time) error {
	subject, err := t.Verify(chain, Device, now)
	if err != nil {
		return err
	}
	if !subject.Bot {
		return refuse(WrongPurpose, "%s is no bot: an unwrap service cuts off bots alone", subject.URI)
	}
	c, err := t.VerifyCuts(signed, CutOptions{Now: now, MaxAge: OustAge})
	if err != nil {
		return err
	}
	for _, name := range cois {
		if name == c.CoI && c.has(subject.URI) {
			return nil
		}
	}
	return refuse(Mismatch, "%s does not say that %s is cut off from a CoI of this room", c.Service, subject.URI)
}

// has says whether a statement names a device.
func (c *Cuts) has(device string) bool {
	for i := range c.List {
		if c.List[i].Device == device {
			return true
		}
	}
	return false
}
