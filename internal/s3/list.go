package s3

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

const maxKeys = 1000

func (s *Service) listingObjects(_ context.Context, c *api.Call, in *s3.ListObjectsV2Input) (*found, []api.Demand, error) {
	return s.listingOf(c, "ListBucket", in.Bucket, in.ExpectedBucketOwner, in.Prefix, in.Delimiter, in.MaxKeys)
}

// listingOf states the demand of a listing.
func (s *Service) listingOf(c *api.Call, action, bucket, owner, prefix, delimiter string, limit *int32) (*found, []api.Demand, error) {
	f, demands, err := s.on(c, action, bucket, owner)
	if err != nil {
		return nil, nil, err
	}
	keys := demands[0].Keys
	// AWS sets these keys when the parameter is there, also when it is empty. An
	// empty prefix and none ask for the same, so that none counts as empty.
	keys.Set("s3:prefix", prefix)
	if delimiter != "" {
		keys.Set("s3:delimiter", delimiter)
	}
	if limit != nil {
		keys.Set("s3:max-keys", strconv.Itoa(int(*limit)))
	}
	return f, demands, nil
}

// newListing checks what a listing asks for.
func newListing(c *api.Call, bucket, prefix, delimiter, marker string, asked *int32) (*listing, error) {
	limit, err := pageSize("max-keys", asked)
	if err != nil {
		return nil, err
	}
	if len(prefix) > maxKey || len(marker) > maxKey || len(delimiter) > maxKey {
		return nil, fail(400, "KeyTooLongError", "Your key is too long")
	}
	return &listing{sn: c.Snapshot, bucket: bucket, prefix: prefix, delimiter: delimiter, limit: limit}, nil
}

func (s *Service) listObjects(_ context.Context, c *api.Call, in *s3.ListObjectsV2Input, f *found) (*s3.ListObjectsV2Output, error) {
	l, err := newListing(c, in.Bucket, in.Prefix, in.Delimiter, in.StartAfter, in.MaxKeys)
	if err != nil {
		return nil, err
	}
	from := []byte(in.Prefix)
	if in.StartAfter != "" {
		from = later(from, after(in.StartAfter))
	}
	if in.ContinuationToken != "" {
		position, err := base64.RawURLEncoding.DecodeString(in.ContinuationToken)
		if err != nil || len(position) > maxKey+1 {
			return nil, badArgument("continuation-token", in.ContinuationToken, "The continuation token provided is incorrect")
		}
		from = later([]byte(in.Prefix), position)
	}
	next, err := l.run(from)
	if err != nil {
		return nil, err
	}
	return answer(in, f, l, next), nil
}

// answer writes a page down.
func answer(in *s3.ListObjectsV2Input, f *found, l *listing, next []byte) *s3.ListObjectsV2Output {
	encode := encoder(in.EncodingType)
	count, limit, truncated := int32(len(l.objects)+len(l.prefixes)), int32(l.limit), next != nil
	out := &s3.ListObjectsV2Output{
		Name: in.Bucket, Prefix: encode(in.Prefix), Delimiter: encode(in.Delimiter), StartAfter: encode(in.StartAfter),
		ContinuationToken: in.ContinuationToken, EncodingType: in.EncodingType,
		KeyCount: &count, MaxKeys: &limit, IsTruncated: &truncated, Contents: l.objects,
	}
	if truncated {
		out.NextContinuationToken = base64.RawURLEncoding.EncodeToString(next)
	}
	for i := range out.Contents {
		out.Contents[i].Key = encode(out.Contents[i].Key)
		if in.FetchOwner != nil && *in.FetchOwner {
			out.Contents[i].Owner = owner(f.account)
		}
	}
	out.CommonPrefixes = l.commonPrefixes(encode)
	return out
}

func (l *listing) commonPrefixes(encode func(string) string) (out []s3.CommonPrefix) {
	for _, p := range l.prefixes {
		out = append(out, s3.CommonPrefix{Prefix: encode(p)})
	}
	return out
}

