package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// Fetch downloads the file of a message into dst and checks it. What dst
// holds already, from an earlier call that was interrupted, is not downloaded
// again. ErrFile says that what came, or what was there, is not the file.
func (d *Device) Fetch(ctx context.Context, room groups.RoomID, id MessageID, dst io.ReadWriteSeeker) error {
	m, err := d.Message(room, id)
	if err != nil {
		return err
	}
	f := m.Content.File
	if f == nil {
		return groups.Errorf(groups.NotFound, "message %s has no file", id)
	}
	s, err := d.online("download " + f.Name)
	if err != nil {
		return err
	}
	have, err := dst.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("download %s: %w", f.Name, err)
	}
	if uint64(have) > f.Size {
		return fmt.Errorf("download %s: there are %d bytes already: %w", f.Name, have, ErrFile)
	}
	piece := uint64(have) / fileChunk
	if uint64(have) < f.Size || f.Size == 0 {
		if _, err := dst.Seek(int64(piece*fileChunk), io.SeekStart); err != nil {
			return fmt.Errorf("download %s: %w", f.Name, err)
		}
		if err := d.fetchPieces(ctx, s, room, newFileOpener(f, piece), dst); err != nil {
			return fmt.Errorf("download %s: %w", f.Name, err)
		}
	}
	return f.verify(dst)
}

// fetchPieces streams the blob from the opener's piece on into dst.
func (d *Device) fetchPieces(ctx context.Context, s *session, room groups.RoomID, o *fileOpener, dst io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.link.Blob(ctx, &devicev1.GetBlobRequest{
		Hash: o.file.Blob[:], Offset: o.piece * (fileChunk + fileTag), Room: string(room),
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	for !o.done() {
		part, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("it ends early: %w", ErrFile)
		}
		if err != nil {
			return err
		}
		if err := o.write(part.Chunk, dst); err != nil {
			return err
		}
	}
	return nil
}

// verify reads the whole file and compares it with what the message says.
func (f *File) verify(r io.ReadSeeker) error {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("check %s: %w", f.Name, err)
	}
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return fmt.Errorf("check %s: %w", f.Name, err)
	}
	if uint64(n) != f.Size || !bytes.Equal(h.Sum(nil), f.SHA256[:]) {
		return fmt.Errorf("check %s: %w", f.Name, ErrFile)
	}
	return nil
}

// fetchBlob downloads a public blob, such as a tree, and checks its hash.
func (d *Device) fetchBlob(ctx context.Context, s *session, room groups.RoomID, hash []byte) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.link.Blob(ctx, &devicev1.GetBlobRequest{Hash: hash, Room: string(room)})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var blob []byte
	for {
		part, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if blob = append(blob, part.Chunk...); len(blob) > groups.MaxBlob {
			return nil, groups.Errorf(groups.TooLarge, "blob %x is larger than %d bytes", hash, groups.MaxBlob)
		}
	}
	if sum := sha256.Sum256(blob); !bytes.Equal(sum[:], hash) {
		return nil, groups.Errorf(groups.Invalid, "blob %x has another hash", hash)
	}
	return blob, nil
}

func appendUint64(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }
