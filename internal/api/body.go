package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"bawn.dev/internal/sigv4"
)

// maxBody bounds the input of every operation that does not stream. AWS's own
// bounds are lower or equal; S3's configuration documents are the largest.
const maxBody = 2 << 20

// maxStream bounds a streamed input: AWS's largest object in one part, 5 GiB.
const maxStream = 5 << 30

// What a sender may take: to send a whole document, and to send anything at all of
// a stream.
const (
	documentPatience = time.Minute
	streamPatience   = time.Minute
)

// A sender is the peer while it sends a request's body. Anybody can be one, and
// stop in the middle: each wait has an end.
type sender struct {
	conn *http.ResponseController
	body *sent // nil: there is none
}

// waiting bounds how long the whole body may take, and makes its errors the
// sender's.
func waiting(w http.ResponseWriter, r *http.Request) (*sender, error) {
	if r.ContentLength == 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		// net/http does this for other bodies. boto3 expects it of empty ones too: a final
		// answer in its place spoils the connection for the next request.
		w.WriteHeader(http.StatusContinue)
	}
	s := &sender{conn: http.NewResponseController(w)}
	if r.Body != nil && r.Body != http.NoBody {
		s.body = &sent{ReadCloser: r.Body}
		r.Body = s.body
	}
	return s, s.until(documentPatience)
}

// until sets the end of all waiting; 0 is none.
func (s *sender) until(d time.Duration) error {
	var end time.Time
	if d > 0 {
		end = time.Now().Add(d) // the connection knows the machine's clock only
	}
	return s.conn.SetReadDeadline(end)
}

// streaming bounds, from now on, how long each read may take.
func (s *sender) streaming() error {
	if s.body == nil {
		return s.until(0)
	}
	s.body.each = s
	return nil
}

// sent is a body whose failure to arrive is the sender's.
type sent struct {
	io.ReadCloser
	each *sender // bounds each read; nil: the whole is bounded already
}

// Read reads what has arrived, or waits.
func (b *sent) Read(p []byte) (int, error) {
	if b.each != nil {
		if err := b.each.until(streamPatience); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF && b.each != nil:
		if err := b.each.until(0); err != nil { // nothing more is awaited
			return n, err
		}
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		err = &Error{Code: "RequestTimeout", Status: http.StatusBadRequest, Message: "The body of the request did not arrive in time, or not at all."}
	}
	return n, err
}

// A document is a body that was read to its end.
type document struct {
	text []byte
	hash string // of text, in hex
}

// document reads the body of a request that could be authentic, unless it is a
// stream, which then is nil. It comes before the call has a snapshot: a sender who
// is slow, or nobody, must hold nothing.
func (c *Call) document(r *http.Request, from *sender, sig *sigv4.Signature, sigErr error) (*document, error) {
	if c.op.credential.kind != open {
		if sigErr != nil {
			return nil, sigErr
		}
		if sig.Service != c.service.Model.SigningName || !c.door.signedHere(sig.Region) {
			return nil, errScope
		}
		if c.model.StreamingIn {
			return nil, from.streaming()
		}
		if sig.Payload.Streaming() { // in chunks, whose signatures need the key
			return nil, nil
		}
	}
	text, hash, err := sigv4.ReadBody(r, maxBody)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = &Error{Code: "IncompleteBody", Status: http.StatusBadRequest, Message: "The body is shorter than its stated length."}
	}
	if err != nil {
		return nil, err
	}
	return &document{text, hash}, from.until(0)
}