// behindMarker is from where a page goes on behind the name that ended the one before:
// a key, or a common prefix.
func (l *listing) behindMarker(marker string) []byte {
	if strings.HasPrefix(marker, l.prefix) {
		if common, ok := l.common(marker); ok && common == marker {
			return later([]byte(l.prefix), behind([]byte(common)))
		}
	}
	return later([]byte(l.prefix), after(marker))
}

// A listing walks a bucket's keys in order. Keys below a common prefix are not
// walked but skipped, by asking for the first key behind it.
type listing struct {
	sn                *store.Snapshot
	bucket            string
	prefix, delimiter string
	limit             int

	objects  []s3.Object
	prefixes []string
	rows     int // that were read for it
}

// run fills the page with keys not before from, and answers from where the next
// page goes on, or nil.
func (l *listing) run(from []byte) (next []byte, err error) {
	if l.limit == 0 {
		return nil, nil
	}
	end := behind([]byte(l.prefix))
	batch := l.limit + 1
	if l.delimiter != "" {
		batch = 8 // until it is seen that keys follow each other without common prefix
	}
	for {
		rows, err := l.read(from, end, batch)
		if err != nil {
			return nil, err
		}
		skipped := false
		for i := range rows {
			if bytes.Compare([]byte(rows[i].Key), from) < 0 {
				continue // below a common prefix that has been seen
			}
			if len(l.objects)+len(l.prefixes) == l.limit {
				return from, nil
			}
			if common, ok := l.common(rows[i].Key); ok {
				l.prefixes = append(l.prefixes, common)
				from, skipped = behind([]byte(common)), true
				continue
			}
			l.objects = append(l.objects, rows[i])
			from = after(rows[i].Key)
		}
		if len(rows) < batch {
			return nil, nil
		}
		if skipped {
			batch = 8
		} else {
			batch = min(batch*4, maxKeys+1)
		}
	}
}

// common is the part of a key up to the first delimiter behind the prefix.
func (l *listing) common(key string) (string, bool) {
	if l.delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(l.prefix):], l.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(l.prefix)+i+len(l.delimiter)], true
}

// read is one seek in the index, and what follows it.
func (l *listing) read(from, end []byte, limit int) ([]s3.Object, error) {
	rows, err := l.sn.Query(`SELECT key, etag, size, modified, algorithm FROM s3_objects
		WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`, l.bucket, from, end, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []s3.Object
	for rows.Next() {
		var key sql.RawBytes
		var etag, algorithm string
		var size, modified int64
		if err := rows.Scan(&key, &etag, &size, &modified, &algorithm); err != nil {
			return nil, err
		}
		l.rows++
		name, kind := checksumKind(algorithm)
		out = append(out, s3.Object{
			Key: string(key), ETag: `"` + etag + `"`, Size: &size, LastModified: time.UnixMicro(modified).UTC(),
			StorageClass: s3.ObjectStorageClassStandard, ChecksumType: kind, ChecksumAlgorithm: []s3.ChecksumAlgorithm{name},
		})
	}
	return out, rows.Err()
}

// after is the least key behind key.
func after(key string) []byte { return append([]byte(key), 0) }

// behind is the least string behind all that begin with prefix. No key holds the
// byte 0xff, which UTF-8 never has.
func behind(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return []byte{0xff}
	}
	end[len(end)-1]++
	return end
}

func later(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}

func encoder(kind s3.EncodingType) func(string) string {
	if kind == s3.EncodingTypeUrl {
		return urlEncode
	}
	return func(s string) string { return s }
}

// urlEncode writes what XML may not carry, as S3 does for encoding-type=url.
func urlEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		ch := s[i]
		if 'a' <= ch|0x20 && ch|0x20 <= 'z' || '0' <= ch && ch <= '9' || strings.IndexByte("-._~/*", ch) >= 0 {
			b.WriteByte(ch)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[ch>>4])
		b.WriteByte(hex[ch&15])
	}
	return b.String()
}
