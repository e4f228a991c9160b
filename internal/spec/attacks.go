package main

// What follows are lines of ours for what research on CMS, OCSP and on attacks
// against key services asks for. Each has a test, or it does not stand here.

var envelopeRequirements = []requirement{
	{"W1", "An envelope is DER: indefinite lengths, long lengths, padded numbers, constructed strings are refused"},
	{"W2", "An envelope over its limit, or with a byte behind its end, is refused before a key is used"},
	{"W3", "An envelope for more than 32 certificates is neither made nor read"},
	{"W4", "RSA is OAEP with SHA-256 in both places: PKCS #1 v1.5 and SHA-1 are refused, though the key would open them"},
	{"W5", "DES, triple DES, CBC and AES below 256 bits are refused, though the key would open them"},
	{"W6", "A key agreement that derives with SHA-1, openssl's default, is refused, though the key would open it"},
	{"W7", "A piece that is unknown, missing, doubled or out of its place is refused, critical or not"},
	{"W8", "EnvelopedData is refused where AuthEnvelopedData is due: GCM relabelled as CBC gives no answer"},
	{"W9", "Whatever keeps an envelope from opening, the error is the same, and so is the work up to it"},
	{"W10", "No bytes make the parser panic, open to something else, or use a key for what is no envelope"},
}

var statusRequirements = []requirement{
	{"S1", "Good and fresh: the key is wrapped, and its record says by which status"},
	{"S2", "Revoked: asked once more, after a pause of random length; another good certificate is used, none is coi_revoked"},
	{"S3", "A certificate that the responder does not know is wrapped to by nobody"},
	{"S4", "A service that is down, or takes calls and never answers, ends wrapping when the last good status ends; messages go on"},
	{"S5", "A status with a bad signature is refused, and whoever wanted a key is told why"},
	{"S6", "A responder's certificate is for OCSPSigning and for nothing else"},
	{"S7", "A responder's certificate is valid when its answer is read"},
	{"S8", "A responder's certificate says no-check, since nobody could ask about it; it is short"},
	{"S9", "A status begins before now, ends after now, and is no older than is allowed"},
	{"S10", "A status names the certificate by its issuer's name, its issuer's key and its serial"},
	{"S11", "A question has a nonce of 32 random bytes, and its answer the same"},
	{"S12", "Certificates sent along are looked at up to a bound, in any order, and vouch for nobody else"},
	{"S13", "No CA vouches for devices and for CoIs, so that no user can sign the status of a CoI"},
	{"S14", "Lookup staples the status: who wraps asks no responder"},
	{"S15", "A strict policy asks the responder itself, with a nonce, at each wrap"},
	{"S16", "The list of revocations is the last resort; who publishes it is warned before it ends"},
	{"S17", "A CoI's certificate lasts seven days unless its officer says otherwise, and is renewed over the same key"},
	{"S18", "The unwrap service asks at each request whether the device's certificate is revoked"},
	{"S19", "The unwrap service asks at its start and each hour whether the certificates over its own keys are good"},
	{"S20", "A stolen key of a CoI is not a rotation: the keys that it opens are listed, and a new one is made at once"},
}

var attackRequirements = []requirement{
	{"A1", "A wrapped key played into another room, epoch or CoI"},
	{"A2", "An author's signature stripped, or another's in its place"},
	{"A3", "A chain of key records cut at either end or in the middle"},
	{"A4", "Recipients left out of an envelope or of its record"},
	{"A5", "A retired certificate offered as the one in use"},
	{"A6", "Lookup and unwrap name different keys"},
	{"A7", "Statuses that are forged, old, replayed, or by somebody else"},
	{"A8", "A request to unwrap played again, within its window and after it"},
	{"A9", "A device that is revoked while it works"},
	{"A10", "An answer sealed to the key of another device"},
	{"A11", "Ten thousand keys at once: over the quota of the device, of its person or of the CoI nothing is given"},
	{"A12", "A gateway that hides a new key from one device: nothing is sent beyond the old key's end, and the lie is found"},
	{"A13", "Clocks that are ten minutes off at the end of a key"},
	{"A14", "An unwrap service that gives garbage: another one is asked, and the liar is named"},
	{"A15", "A case with one approver too few"},
	{"A16", "A case, or an approval of it, that has expired"},
	{"A17", "A case whose scope was changed after it was approved"},
	{"A18", "An unwrap service whose log can not be written: no key is touched"},
	{"A19", "Envelopes of old algorithms: CBC, PKCS #1 v1.5, SHA-1"},
	{"A20", "An unwrap service started again over old rules"},
	{"A21", "Denials compared: their words, their size, their time and what they leave behind are the same"},
}
