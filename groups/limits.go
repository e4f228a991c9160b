package groups

import "time"

// The limits of what travels. They are one list so that both ends of every
// wire agree; each is tested where it is enforced.
const (
	// MaxBody bounds an entry's body: an application message, a proposal, or a
	// commit without its attachments.
	MaxBody = 1 << 20
	// MaxAttachment bounds a Welcome or GroupInfo beside a commit.
	MaxAttachment = 1 << 20
	// MaxAttachments bounds how many stand beside one entry.
	MaxAttachments = 2
	// MaxFrame bounds one message on any stream: a body, its attachments and
	// their headers.
	MaxFrame = MaxBody + MaxAttachments*MaxAttachment + 64<<10
	// MaxBlob bounds an encrypted attachment or a public tree.
	MaxBlob = 128 << 20
	// BlobChunk is the piece in which a blob travels.
	BlobChunk = 64 << 10
	// MaxSignal bounds an ephemeral signal, which has to fit a datagram.
	MaxSignal = 1000
	// MaxUserDevices bounds the devices of one person that a claim returns.
	MaxUserDevices = 64
	// MaxKeyPackages bounds the unused key packages kept for one device.
	MaxKeyPackages = 200
	// MaxBlobRefs bounds the blobs one entry may refer to.
	MaxBlobRefs = 16
	// PastEpochs is how many epochs back a late message is still accepted.
	PastEpochs = 5
	// SubmissionMemory is how long a submission's id gives its first receipt.
	SubmissionMemory = 30 * 24 * time.Hour
)
