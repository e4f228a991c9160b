package client

import "testing"

// A gateway may be named by the URL that parley-pki enroll --gateway takes.
func TestGatewayNamedByURL(t *testing.T) {
	for gateway, want := range map[string]string{
		"127.0.0.1:8443":             "127.0.0.1:8443",
		"https://127.0.0.1:8443":     "127.0.0.1:8443",
		"https://chat.alpha.example": "chat.alpha.example:443",
		"https://[::1]/":             "[::1]:443",
		"https://[::1]:8443/":        "[::1]:8443",
	} {
		if got := hostPort(gateway); got != want {
			t.Errorf("%s: %s, want %s", gateway, got, want)
		}
	}
}
