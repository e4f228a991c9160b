package groups

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
	// MaxCoIs bounds the Communities of Interest of one room.
	MaxCoIs = 16
	// MaxUnwrapServices bounds the unwrap services of one CoI.
	MaxUnwrapServices = 8
	// MaxURL bounds the address of a service.
	MaxURL = 512
	// MaxApprovers bounds who may approve cases of one room.
	MaxApprovers = 32
	// MaxSerial bounds a certificate's serial number (RFC 5280, Section 4.1.2.2).
	MaxSerial = 20
	// MaxEnvelope bounds the wrapped room key in a key record.
	MaxEnvelope = 64 << 10
	// MaxKeyRecord bounds an encoded key record.
	MaxKeyRecord = MaxEnvelope + 16<<10
	// MaxContext bounds an encoded GroupContext, policy and all, in a request
	// for keys.
	MaxContext = 512 << 10
	// MaxAnchors and MaxKeyItems bound the lists of one request for keys.
	MaxAnchors  = 64
	MaxKeyItems = 1024
	// MaxReason bounds the words that say what keys are wanted for.
	MaxReason = 1 << 10
	// MaxResponseKey bounds the public key that an answer is sealed to; that
	// of X-Wing has 1216 bytes.
	MaxResponseKey = 2 << 10
	// MaxKeyRequest bounds an encoded request for keys.
	MaxKeyRequest = 16 << 20
	// MaxFlagText bounds the sealed words of a flag.
	MaxFlagText = 16 << 10
	// MaxWarrants bounds the warrants beside a commit, MaxProof the proof in one.
	MaxWarrants = 64
	MaxProof    = 48 << 10
	// MaxRefusal bounds the words of a refusal.
	MaxRefusal = 1 << 10
)
