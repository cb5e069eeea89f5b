package organizations

import "encoding/base64"

const pageSize = 20

// A page is a part of a list: what comes after a name, and how much of it.
type page struct {
	after string
	limit int
}

// paging reads NextToken and MaxResults.
func paging(token string, maxResults *int32) (page, error) {
	p := page{limit: pageSize}
	if maxResults != nil {
		p.limit = min(max(int(*maxResults), 1), pageSize)
	}
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return page{}, invalid("INVALID_NEXT_TOKEN", "You provided an invalid value for NextToken.")
	}
	p.after = string(after)
	return p, nil
}

// cut ends a list of up to limit+1 items: what is left, and the NextToken that
// leads to the rest.
func cut[T any](p page, list []T, name func(T) string) ([]T, string) {
	if len(list) <= p.limit {
		return list, ""
	}
	list = list[:p.limit]
	return list, base64.RawURLEncoding.EncodeToString([]byte(name(list[len(list)-1])))
}

// only is a list of one on a page: there, unless the page begins after it.
func only[T any](p page, item T, name string) []T {
	if p.after >= name {
		return []T{}
	}
	return []T{item}
}
