package accessgrants

import (
	"strings"
	"unicode/utf8"
)

const (
	scheme    = "s3://"
	maxPrefix = 1024 // bytes of an object's key
)

// A scope is a set of objects: those of a bucket whose keys begin with a text, or the
// one whose key it is. Without a bucket it is all objects of all buckets.
type scope struct {
	bucket string
	key    string
	exact  bool
}

// parseScope reads "s3://bucket", "s3://bucket/prefix*" and, if it is to be one
// object, "s3://bucket/key". A star at the end, and nowhere else, says that more may
// follow; what a person asks for without it is that very key.
func parseScope(text string, object bool) (scope, bool) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok || !utf8.ValidString(text) {
		return scope{}, false
	}
	bucket, key, slash := strings.Cut(rest, "/")
	s := scope{bucket: bucket, key: key, exact: object}
	if !bucketName(bucket) || len(key) > maxPrefix {
		return scope{}, false
	}
	if object {
		return s, key != ""
	}
	var more bool
	if s.key, more = strings.CutSuffix(key, "*"); !more && slash && key != "" {
		s.exact = true
	}
	return s, true
}

// bucketName says whether text can be a bucket's name: none that can has a wildcard.
func bucketName(text string) bool {
	if len(text) < 3 || len(text) > 63 {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}

// covers says whether all of t is in s.
func (s scope) covers(t scope) bool {
	switch {
	case s.bucket == "":
		return true
	case s.bucket != t.bucket:
		return false
	case s.exact:
		return t.exact && s.key == t.key
	}
	return strings.HasPrefix(t.key, s.key)
}

func (s scope) String() string {
	switch {
	case s.bucket == "":
		return scheme
	case s.exact:
		return scheme + s.bucket + "/" + s.key
	}
	return scheme + s.bucket + "/" + s.key + "*"
}

// locationScope reads what a location covers: everything, a bucket, or a prefix.
// Wildcards within a prefix would be taken for more than they are.
func locationScope(text string) (scope, bool) {
	if text == scheme {
		return scope{}, true
	}
	s, ok := parseScope(text, false)
	s.exact = false // a location is never one object
	return s, ok && !strings.ContainsAny(s.key, "*?")
}

// below is the part of a location that a grant is for. What sub says is appended to
// the location's own text; so it cannot lead out of it.
func (s scope) below(sub string, object bool) (scope, bool) {
	prefix, more := strings.CutSuffix(sub, "*")
	switch {
	case strings.ContainsAny(prefix, "*?"), strings.HasPrefix(prefix, "/"), sub != "" && more == object, object && prefix == "":
		return scope{}, false
	case s.bucket == "":
		g, ok := parseScope(scheme+sub, object)
		return g, ok && sub != "" && strings.Contains(prefix, "/")
	}
	g := scope{bucket: s.bucket, key: s.key + prefix, exact: object}
	return g, len(g.key) <= maxPrefix && utf8.ValidString(g.key)
}
