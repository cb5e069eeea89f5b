package sigv4

import (
	"net/http"
	"strings"
)

// target is the request's path and query as the client sent them: net/http's decoded forms no longer tell %2F from
// '/', or "//" from "/".
type target struct {
	path  string
	query []param // in the order of the request
}

// param is a query parameter, decoded.
type param struct{ name, value string }

// readTarget takes the raw request line on a server, and the URL on a client.
func readTarget(r *http.Request) (target, error) {
	raw := r.RequestURI
	if raw == "" && r.URL != nil {
		raw = r.URL.EscapedPath()
		if r.URL.RawQuery != "" {
			raw += "?" + r.URL.RawQuery
		}
	}
	if len(raw) > maxTarget {
		return target{}, refuse(MalformedRequest, "the request target is too long")
	}
	if raw != "" && raw[0] != '/' {
		// The absolute form: net/http has moved its authority into r.Host already.
		_, rest, ok := strings.Cut(raw, "://")
		if !ok {
			return target{}, refuse(MalformedRequest, "the request target is neither a path nor an absolute URI")
		}
		raw = rest[len(rest):]
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			raw = rest[i:]
		}
	}
	path, rawQuery, _ := strings.Cut(raw, "?")
	query, err := parseQuery(rawQuery)
	return target{path, query}, err
}

// parseQuery reads a query as HTML forms and every AWS service do: '+' is a space. A ';' is an ordinary byte.
func parseQuery(raw string) ([]param, error) {
	if raw == "" {
		return nil, nil
	}
	count := strings.Count(raw, "&") + 1
	if count > maxParams {
		return nil, refuse(MalformedRequest, "the query has too many parameters")
	}
	params := make([]param, 0, count)
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, ok1 := unescape(name)
		v, ok2 := unescape(value)
		if !ok1 || !ok2 {
			return nil, refuse(MalformedRequest, "the query has a broken percent-encoding")
		}
		params = append(params, param{n, v})
	}
	return params, nil
}

func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			b, ok := unhex(s, i)
			if !ok {
				return "", false
			}
			out = append(out, b)
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out), true
}

// unhex reads the byte that the percent-encoding at s[i] stands for.
func unhex(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, ok1 := nibble(s[i+1])
	lo, ok2 := nibble(s[i+2])
	return hi<<4 | lo, ok1 && ok2
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
