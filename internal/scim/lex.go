package scim

import (
	"strings"

	"github.com/go-json-experiment/json"
)

// maxFilter bounds the text of a filter or path, maxDepth how deep it nests, and
// maxTerms how much it compares: a directory is compared with all of it.
const (
	maxFilter = 4 << 10
	maxDepth  = 12
	maxTerms  = 64
)

// A token is a piece of a filter.
type token struct {
	kind  tokenKind
	text  string // of a word or mark
	value any    // of a value
}

type tokenKind int

const (
	end   tokenKind = iota
	word            // an attribute or an operator
	mark            // ( ) [ ] .
	value           // a string, a number, true, false or null
)

// lex cuts a filter into tokens.
func lex(text string) ([]token, error) {
	if len(text) > maxFilter {
		return nil, badFilter("The filter is longer than %d bytes.", maxFilter)
	}
	var all []token
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ':
			i++
		case strings.IndexByte("()[].", c) >= 0:
			all = append(all, token{kind: mark, text: text[i : i+1]})
			i++
		case c == '"':
			n := quoted(text[i:])
			var s string
			if n == 0 || json.Unmarshal([]byte(text[i:i+n]), &s) != nil {
				return nil, badFilter("A string of the filter does not end.")
			}
			all = append(all, token{kind: value, value: s})
			i += n
		case letter(c) || c == '$' || c == '-' || '0' <= c && c <= '9':
			n := i
			for n < len(text) && (inWord(text[n]) || text[n] == '.' && inURN(text[i:n], text[n+1:])) {
				n++
			}
			all = append(all, named(text[i:n]))
			i = n
		default:
			return nil, badFilter("The filter has a character at %d that has no place there.", i)
		}
	}
	return append(all, token{}), nil
}

// quoted is the length of the string that text begins with; 0 if it has no end.
func quoted(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func inWord(c byte) bool {
	return letter(c) || '0' <= c && c <= '9' || c == '-' || c == '_' || c == ':' || c == '$'
}

// inURN says whether a dot belongs to the word before it: "2.0" of a schema's name,
// and a number's.
func inURN(before, after string) bool {
	return before != "" && before[len(before)-1] >= '0' && before[len(before)-1] <= '9' && after != "" && after[0] >= '0' && after[0] <= '9'
}

func named(text string) token {
	switch text {
	case "true":
		return token{kind: value, value: true}
	case "false":
		return token{kind: value, value: false}
	case "null":
		return token{kind: value}
	}
	var n float64
	if !letter(text[0]) && json.Unmarshal([]byte(text), &n) == nil {
		return token{kind: value, value: n}
	}
	return token{kind: word, text: text}
}
