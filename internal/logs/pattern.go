package logs

import "strings"

// A pattern is a filter pattern of plain terms, as AWS has them for unstructured
// text: all of the required terms must occur and none of the excluded ones. Terms
// with a question mark are alternatives, which count only where no other term
// stands. Terms are compared with regard to case. Patterns for JSON,
// space-delimited text and regular expressions are not served.
type pattern struct{ all, some, none []string }

// parsePattern reads a filter pattern; the empty one matches everything.
func parsePattern(text string) (*pattern, error) {
	p := &pattern{}
	rest := strings.TrimLeft(text, " \t\r\n")
	switch {
	case strings.HasPrefix(rest, "{"):
		return nil, invalid("Filter patterns for JSON ({…}) are not served.")
	case strings.HasPrefix(rest, "["):
		return nil, invalid("Filter patterns for space-delimited text ([…]) are not served.")
	}
	for rest != "" {
		into := &p.all
		switch rest[0] {
		case '?':
			into, rest = &p.some, rest[1:]
		case '-':
			into, rest = &p.none, rest[1:]
		}
		term, after, err := cutTerm(rest)
		if err != nil {
			return nil, err
		}
		*into = append(*into, term)
		rest = strings.TrimLeft(after, " \t\r\n")
	}
	return p, nil
}

// cutTerm reads one term: a word, or anything in double quotes, where \" and \\
// stand for themselves.
func cutTerm(s string) (term, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t\r\n")
		if end < 0 {
			end = len(s)
		}
		term = s[:end]
		switch {
		case term == "":
			return "", "", invalid("Invalid filter pattern: a term is empty.")
		case strings.HasPrefix(term, "%"):
			return "", "", invalid("Filter patterns with regular expressions (%%…%%) are not served.")
		case strings.ContainsFunc(term, special):
			return "", "", invalid("Invalid character(s) in term '%s'", term)
		}
		return term, s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"' && b.Len() == 0:
			return "", "", invalid("Invalid filter pattern: a term is empty.")
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", invalid("Invalid filter pattern: a quotation mark is not closed.")
}

// special says which ASCII characters a term may hold only in quotes.
func special(r rune) bool {
	word := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r > 127
	return !word
}

func (p *pattern) match(message string) bool {
	for _, term := range p.none {
		if strings.Contains(message, term) {
			return false
		}
	}
	for _, term := range p.all {
		if !strings.Contains(message, term) {
			return false
		}
	}
	if len(p.all) > 0 || len(p.some) == 0 {
		return true
	}
	for _, term := range p.some {
		if strings.Contains(message, term) {
			return true
		}
	}
	return false
}
