package mls

// Export derives n bytes for the application's own use, which all members of
// this epoch can derive and nobody else (RFC 9420, Section 8.5). It fails with
// suite.ErrLength if n is more than 255 hashes.
func (g *Group) Export(label string, context []byte, n int) ([]byte, error) {
	return g.secrets.export(g.suite, label, context, n)
}

// EpochAuthenticator returns the value by which members see that they have the
// same view of the group (RFC 9420, Section 8.7). It must not be changed.
func (g *Group) EpochAuthenticator() []byte { return g.secrets.authenticator }
