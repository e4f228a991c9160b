package client_test

import (
	"log/slog"
	"testing"
)

// logTo writes a device's log into the test's.
func logTo(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}
