package logs

import "encoding/base64"

const defaultPage, maxPage = 50, 50

// A page is where a listing goes on, and how far.
type page struct {
	after string // where the page before ended
	limit int
}

// pageOf reads a limit and a token. A token holds a name that the caller was shown
// and lets her see nothing that the listing would not.
func pageOf(limit *int32, token string) (page, error) {
	p := page{limit: defaultPage}
	if limit != nil {
		p.limit = min(max(int(*limit), 1), maxPage)
	}
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(after) > 1024 {
		return p, badToken()
	}
	p.after = string(after)
	return p, nil
}

func badToken() error { return invalid("The specified nextToken is invalid.") }

// cut shortens what was found, one more than the page holds, to the page.
func cut[T any](p page, found []T, name func(T) string) (shown []T, next string) {
	if len(found) <= p.limit {
		return found, ""
	}
	shown = found[:p.limit]
	return shown, base64.RawURLEncoding.EncodeToString([]byte(name(shown[p.limit-1])))
}
