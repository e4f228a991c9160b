package federation

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// Codes a blob stream is reset with.
const (
	streamDone quic.StreamErrorCode = iota
	streamBad
)

// fetchBlob brings one blob over a stream of its own, from where this node has
// stopped before. The store checks the hash.
func (l *link) fetchBlob(hash groups.Hash) error {
	have, _, complete, err := l.node.cfg.Blobs.StatBlob(hash)
	if err != nil || complete {
		return err
	}
	s, err := l.conn.OpenStream()
	if err != nil {
		return groups.Errorf(groups.Busy, "no stream to %s is free: %w", l.peer, err)
	}
	defer s.CancelRead(streamDone)
	defer s.Close()
	out := []byte{blobStream}
	if out, err = appendFrame(out, &linkv1.BlobRequest{Hash: hash[:], Offset: have}); err != nil {
		return err
	}
	s.SetDeadline(time.Now().Add(blobTime))
	if _, err := s.Write(out); err != nil {
		return groups.Errorf(groups.Unavailable, "ask %s for a blob: %w", l.peer, err)
	}
	frames := newFrameReader(s, firstBuffer)
	b, err := frames.next()
	if err != nil {
		return groups.Errorf(groups.Unavailable, "hear from %s about a blob: %w", l.peer, err)
	}
	var h linkv1.BlobHeader
	if err := proto.Unmarshal(b, &h); err != nil {
		return groups.Errorf(groups.Invalid, "%s answers about a blob what can not be read", l.peer)
	}
	if h.Refusal != nil {
		return remote(l.peer, h.Refusal)
	}
	if h.Size > groups.MaxBlob || h.Size < have {
		return groups.Errorf(groups.TooLarge, "%s says a blob has %d bytes, the limit is %d", l.peer, h.Size, groups.MaxBlob)
	}
	return l.storeBlob(hash, s, frames.rest(), blobRest{have, h.Size})
}

// A blobRest is what is still to come of a blob.
type blobRest struct{ have, size uint64 }

// storeBlob stores chunks as they arrive; each has blobTime.
func (l *link) storeBlob(hash groups.Hash, s *quic.Stream, r io.Reader, rest blobRest) error {
	chunk := make([]byte, groups.BlobChunk)
	for {
		s.SetReadDeadline(time.Now().Add(blobTime))
		want := min(uint64(len(chunk)), rest.size-rest.have)
		if _, err := io.ReadFull(r, chunk[:want]); err != nil {
			return groups.Errorf(groups.Unavailable, "read a blob from %s: %w", l.peer, err)
		}
		have, complete, err := l.node.cfg.Blobs.PutBlob(hash, rest.size, rest.have, chunk[:want])
		if err != nil {
			return fmt.Errorf("store a blob from %s: %w", l.peer, err)
		}
		if complete {
			return nil
		}
		if have != rest.have+want {
			return groups.Errorf(groups.Conflict, "a blob from %s is being stored by another transfer too", l.peer)
		}
		rest.have = have
		if rest.have >= rest.size {
			return groups.Errorf(groups.Invalid, "%s sent all of a blob and it is not complete", l.peer)
		}
	}
}

// streams takes the streams that the peer opens after its lanes: blobs it asks
// for. QUIC bounds how many there are, maxBlobServe how many are answered.
func (l *link) streams(ctx context.Context, g *errgroup.Group) error {
	for {
		s, err := l.conn.AcceptStream(ctx)
		if err != nil {
			return err
		}
		g.Go(func() error {
			if err := l.serveBlob(s); err != nil {
				l.node.blame(err)
				s.CancelRead(streamBad)
				s.CancelWrite(streamBad)
				l.node.log.Debug("a blob was not served", "peer", string(l.peer), "error", err)
			}
			return nil
		})
	}
}

// serveBlob answers one request. Whoever names a hash has seen an entry that
// refers to it: blobs are ciphertext, and their names can not be guessed.
func (l *link) serveBlob(s *quic.Stream) error {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTime)
	defer cancel()
	kind, err := streamKind(ctx, s)
	if err != nil || kind != blobStream {
		return fmt.Errorf("%w: a stream of kind %d: %w", errProtocol, kind, err)
	}
	s.SetReadDeadline(time.Now().Add(handshakeTime))
	b, err := newFrameReader(s, firstBuffer).next()
	if err == errFrameTooLarge {
		err = fmt.Errorf("%w: %w", errProtocol, err)
	}
	if err != nil {
		return err
	}
	hash, offset, err := parseBlobRequest(b)
	if err != nil {
		return err
	}
	defer l.serving.Add(-1)
	chunk, size, err := l.firstChunk(hash, offset)
	if err != nil {
		return l.sendBlob(s, &linkv1.BlobHeader{Refusal: refusal(err)}, nil)
	}
	if err := l.sendBlob(s, &linkv1.BlobHeader{Size: size}, chunk); err != nil {
		return err
	}
	for offset += uint64(len(chunk)); offset < size; offset += uint64(len(chunk)) {
		if chunk, _, err = l.node.cfg.Blobs.ReadBlob(hash, offset, groups.BlobChunk); err != nil || len(chunk) == 0 {
			return fmt.Errorf("read blob %s at %d: %w", hash, offset, err)
		}
		s.SetWriteDeadline(time.Now().Add(blobTime))
		if _, err := s.Write(chunk); err != nil {
			return err
		}
	}
	return s.Close()
}

// firstChunk reads where the answer begins, if the peer may have one more.
func (l *link) firstChunk(hash groups.Hash, offset uint64) ([]byte, uint64, error) {
	if l.serving.Add(1) > maxBlobServe {
		return nil, 0, groups.Errorf(groups.Busy, "too many blobs at once: try again later")
	}
	_, size, complete, err := l.node.cfg.Blobs.StatBlob(hash)
	switch {
	case err != nil:
		return nil, 0, err
	case !complete:
		return nil, 0, groups.Errorf(groups.NotFound, "blob %s is not here", hash)
	case offset > size:
		return nil, 0, groups.Errorf(groups.Invalid, "blob %s has %d bytes", hash, size)
	case offset == size:
		return nil, size, nil
	}
	return l.node.cfg.Blobs.ReadBlob(hash, offset, groups.BlobChunk)
}

// sendBlob writes the header and the first chunk; a refusal ends the stream.
func (l *link) sendBlob(s *quic.Stream, h *linkv1.BlobHeader, chunk []byte) error {
	out, err := appendFrame(nil, h)
	if err != nil {
		return err
	}
	s.SetWriteDeadline(time.Now().Add(blobTime))
	if _, err := s.Write(append(out, chunk...)); err != nil {
		return err
	}
	if h.Refusal != nil {
		return s.Close()
	}
	return nil
}

func parseBlobRequest(b []byte) (groups.Hash, uint64, error) {
	var m linkv1.BlobRequest
	if err := proto.Unmarshal(b, &m); err != nil || len(m.Hash) != len(groups.Hash{}) {
		return groups.Hash{}, 0, fmt.Errorf("%w: bad blob request", errProtocol)
	}
	return groups.Hash(m.Hash), m.Offset, nil
}
