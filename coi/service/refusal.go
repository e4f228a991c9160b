package service

import (
	"fmt"

	"connectrpc.com/connect"
)

// refuse is what a caller is told. The codes stand for the kinds that cross
// machines: invalid_argument invalid, permission_denied denied, already_exists
// conflict, failed_precondition denied, resource_exhausted busy, unavailable
// unavailable, internal internal.
func refuse(code connect.Code, format string, args ...any) *connect.Error {
	return connect.NewError(code, fmt.Errorf(format, args...))
}

// internal logs what went wrong here and tells the caller no more than that.
func (e *Enroll) internal(err error) error {
	e.log.Error("enrolment", "err", err)
	return refuse(connect.CodeInternal, "the enrolment service has a problem of its own: its log says which; try again later")
}

// report logs a refusal; internal ones were logged where they were found.
func (e *Enroll) report(from string, err error) {
	if connect.CodeOf(err) != connect.CodeInternal {
		e.log.Warn("enrolment refused", "from", from, "err", err)
	}
}

// clip keeps foreign text short enough for an answer and a log line.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
