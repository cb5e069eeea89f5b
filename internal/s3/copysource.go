package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"bawn.dev/internal/api"
)

// A copySource is what x-amz-copy-source names, and what else a copy says of it.
type copySource struct {
	bucket, key, version string
	owner                string // who is expected to own the bucket
	conditions           conditions
}

// parseSource reads [/]bucket/key[?versionId=id], escaped as in a form.
func parseSource(header, owner string, k conditions) (*copySource, error) {
	const name = "x-amz-copy-source"
	path, version, versioned := strings.Cut(header, "?versionId=")
	text, err := url.QueryUnescape(path)
	if err != nil {
		return nil, badArgument(name, header, "Copy Source must be URL-encoded")
	}
	if versioned && version == "" {
		return nil, badArgument(name, header, "Version id cannot be the empty string")
	}
	if version, err = url.QueryUnescape(version); err != nil {
		return nil, badArgument(name, header, "Invalid version id specified")
	}
	if strings.HasPrefix(text, "arn:") {
		return nil, notServed("A copy source that is an ARN")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	if bucket == "" || key == "" {
		return nil, badArgument(name, header, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	return &copySource{bucket, key, version, owner, k}, nil
}

// CopiedFrom is the object that a call with this CopySource copies, as "bucket/key". It
// is for who reads the record: what copies is read in one way only.
func CopiedFrom(source string) (object string, ok bool) {
	what, err := parseSource(source, "", conditions{})
	if err != nil {
		return "", false
	}
	return what.bucket + "/" + what.key, true
}

// sourceConditions are those that a copy makes of its source.
func sourceConditions(match, noneMatch string, since, unmodified time.Time) conditions {
	return conditions{match, noneMatch, since, unmodified}
}

// from resolves what is copied. It is read as GetObject would read it, and the caller
// must be allowed that; the demand on the destination learns what the source is.
func (s *Service) from(ctx context.Context, c *api.Call, src *copySource, to *api.Demand) (*place, []api.Demand, error) {
	p, demands, err := s.reading(ctx, c, "GetObject", src.bucket, src.key, src.version, src.owner)
	if err != nil {
		return nil, nil, err
	}
	if p.marker != nil && src.version != "" && demands[0].Resource.Missing != nil && demands[0].Resource.Missing.Code == "MethodNotAllowed" {
		demands[0].Resource.Missing = badRequest("The source of a copy request may not specifically refer to a delete marker by version id.")
	}
	to.Keys.Set("s3:x-amz-copy-source", src.bucket+"/"+src.key)
	return p, demands, nil
}

// check applies the conditions. Of a copy, what is not modified is a failure too.
func (src *copySource) check(o *object) error {
	err := src.conditions.check(o)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "NotModified" {
		if src.conditions.ifNoneMatch != "" {
			return preconditionFailed("x-amz-copy-source-If-None-Match")
		}
		return preconditionFailed("x-amz-copy-source-If-Modified-Since")
	} else if ok {
		return preconditionFailed("x-amz-copy-source-" + e.Fields["Condition"])
	}
	return err
}

// read opens the source's bytes, or a part of them, as the caller.
func (s *Service) read(ctx context.Context, c *api.Call, p *place, part *part) (io.ReadCloser, error) {
	key, err := s.unsealKey(ctx, c, p)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if _, err := p.object.checksum(key, p.arn); err != nil {
		return nil, err
	}
	return s.open(ctx, c, p, key, part)
}

// reseal seals what body holds anew, one chunk in memory at a time. If the source goes
// away meanwhile the call is decided again.
func (s *Service) reseal(ctx context.Context, body io.ReadCloser, size int64, key, bound []byte, check *check) (*received, error) {
	defer body.Close()
	got, err := s.receive(ctx, body, size, key, bound, check, func(string) string { return "" })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", err, api.ErrAgain)
	}
	if err == nil && got.size != size {
		return nil, fmt.Errorf("s3: %d bytes were copied of %d", got.size, size)
	}
	return got, err
}

// newSum is a check that compares with nothing.
func newSum(text string) (*check, error) {
	name, _ := checksumKind(text)
	return newCheck(&sums{algorithm: name}, func(string) bool { return false })
}
