package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"bawn.dev/internal/shape"
)

// MaxDocument is the largest document (not stream) that Decode reads, in bytes.
const MaxDocument = 2 << 20

// Decode fills in, a pointer to the operation's input, from the request and its body, and checks the constraints of the API model.
// body is read instead of r.Body: it is the body that the caller's signature check vouches for.
//
// What is refused: a member, parameter, header or sub-resource that the operation does not have or that is not served, by its name,
// unless its value asks for nothing; anything given twice; values of the wrong type; broken constraints, all of them in one message.
// The error is an *Error in the service's words, except when reading body failed, and then it is that failure. After an error, in
// must not be used.
func (m *Match) Decode(r *http.Request, body io.Reader, in any) error {
	if m.op == nil {
		return errors.New("wire: there is no operation to decode for")
	}
	dst := reflect.ValueOf(in)
	if dst.Type() != m.op.inType || dst.IsNil() {
		return fmt.Errorf("wire: %s cannot be decoded into %T", m.op.Name, in)
	}
	dst = dst.Elem()
	if body == nil {
		body = http.NoBody
	}
	c := &checker{service: m.service, op: m.op.Name}
	if err := m.decode(c, r, body, dst); err != nil {
		return err
	}
	return c.err()
}

func (m *Match) decode(c *checker, r *http.Request, body io.Reader, dst reflect.Value) error {
	switch m.service.Protocol {
	case shape.RestJSON, shape.RestXML:
		return decodeREST(c, m, r, body, dst)
	}
	text, err := readBody(body)
	if err != nil {
		return err
	}
	if m.service.Protocol == shape.JSON {
		return decodeJSON(c, m.op, m.op.in, text, dst)
	}
	if !isForm(r) && len(text) > 0 {
		return m.service.dialect.malformed("The body is not a form.")
	}
	return decodeForm(c, m.op, r.URL.RawQuery, text, dst)
}

func readBody(body io.Reader) ([]byte, error) {
	if whole, ok := body.(*bytes.Reader); ok && whole.Len() <= MaxDocument {
		text := make([]byte, whole.Len())
		_, err := io.ReadFull(whole, text)
		return text, err
	}
	text, err := io.ReadAll(io.LimitReader(body, MaxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxDocument {
		return nil, Errorf(CodeTooLarge, "The document is larger than %d bytes.", MaxDocument).WithStatus(http.StatusRequestEntityTooLarge)
	}
	return text, nil
}
