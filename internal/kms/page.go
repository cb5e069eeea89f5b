package kms

import (
	"encoding/base64"
	"slices"
	"unicode/utf8"
)

// A page is where a listing goes on, and how far.
type page struct {
	after string // the last name of the page before
	limit int
}

// pageOf reads Limit and Marker. A marker holds a name that the caller was shown
// and lets her see nothing that the listing would not.
func pageOf(limit *int32, marker string, usual, most int) (page, error) {
	p := page{limit: usual}
	if limit != nil {
		if *limit < 1 || *limit > 1000 {
			return p, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 1000, inclusive", *limit)
		}
		p.limit = min(int(*limit), most)
	}
	after, err := base64.RawURLEncoding.DecodeString(marker)
	if err != nil || len(after) > 1024 || !utf8.Valid(after) || slices.Contains(after, 0) {
		return p, fail("InvalidMarkerException", "Could not deserialize marker '%s'", marker)
	}
	p.after = string(after)
	return p, nil
}

// cut shortens what was found, one more than the page holds, to the page.
func cut[T any](p page, found []T, name func(T) string) (shown []T, next string, more bool) {
	if len(found) <= p.limit {
		return found, "", false
	}
	shown = found[:p.limit]
	return shown, base64.RawURLEncoding.EncodeToString([]byte(name(shown[p.limit-1]))), true
}
