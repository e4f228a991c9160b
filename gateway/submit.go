package gateway

import (
	"context"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// Submit answers one submission when it is durable, or refused.
func (s *service) Submit(ctx context.Context, req *connect.Request[devicev1.SubmitRequest]) (*connect.Response[devicev1.SubmitResponse], error) {
	session := callOf(ctx).session
	sub, err := submissionOf(session.device, req.Msg.Submission)
	if err != nil {
		return nil, err
	}
	if err := session.rates.submission(sub.Kind, s.config.Now()); err != nil {
		return nil, err
	}
	s.metrics.submissions.Inc()
	done := make(chan groups.Outcome, 1) // never blocks who answers, even if nobody waits any more
	s.config.Submitter.Submit(sub, func(o groups.Outcome) { done <- o })
	select {
	case o := <-done:
		if o.Err != nil {
			return nil, o.Err
		}
		answer := &devicev1.SubmitResponse{Receipt: encodeReceipt(&o.Receipt)}
		if head := s.headFor(&o.Receipt, o.Head); head != nil {
			answer.Head = head.Marshal()
		}
		return connect.NewResponse(answer), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// submissionOf checks the form of what a device submits. What it means is for
// the room's ledger.
func submissionOf(device groups.DeviceID, m *devicev1.Submission) (groups.Submission, error) {
	none := groups.Submission{}
	room, err := groups.ParseRoomID(m.GetRoom())
	if err != nil {
		return none, err
	}
	if len(m.Id) != len(none.ID) {
		return none, groups.Errorf(groups.Invalid, "submission: the id has %d bytes, not %d", len(m.Id), len(none.ID))
	}
	switch k := groups.EntryKind(min(m.Kind, 255)); k {
	case groups.KindCreate, groups.KindCommit, groups.KindProposal, groups.KindMessage,
		groups.KindKeyRecord, groups.KindFlag:
	default:
		return none, groups.Errorf(groups.Invalid, "submission: a device does not submit a %s", k)
	}
	if len(m.Body) == 0 {
		return none, groups.Errorf(groups.Invalid, "submission: the body is empty")
	}
	if len(m.Body) > groups.MaxBody {
		return none, groups.Errorf(groups.TooLarge, "submission: a body of %d bytes, of at most %d", len(m.Body), groups.MaxBody)
	}
	if len(m.Attachments) > groups.MaxAttachments {
		return none, groups.Errorf(groups.TooLarge, "submission: %d attachments, of at most %d", len(m.Attachments), groups.MaxAttachments)
	}
	for _, a := range m.Attachments {
		if len(a) > groups.MaxAttachment {
			return none, groups.Errorf(groups.TooLarge, "submission: an attachment of %d bytes, of at most %d", len(a), groups.MaxAttachment)
		}
	}
	return groups.Submission{
		Room: room, Kind: groups.EntryKind(m.Kind), ID: groups.SubmissionID(m.Id),
		Device: device, Body: m.Body, Attachments: m.Attachments,
	}, nil
}

// headFor returns a signed head that covers a receipt: the one that came with
// it, else the log's. It is nil where the log here has not got that far; then
// the device's tail brings one.
func (s *Server) headFor(r *groups.Receipt, came *groups.SignedHead) *groups.SignedHead {
	if came != nil {
		return came
	}
	page, err := s.config.Log.Read(r.Room, r.Seq, 1)
	if err != nil || page.Head == nil || page.Head.Head.Seq < r.Seq {
		return nil
	}
	return page.Head
}
