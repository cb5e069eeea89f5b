package policy

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// An Error says where a document is not a policy of its kind, and what to do.
// The services' code for it is MalformedPolicyDocument or MalformedPolicy.
type Error struct {
	Line, Column int    // from 1; columns count bytes
	Message      string // without a full stop
}

func (e *Error) Error() string {
	return fmt.Sprintf("policy: line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// source is the text of a document, for the positions of its faults.
type source []byte

// A Position is a place in a document as AWS counts it in answers: both from 1,
// columns in characters.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func (s source) position(at int) Position {
	before := s[:at]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return Position{Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + utf8.RuneCount(line)}
}

// fault is an *Error at the byte offset at.
func (s source) fault(at int, format string, args ...any) error {
	at = min(max(at, 0), len(s))
	before := s[:at]
	return &Error{
		Line:    1 + bytes.Count(before, []byte("\n")),
		Column:  at - bytes.LastIndexByte(before, '\n'),
		Message: fmt.Sprintf(format, args...),
	}
}
