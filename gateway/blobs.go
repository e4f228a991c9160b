package gateway

import (
	"context"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// A blob is named by the hash of what a device has encrypted. Any device of
// the site may put one, within its day's quota, and whoever knows the hash may
// get it: the hash travels inside messages only, and is the right to read what
// without the key inside the same message is noise.

// StatBlob tells how much of a blob has arrived: nothing of an unknown one.
func (s *service) StatBlob(_ context.Context, req *connect.Request[devicev1.StatBlobRequest]) (*connect.Response[devicev1.StatBlobResponse], error) {
	hash, err := blobHash(req.Msg.Hash)
	if err != nil {
		return nil, err
	}
	have, size, complete, err := s.statBlob(hash)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&devicev1.StatBlobResponse{Have: have, Size: size, Complete: complete}), nil
}

// statBlob takes an unknown blob as one of which nothing has arrived.
func (s *Server) statBlob(hash groups.Hash) (have, size uint64, complete bool, err error) {
	have, size, complete, err = s.config.Blobs.StatBlob(hash)
	if groups.KindOf(err) == groups.NotFound {
		return 0, 0, false, nil
	}
	return have, size, complete, err
}

// PutBlob appends a chunk. Where the offset is not what is there, nothing
// changes and the answer says where to go on.
func (s *service) PutBlob(ctx context.Context, req *connect.Request[devicev1.PutBlobRequest]) (*connect.Response[devicev1.PutBlobResponse], error) {
	session, m := callOf(ctx).session, req.Msg
	hash, err := blobHash(m.Hash)
	if err != nil {
		return nil, err
	}
	n := uint64(len(m.Chunk))
	switch {
	case m.Size > groups.MaxBlob:
		return nil, groups.Errorf(groups.TooLarge, "blob: %d bytes, of at most %d", m.Size, groups.MaxBlob)
	case n > groups.BlobChunk:
		return nil, groups.Errorf(groups.TooLarge, "blob: a chunk of %d bytes, of at most %d", n, groups.BlobChunk)
	case m.Size == 0 || n == 0 || m.Offset > m.Size || n > m.Size-m.Offset:
		return nil, groups.Errorf(groups.Invalid, "blob: %d bytes at %d do not lie in %d", n, m.Offset, m.Size)
	}
	have, _, complete, err := s.statBlob(hash)
	if err != nil {
		return nil, err
	}
	if !complete && m.Offset == have {
		if err := session.rates.put(int(n), s.config.Now()); err != nil {
			return nil, err
		}
		have, complete, err = s.config.Blobs.PutBlob(hash, m.Size, m.Offset, m.Chunk)
		if err != nil {
			session.rates.refund(int(n))
			return nil, err
		}
		if have != m.Offset+n {
			session.rates.refund(int(n)) // another device was faster
		}
	}
	return connect.NewResponse(&devicev1.PutBlobResponse{Have: have, Complete: complete}), nil
}

// GetBlob streams a complete blob from an offset on.
func (s *service) GetBlob(ctx context.Context, req *connect.Request[devicev1.GetBlobRequest], stream *connect.ServerStream[devicev1.GetBlobResponse]) error {
	c := callOf(ctx)
	c.asked()
	hash, err := blobHash(req.Msg.Hash)
	if err != nil {
		return err
	}
	guard := s.stalls.watch(c)
	defer guard.close()
	for offset := req.Msg.Offset; ; {
		chunk, size, err := s.config.Blobs.ReadBlob(hash, offset, groups.BlobChunk)
		if err != nil {
			return err
		}
		if offset > size {
			return groups.Errorf(groups.Invalid, "blob: offset %d lies after its %d bytes", offset, size)
		}
		err = guard.write(func() error {
			return stream.Send(&devicev1.GetBlobResponse{Size: size, Chunk: chunk})
		})
		if err != nil {
			return err
		}
		offset += uint64(len(chunk))
		if offset >= size || len(chunk) == 0 {
			return nil
		}
		select {
		case <-s.draining:
			return errDraining
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
}

func blobHash(b []byte) (groups.Hash, error) {
	if len(b) != len(groups.Hash{}) {
		return groups.Hash{}, groups.Errorf(groups.Invalid, "blob: a hash has %d bytes, not %d", len(groups.Hash{}), len(b))
	}
	return groups.Hash(b), nil
}
