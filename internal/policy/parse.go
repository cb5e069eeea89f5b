package policy

import "fmt"

// An Error says where a document is not a policy of its kind, and what to do.
type Error struct {
	Line, Column int    // from 1; columns count bytes
	Message      string // one sentence without a full stop
}

func (e *Error) Error() string {
	return fmt.Sprintf("policy: line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Parse reads a policy of the given kind. Every failure is an *Error.
func Parse(data []byte, kind Kind) (*Policy, error) {
	return nil, &Error{Line: 1, Column: 1, Message: "not yet"}
}

type statement struct{}

func (s *statement) keys() []string { return nil }
