package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"parley/groups"
	"parley/mls/wire"
)

// A MessageID names a message in its room: the submission id it was sent
// under, chosen at random by the sending device.
type MessageID groups.SubmissionID

// String returns the id in hex.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes the id in hex.
func (id MessageID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *MessageID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseMessageID(string(b))
	return err
}

// ParseMessageID reads 32 hex digits.
func ParseMessageID(s string) (id MessageID, err error) {
	if n, err := hex.Decode(id[:], []byte(s[:min(len(s), 2*len(id))])); err != nil || n != len(id) || len(s) != 2*len(id) {
		return MessageID{}, groups.Errorf(groups.Invalid, "%q is not a message id: it has 32 hex digits", clip(s))
	}
	return id, nil
}

// A ContentKind says what a message does.
type ContentKind uint8

// The kinds of content.
const (
	KindText     ContentKind = iota + 1 // says something
	KindReply                           // says something about Target
	KindEdit                            // replaces the text of Target
	KindDelete                          // takes Target back
	KindReaction                        // an emoji on Target
	KindUnreact                         // takes that emoji back
	KindFile                            // a file, with a caption
)

var contentKindNames = [...]string{"", "text", "reply", "edit", "delete", "reaction", "unreaction", "file"}

// Amends says whether a content changes a message instead of being one.
func (c *Content) Amends() bool {
	return c.Kind == KindEdit || c.Kind == KindDelete || c.Kind == KindReaction || c.Kind == KindUnreact
}

// String returns the kind's name.
func (k ContentKind) String() string {
	if int(k) < len(contentKindNames) && k != 0 {
		return contentKindNames[k]
	}
	return fmt.Sprintf("content(%d)", uint8(k))
}

// Limits of what a message says, in bytes.
const (
	MaxText     = 64 << 10
	MaxEmoji    = 64
	MaxFileName = 255
	maxFileType = 127
)

// ContentVersion is the version of Content this package writes and reads.
const ContentVersion = 1

// A Content is what a message says: the application data of a PrivateMessage.
// Text is valid UTF-8, and may hold anything that UTF-8 can, terminal escapes
// included: who shows it has to mind that.
//
//	struct {
//	  uint8 version;
//	  ContentKind kind;
//	  select (kind) {
//	    case text:                opaque text<V>;
//	    case reply, edit:         opaque target[16]; opaque text<V>;
//	    case delete:              opaque target[16];
//	    case reaction, unreact:   opaque target[16]; opaque emoji<V>;
//	    case file:                opaque text<V>; File file;
//	  };
//	} Content;
type Content struct {
	Kind   ContentKind
	Target MessageID // of a reply, edit, delete or reaction
	Text   string    // or the emoji, or the caption of a file
	File   *File     // of a file
}

// A File is what a message says about a file, and the key to it. The blob
// holds its ciphertext, see file.go.
//
//	struct {
//	  opaque name<V>; opaque type<V>; uint64 size;
//	  opaque blob[32]; opaque key[32]; opaque sha256[32];
//	} File;
type File struct {
	Name   string      // a base name, never a path
	Type   string      // its media type, or empty
	Size   uint64      // of the plaintext
	Blob   groups.Hash // of the ciphertext, which names the blob
	Key    [32]byte    // AES-256-GCM, used for this file only
	SHA256 groups.Hash // of the plaintext
}

// Text says something.
func Text(text string) Content { return Content{Kind: KindText, Text: text} }

// Reply says something about another message.
func Reply(to MessageID, text string) Content {
	return Content{Kind: KindReply, Target: to, Text: text}
}

// Edit replaces the text of one's own message.
func Edit(of MessageID, text string) Content {
	return Content{Kind: KindEdit, Target: of, Text: text}
}

// Delete takes one's own message back. Devices that have it drop its text.
func Delete(of MessageID) Content { return Content{Kind: KindDelete, Target: of} }

// React puts an emoji on a message.
func React(to MessageID, emoji string) Content {
	return Content{Kind: KindReaction, Target: to, Text: emoji}
}

// Unreact takes an emoji back.
func Unreact(to MessageID, emoji string) Content {
	return Content{Kind: KindUnreact, Target: to, Text: emoji}
}

