// Package hsm is how the unwrap service uses private keys that a token keeps:
// the few words it exchanges with parley-hsm, and both ends of them.
//
//	unwrap service                     parley-hsm (cgo)
//	  Client --list----------------->  Server --> Token (PKCS #11)
//	         <---names, public keys--
//	         --agree(point)--------->  x-coordinate: one envelope's secret
//	         --decrypt(ciphertext)-->  one envelope's content key
//	            unix socket, mode 0600, same user at both ends
//
// The keys are opaque: the Client's are an ecdh.KeyExchanger or a
// crypto.Decrypter, and package wrap takes them as they are. Who can speak on
// the socket can use the keys as long as parley-hsm runs, but never take one
// away; so the socket stands in the service's own directory, and each end asks
// the system who the other is. parley-hsm asks nobody for leave: what may be
// opened is decided, and logged, by the unwrap service before it asks.
//
// It knows frames, keys by the hash of their public half, and when a token is
// away. It must not know PKCS #11, envelopes, or what a key is used for.
package hsm
