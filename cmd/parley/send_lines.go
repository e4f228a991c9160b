package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"parley/client"
	"parley/groups"
)

// maxLines is how many lines of standard input are queued in one transaction.
const maxLines = 64

// sendLines sends every line of standard input: those that have been read
// already in one transaction, so that a slow writer is heard at once and a
// fast one is not waited for line by line.
func (s *session) sendLines(ctx context.Context, room groups.RoomID, f *sendFlags) error {
	if !f.offline {
		s.goOnline(ctx)
	}
	in := bufio.NewReaderSize(s.app.in, client.MaxText)
	for taken := 0; ; {
		batch, end := readLines(in)
		if len(batch) > 0 {
			queued, err := s.queueAll(ctx, room, batch)
			if err != nil {
				return advise(err, fmt.Sprintf("%d messages of the input were taken, what follows was not", taken))
			}
			taken += len(queued)
			if err := s.report(ctx, queued, f); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(end, io.EOF):
			return nil
		case end != nil:
			return end
		case ctx.Err() != nil:
			return nil // interrupted: what was read is in the outbox
		}
	}
}

// queueAll queues a batch; when the outbox is full it waits for room in it.
func (s *session) queueAll(ctx context.Context, room groups.RoomID, batch []client.Content) ([]client.Message, error) {
	queued, err := s.Send(room, batch...)
	if groups.KindOf(err) != groups.Busy || s.ended == nil {
		return queued, err
	}
	if err := s.drain(ctx); err != nil {
		return nil, err
	}
	return s.Send(room, batch...)
}

// readLines waits for one line and takes what else is there; empty lines are
// left out. A line that is too long for a message is an error.
func readLines(in *bufio.Reader) (batch []client.Content, end error) {
	for len(batch) < maxLines {
		line, err := in.ReadSlice('\n')
		if text := strings.TrimRight(string(line), "\r\n"); text != "" && err != bufio.ErrBufferFull {
			batch = append(batch, client.Text(strings.ToValidUTF8(text, "\ufffd")))
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return batch, groups.Errorf(groups.TooLarge, "a line of more than %d bytes is too long for a message", client.MaxText)
		case err != nil:
			return batch, err
		}
		if next, err := in.Peek(in.Buffered()); err != nil || !strings.Contains(string(next), "\n") {
			return batch, nil
		}
	}
	return batch, nil
}
