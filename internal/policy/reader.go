package policy

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// text is a string of the document and where it stands.
type text struct {
	s  string
	at int
}

// The document as written. Elements come in any order, and how the text of a
// statement reads depends on the Version, so that everything is read before
// anything is compiled.
type (
	rawDocument struct {
		at         int
		version    *text
		id         *text
		statements []rawStatement
		present    bool // a Statement element was there
	}
	rawStatement struct {
		at           int
		from, to     int // as AWS counts: from behind the token before it, to behind its brace
		sid          *text
		effect       *text
		principal    *rawPrincipal
		notPrincipal *rawPrincipal
		action       *rawList
		notAction    *rawList
		resource     *rawList
		notResource  *rawList
		conditions   []rawCondition
	}
	rawList struct {
		at     int
		values []text
	}
	rawPrincipal struct {
		at       int
		everyone bool // "*"
		typed    []rawTyped
	}
	rawTyped struct {
		kind   text
		values []text
	}
	rawCondition struct {
		operator text
		key      text
		values   []text
	}
)

// A reader turns JSON into the raw document. Every shape it reads has a fixed
// depth, so that no input makes it recurse.
type reader struct {
	src source
	dec *jsontext.Decoder
}

func newReader(src source) *reader {
	// jsontext refuses names that appear twice and text that is not UTF-8.
	return &reader{src: src, dec: jsontext.NewDecoder(bytes.NewReader(src))}
}

// read returns the next token and where it begins.
func (r *reader) read() (jsontext.Token, int, error) {
	at := int(r.dec.InputOffset())
	for at < len(r.src) && bytes.IndexByte([]byte(" \t\r\n,:"), r.src[at]) >= 0 {
		at++
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return tok, at, r.syntax(err, at)
	}
	return tok, at, nil
}

func (r *reader) syntax(err error, at int) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return r.src.fault(at, "the name %s appears twice; keep one", r.snippet(at))
	}
	var bad *jsontext.SyntacticError
	if errors.As(err, &bad) && bad.Err != nil {
		return r.src.fault(int(bad.ByteOffset), "not JSON: %v", bad.Err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.src.fault(len(r.src), "not JSON: the document ends too early")
	}
	return r.src.fault(at, "not JSON")
}

// snippet is the JSON string that begins at at.
func (r *reader) snippet(at int) string {
	v := r.src[at:]
	for i := 1; i < len(v) && i < 128; i++ {
		if v[i] == '"' && v[i-1] != '\\' {
			return string(v[:i+1])
		}
	}
	return "of a member"
}

// object reads an object and calls member after each name, to read the value.
func (r *reader) object(what string, member func(name text) error) (at int, err error) {
	tok, at, err := r.read()
	if err != nil {
		return at, err
	}
	if tok.Kind() != '{' {
		return at, r.src.fault(at, "%s must be an object", what)
	}
	return at, r.members(member)
}

// members reads the rest of an object whose brace was read.
func (r *reader) members(member func(name text) error) error {
	for {
		tok, at, err := r.read()
		if err != nil {
			return err
		}
		if tok.Kind() == '}' {
			return nil
		}
		if err := member(text{tok.String(), at}); err != nil {
			return err
		}
	}
}

// one reads a string.
func (r *reader) one(what string) (*text, error) {
	tok, at, err := r.read()
	if err != nil {
		return nil, err
	}
	if tok.Kind() != '"' {
		return nil, r.src.fault(at, "%s must be a string", what)
	}
	return &text{tok.String(), at}, nil
}

// many reads a string or a list of at least one string. With scalars, numbers
// and Booleans pass for strings, as AWS lets them in conditions.
func (r *reader) many(what string, scalars bool) (*rawList, error) {
	tok, at, err := r.read()
	if err != nil {
		return nil, err
	}
	list := &rawList{at: at}
	if tok.Kind() != '[' {
		if !scalar(tok, scalars) {
			return nil, r.src.fault(at, "%s must be a string or a list of strings", what)
		}
		list.values = []text{{tok.String(), at}}
		return list, nil
	}
	for {
		tok, at, err := r.read()
		if err != nil {
			return nil, err
		}
		if tok.Kind() == ']' {
			break
		}
		if !scalar(tok, scalars) {
			return nil, r.src.fault(at, "%s must hold strings only", what)
		}
		list.values = append(list.values, text{tok.String(), at})
	}
	if len(list.values) == 0 {
		return nil, r.src.fault(list.at, "%s is empty; name at least one value or leave the element out", what)
	}
	return list, nil
}

func scalar(tok jsontext.Token, scalars bool) bool {
	switch tok.Kind() {
	case '"':
		return true
	case '0', 't', 'f':
		return scalars
	}
	return false
}
