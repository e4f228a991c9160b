package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// A FileSource is a file to send.
type FileSource struct {
	Name    string    // its base name; must be given
	Type    string    // its media type, may be empty
	Caption string    // may be empty
	Body    io.Reader // must be given; read to its end
}

// SendFile encrypts a file into the store and queues a message about it. The
// blob is uploaded when the device is online, before the message leaves; an
// interrupted upload goes on where it was.
func (d *Device) SendFile(id groups.RoomID, src FileSource) (Message, error) {
	probe := Content{Kind: KindFile, Text: src.Caption, File: &File{Name: src.Name, Type: src.Type}}
	if _, err := probe.Marshal(); err != nil {
		return Message{}, err
	}
	if _, err := d.Room(id); err != nil {
		return Message{}, err
	}
	draft := newID()
	f, err := sealFile(src.Body, func(piece uint64, sealed []byte) error {
		return d.cfg.Store.Update(func(tx Tx) error { return tx.Put(TableBlobs, pieceKey(draft[:], piece), sealed) })
	})
	if err != nil {
		return Message{}, errors.Join(err, d.forgetBlob(draft[:]))
	}
	f.Name, f.Type = src.Name, src.Type
	var sent Message
	err = d.change(id, func(tx Tx, r *room) error {
		if err := tx.Put(TableBlobs, blobKey(f.Blob), draft[:]); err != nil {
			return err
		}
		it, err := r.enqueue(tx, Content{Kind: KindFile, Text: src.Caption, File: &f}, d)
		if err == nil {
			sent = *it.message() // as it is now: the sender may take it on at once
		}
		return err
	})
	if err != nil {
		return Message{}, errors.Join(err, d.forgetBlob(draft[:]))
	}
	d.wakeOutbox()
	return sent, nil
}

// Rows of TableBlobs: "d" draft piece -> a sealed piece; "b" hash -> draft, for
// a blob that has to be uploaded.

func pieceKey(draft []byte, piece uint64) []byte {
	return appendUint64(append([]byte("d"), draft...), piece)
}

func blobKey(hash groups.Hash) []byte { return append([]byte("b"), hash[:]...) }

// forgetBlob removes the pieces of a draft.
func (d *Device) forgetBlob(draft []byte) error {
	return d.cfg.Store.Update(func(tx Tx) error { return deleteAll(tx, TableBlobs, append([]byte("d"), draft...)) })
}

// hasUpload says whether an item's file has not been uploaded yet.
func (d *Device) hasUpload(tx Tx, it *item) (bool, error) {
	if it.Content.File == nil {
		return false, nil
	}
	b, err := tx.Get(TableBlobs, blobKey(it.Content.File.Blob))
	return b != nil, err
}

// A fileJob is a blob to be uploaded before a room's outbox goes on.
type fileJob struct {
	room groups.RoomID
	id   MessageID
	file File
}

// nextFile returns the upload that the room's outbox waits for.
func (r *room) nextFile() []fileJob {
	it := r.first()
	if it == nil || it.Content.File == nil {
		return nil
	}
	return []fileJob{{r.Room, it.ID, *it.Content.File}}
}

// upload uploads blobs. A refusal fails the message; what is temporary is
// tried again after a while; what is neither ends the session.
func (d *Device) upload(ctx context.Context, s *session, jobs []fileJob) error {
	for _, job := range jobs {
		err := d.uploadBlob(ctx, s, &job.file)
		remote, refused := errors.AsType[*groups.RemoteError](err)
		switch {
		case err == nil:
		case refused && remote.Kind.Temporary():
			d.mu.Lock()
			if r := d.rooms[job.room]; r != nil {
				r.hold.until = d.cfg.Now().Add(holdBusy)
			}
			d.mu.Unlock()
		case refused:
			if err := d.failItem(job.room, job.id, fmt.Sprintf("upload: %s", remote.Text)); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// uploadBlob uploads one blob from where the gateway has it.
func (d *Device) uploadBlob(ctx context.Context, s *session, f *File) error {
	size := sealedSize(f.Size)
	var stat devicev1.StatBlobResponse
	err := s.link.Call(ctx, &devicev1.StatBlobRequest{Hash: f.Blob[:]}, &stat)
	if err != nil && kindOf(err) != groups.NotFound {
		return err
	}
	have, complete := stat.Have, stat.Complete
	for !complete {
		chunk, err := d.blobAt(f, have)
		if err != nil {
			return err
		}
		var put devicev1.PutBlobResponse
		err = s.link.Call(ctx, &devicev1.PutBlobRequest{Hash: f.Blob[:], Size: size, Offset: have, Chunk: chunk}, &put)
		if err != nil {
			return err
		}
		if !put.Complete && (put.Have <= have || put.Have >= size) {
			return groups.Errorf(groups.Unavailable, "upload: the gateway has %d bytes of %d and does not go on", put.Have, size)
		}
		have, complete = put.Have, put.Complete
	}
	return d.cfg.Store.Update(func(tx Tx) error {
		draft, err := tx.Get(TableBlobs, blobKey(f.Blob))
		if err != nil || draft == nil {
			return err
		}
		if err := deleteAll(tx, TableBlobs, append([]byte("d"), draft...)); err != nil {
			return err
		}
		return tx.Delete(TableBlobs, blobKey(f.Blob))
	})
}

// blobAt returns the chunk of a blob at an offset: BlobChunk bytes, as storage
// wants them, or what remains. A chunk lies across pieces, which are longer.
func (d *Device) blobAt(f *File, offset uint64) ([]byte, error) {
	chunk := make([]byte, 0, groups.BlobChunk)
	err := d.cfg.Store.View(func(tx Tx) error {
		draft, err := tx.Get(TableBlobs, blobKey(f.Blob))
		if err != nil {
			return err
		}
		most := min(uint64(groups.BlobChunk), sealedSize(f.Size)-min(offset, sealedSize(f.Size)))
		for draft != nil && uint64(len(chunk)) < most {
			at := offset + uint64(len(chunk))
			piece, skip := at/(fileChunk+fileTag), int(at%(fileChunk+fileTag))
			b, err := tx.Get(TableBlobs, pieceKey(draft, piece))
			if err != nil {
				return err
			}
			if len(b) <= skip {
				break
			}
			chunk = append(chunk, b[skip:min(len(b), skip+int(most)-len(chunk))]...)
		}
		if len(chunk) == 0 || uint64(len(chunk)) < most {
			return errors.New("the file's pieces are not in the store")
		}
		return nil
	})
	return chunk, err
}

// failItem fails a message.
func (d *Device) failItem(where groups.RoomID, id MessageID, why string) error {
	return d.change(where, func(tx Tx, r *room) error {
		it := r.find(id)
		if it == nil || !it.open() {
			return nil
		}
		r.moved = true
		it.State, it.Problem = Failed, why
		r.tell(Event{Kind: EventDelivery, Message: it.message()})
		return it.put(tx)
	})
}