// ErrContent says that a message has been opened but does not hold content
// that this version can read.
var ErrContent = errors.New("unreadable content")

// Marshal returns the encoded content, or an error if a limit is exceeded.
func (c *Content) Marshal() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, groups.Errorf(groups.Invalid, "message: %w", err)
	}
	w := wire.NewWriter(make([]byte, 0, 192+len(c.Text)))
	c.encode(w)
	return w.Bytes(), nil
}

// ParseContent reads what Marshal wrote; every error wraps ErrContent.
func ParseContent(b []byte) (Content, error) {
	r := wire.NewReader(b)
	var c Content
	c.decode(r)
	if err := r.Done(); err != nil {
		return Content{}, fmt.Errorf("%w: %w", ErrContent, err)
	}
	if err := c.check(); err != nil {
		return Content{}, fmt.Errorf("%w: %w", ErrContent, err)
	}
	return c, nil
}

// targeted says whether the content is about another message.
func (c *Content) targeted() bool { return c.Kind >= KindReply && c.Kind <= KindUnreact }

// check holds the content to its limits.
func (c *Content) check() error {
	limit := MaxText
	switch c.Kind {
	case KindText, KindReply, KindEdit:
		if c.Text == "" {
			return errors.New("there is no text")
		}
	case KindDelete:
		limit = 0
	case KindReaction, KindUnreact:
		if limit = MaxEmoji; c.Text == "" {
			return errors.New("there is no emoji")
		}
	case KindFile:
	default:
		return fmt.Errorf("unknown kind %d", c.Kind)
	}
	if len(c.Text) > limit {
		return fmt.Errorf("text of %d bytes: at most %d, longer ones are for a file", len(c.Text), limit)
	}
	if !utf8.ValidString(c.Text) {
		return errors.New("text that is not UTF-8")
	}
	if (c.Kind == KindFile) != (c.File != nil) {
		return errors.New("a file message needs a file, others have none")
	}
	if c.File != nil {
		return c.File.check()
	}
	return nil
}

// check refuses names that could lead out of a folder or confuse a person.
func (f *File) check() error {
	bad := f.Name == "" || f.Name == "." || f.Name == ".." || len(f.Name) > MaxFileName || !utf8.ValidString(f.Name) ||
		strings.ContainsFunc(f.Name, func(r rune) bool { return r < 0x20 || r == 0x7f || strings.ContainsRune(`/\:`, r) })
	if bad {
		return fmt.Errorf("%q is not a file name", clip(f.Name))
	}
	if len(f.Type) > maxFileType || strings.ContainsFunc(f.Type, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return fmt.Errorf("%q is not a media type", clip(f.Type))
	}
	if f.Size > MaxFile {
		return fmt.Errorf("a file of %d bytes: at most %d", f.Size, MaxFile)
	}
	return nil
}

func (c *Content) encode(w *wire.Writer) {
	w.Uint8(ContentVersion)
	w.Uint8(uint8(c.Kind))
	if c.targeted() {
		w.Raw(c.Target[:])
	}
	if c.Kind != KindDelete {
		w.String(c.Text)
	}
	if f := c.File; f != nil {
		w.String(f.Name)
		w.String(f.Type)
		w.Uint64(f.Size)
		w.Raw(f.Blob[:])
		w.Raw(f.Key[:])
		w.Raw(f.SHA256[:])
	}
}

func (c *Content) decode(r *wire.Reader) {
	if v := r.Uint8(); r.Err() == nil && v != ContentVersion {
		r.Fail(fmt.Errorf("%w: content version %d", wire.ErrMalformed, v))
	}
	c.Kind = ContentKind(r.Uint8())
	if c.targeted() {
		copy(c.Target[:], r.Fixed(len(c.Target)))
	}
	if c.Kind != KindDelete {
		c.Text = string(r.OpaqueMax(MaxText))
	}
	if c.Kind == KindFile {
		c.File = &File{
			Name: string(r.OpaqueMax(MaxFileName)), Type: string(r.OpaqueMax(maxFileType)),
			Size: r.Uint64(), Blob: r.Hash(), Key: r.Hash(), SHA256: r.Hash(),
		}
	}
}

// clip shortens foreign text for an error.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "..."
	}
	return s
}
