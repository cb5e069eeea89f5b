package wire

import "fmt"

// Error is the one outward error: what a client sees. Everything else becomes InternalFailure outside and stays in the log.
//
// Code is either a code of the service ("NoSuchBucket", "NotFoundException") or one of the common codes below, which are written in
// each service's own dialect when the answer is encoded.
type Error struct {
	Code    string            // AWS's error code
	Message string            // what the caller may read
	Status  int               // HTTP status; 0 takes the API model's, else 400 (500 for a fault of ours)
	Server  bool              // our fault, not the sender's
	Fields  map[string]string // further XML elements or JSON members, such as BucketName
	Header  map[string]string // further headers of the answer
}

// The codes that every service has, under one name. EncodeError turns them into the service's own.
const (
	CodeAccessDenied          = "AccessDenied"
	CodeInternalFailure       = "InternalFailure"
	CodeServiceUnavailable    = "ServiceUnavailable"
	CodeThrottling            = "Throttling"
	CodeValidation            = "ValidationError"
	CodeMissingAuthentication = "MissingAuthenticationToken"
	CodeInvalidClientToken    = "InvalidClientTokenId"
	CodeIncompleteSignature   = "IncompleteSignature"
	CodeSignatureMismatch     = "SignatureDoesNotMatch"
	CodeExpiredToken          = "ExpiredToken"
	CodeRequestExpired        = "RequestExpired"
	CodeTimeSkewed            = "RequestTimeTooSkewed"
	CodeTooLarge              = "RequestEntityTooLarge"
)

// Error says code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an error of the sender with a code and a formatted message.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithStatus sets the HTTP status and returns the error.
func (e *Error) WithStatus(status int) *Error {
	e.Status = status
	return e
}

// With adds a further element to the answer and returns the error.
func (e *Error) With(name, value string) *Error {
	if e.Fields == nil {
		e.Fields = make(map[string]string)
	}
	e.Fields[name] = value
	return e
}
