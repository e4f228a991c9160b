package storage

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// A badgerLog passes on Badger's complaints, and keeps the one that is told
// nowhere else.
type badgerLog struct {
	log *slog.Logger

	// unsynced is what Badger said when the value log could not be synced: its
	// Commit then returns nil all the same.
	unsynced atomic.Pointer[string]
}

// failedSync is how Badger 4.9.6 begins to say that.
const failedSync = "Error while curlf sync"

func (l *badgerLog) Errorf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	if strings.HasPrefix(text, failedSync) {
		l.unsynced.CompareAndSwap(nil, &text)
	}
	l.log.Error("badger", "says", text)
}

func (l *badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("badger", "says", fmt.Sprintf(format, args...))
}

func (*badgerLog) Infof(string, ...any)  {}
func (*badgerLog) Debugf(string, ...any) {}

// synced returns what Badger's Commit keeps to itself: that something it wrote
// may not be on the disk.
func (l *badgerLog) synced() error {
	if text := l.unsynced.Load(); text != nil {
		return fmt.Errorf("sync value log: %s", *text)
	}
	return nil
}
