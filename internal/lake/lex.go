package lake

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxStatement and maxTokens bound a question.
const (
	maxStatement = 10_000 // characters, as at AWS
	maxTokens    = 2_000
)

// An Invalid says why a question is none.
type Invalid struct{ Why string }

func (e *Invalid) Error() string { return e.Why }

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// brief is a token as an error shows it.
func (t token) brief() string {
	switch r := []rune(t.text); {
	case t.kind == end:
		return "the end"
	case len(r) > 40:
		return fmt.Sprintf("%q", string(r[:40])+"…")
	}
	return fmt.Sprintf("%q", t.text)
}

type kind int

const (
	end    kind = iota
	word        // a name or keyword, as it is written
	quoted      // a name in double quotes
	text        // a string
	number
	sign // an operator or bracket
)

type token struct {
	kind kind
	text string
}

// is says whether a token is this keyword, in capitals, or sign.
func (t token) is(s string) bool {
	return t.kind == sign && t.text == s || t.kind == word && strings.EqualFold(t.text, s)
}

// lexed splits a question into tokens.
func lexed(s string) ([]token, error) {
	if utf8.RuneCountInString(s) > maxStatement || !utf8.ValidString(s) {
		return nil, invalid("the statement is longer than %d characters, or not text", maxStatement)
	}
	var out []token
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if strings.HasPrefix(s, "--") {
			_, s, _ = strings.Cut(s, "\n")
			continue
		}
		if s == "" {
			return append(out, token{}), nil
		}
		if len(out) == maxTokens {
			return nil, invalid("the statement has more than %d words", maxTokens)
		}
		t, rest, err := next(s)
		if err != nil {
			return nil, err
		}
		out, s = append(out, t), rest
	}
}

func next(s string) (token, string, error) {
	c := s[0]
	switch {
	case c == '\'' || c == '"':
		return delimited(s)
	case letter(c):
		n := 1
		for n < len(s) && (letter(s[n]) || digit(s[n])) {
			n++
		}
		return token{word, s[:n]}, s[n:], nil
	case digit(c):
		n := 1
		for n < len(s) && (digit(s[n]) || s[n] == '.' || letter(s[n]) || s[n] == '-' && storeID(s[:n])) {
			n++
		}
		kind := number
		if strings.ContainsFunc(s[:n], func(r rune) bool { return letter(byte(r)) || r == '-' }) {
			kind = word // the id of an event data store may begin with a digit
		}
		return token{kind, s[:n]}, s[n:], nil
	}
	for _, op := range []string{"<>", "!=", "<=", ">=", "->", "=", "<", ">", "(", ")", ",", ".", "*", "[", "]", "-", ";"} {
		if strings.HasPrefix(s, op) {
			return token{sign, op}, s[len(op):], nil
		}
	}
	r, _ := utf8.DecodeRuneInString(s)
	return token{}, "", invalid("%q is not understood", r)
}

// delimited reads a string or a quoted name. A quote within is written twice.
func delimited(s string) (token, string, error) {
	quote := s[:1]
	var b strings.Builder
	for rest := s[1:]; ; {
		before, after, found := strings.Cut(rest, quote)
		if !found {
			return token{}, "", invalid("a quote is not closed")
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, quote) {
			if quote == `"` {
				return token{quoted, b.String()}, after, nil
			}
			return token{text, b.String()}, after, nil
		}
		b.WriteString(quote)
		rest = after[1:]
	}
}

// storeID says whether what was read may be the begin of a store's id, which has
// hyphens: hexadecimal digits.
func storeID(s string) bool {
	return len(s) >= 8 && strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}

func letter(c byte) bool { return c == '_' || c == '$' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }
