package iam

import (
	"encoding/base64"
)

// A page is a part of a list: what comes after a name, and how much of it.
type page struct {
	after string
	limit int
}

const defaultPage = 100

// paging reads Marker and MaxItems.
func paging(marker string, maxItems *int32) (page, error) {
	p := page{limit: defaultPage}
	if maxItems != nil {
		p.limit = min(max(int(*maxItems), 1), 1000)
	}
	after, err := base64.RawURLEncoding.DecodeString(marker)
	if err != nil {
		return page{}, invalid("Invalid Marker.")
	}
	p.after = string(after)
	return p, nil
}

// cut ends a list of up to limit+1 items: what is left, whether there is more,
// and the Marker that leads there.
func cut[T any](p page, list []T, name func(T) string) ([]T, *bool, string) {
	if len(list) <= p.limit {
		return list, new(bool), ""
	}
	list = list[:p.limit]
	more := true
	return list, &more, base64.RawURLEncoding.EncodeToString([]byte(name(list[len(list)-1])))
}

// rest is the part of a sorted list that the page wants, and one more.
func rest[T any](p page, list []T, name func(T) string) []T {
	for len(list) > 0 && p.after != "" && name(list[0]) <= p.after {
		list = list[1:]
	}
	return list[:min(len(list), p.limit+1)]
}
