package s3

import (
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/api"
)

// conditions are those of a read (RFC 9110, section 13).
type conditions struct {
	ifMatch, ifNoneMatch           string
	modifiedSince, unmodifiedSince time.Time
}

// check applies them in RFC 9110's order of precedence, as S3 does.
func (k *conditions) check(o *object) error {
	switch {
	case k.ifMatch != "":
		if !matches(k.ifMatch, o.etag) {
			return preconditionFailed("If-Match")
		}
	case !k.unmodifiedSince.IsZero() && o.modified.After(k.unmodifiedSince):
		return preconditionFailed("If-Unmodified-Since")
	}
	switch {
	case k.ifNoneMatch != "":
		if matches(k.ifNoneMatch, o.etag) {
			return notModified(o)
		}
	case !k.modifiedSince.IsZero() && !o.modified.After(k.modifiedSince):
		return notModified(o)
	}
	return nil
}

func notModified(o *object) *api.Error {
	e := fail(304, "NotModified", "Not Modified")
	e.Header = map[string]string{"ETag": `"` + o.etag + `"`, "Last-Modified": httpDate(o.modified)}
	return e
}

// A part is a range of an object's bytes; nil stands for all of them.
type part struct{ start, length int64 }

// parseRange reads a Range header. S3 serves one range; what is not one is
// ignored, as RFC 9110 has it. One that lies behind the end is InvalidRange.
func parseRange(header string, size int64) (*part, error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return nil, nil
	}
	if first == "" {
		n, ok := digits(last)
		switch {
		case !ok:
			return nil, nil
		case n == 0 || size == 0:
			return nil, invalidRange(header, size)
		}
		n = min(n, size)
		return &part{size - n, n}, nil
	}
	start, ok := digits(first)
	if !ok {
		return nil, nil
	}
	end := size - 1
	if last != "" {
		if end, ok = digits(last); !ok || end < start {
			return nil, nil
		}
	}
	if start >= size {
		return nil, invalidRange(header, size)
	}
	end = min(end, size-1)
	return &part{start, end - start + 1}, nil
}

// digits reads a number without a sign.
func digits(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && s[0] != '+'
}

func invalidRange(header string, size int64) *api.Error {
	e := fail(416, "InvalidRange", "The requested range is not satisfiable")
	e.Fields = map[string]string{"RangeRequested": header, "ActualObjectSize": strconv.FormatInt(size, 10)}
	e.Header = map[string]string{"Content-Range": "bytes */" + strconv.FormatInt(size, 10)}
	return e
}
