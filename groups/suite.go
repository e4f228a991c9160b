package groups

import "parley/mls/wire"

// A CipherSuite is RFC 9420's (Section 17.1), named here for packages that
// carry key packages without reading MLS.
type CipherSuite = wire.CipherSuite
