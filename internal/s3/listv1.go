package s3

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
)

func (s *Service) listingObjectsV1(_ context.Context, c *api.Call, in *s3.ListObjectsInput) (*found, []api.Demand, error) {
	return s.listingOf(c, "ListBucket", in.Bucket, in.ExpectedBucketOwner, in.Prefix, in.Delimiter, in.MaxKeys)
}

// listObjectsV1 is the older listing, in which a client goes on behind a name. As with
// AWS it is told which only where there is a delimiter: else it is the last key.
func (s *Service) listObjectsV1(_ context.Context, c *api.Call, in *s3.ListObjectsInput, f *found) (*s3.ListObjectsOutput, error) {
	l, err := newListing(c, in.Bucket, in.Prefix, in.Delimiter, in.Marker, in.MaxKeys)
	if err != nil {
		return nil, err
	}
	from := []byte(in.Prefix)
	if in.Marker != "" {
		from = l.behindMarker(in.Marker)
	}
	next, err := l.run(from)
	if err != nil {
		return nil, err
	}
	encode := encoder(in.EncodingType)
	limit, truncated := int32(l.limit), next != nil
	out := &s3.ListObjectsOutput{
		Name: in.Bucket, Prefix: encode(in.Prefix), Delimiter: encode(in.Delimiter), Marker: encode(in.Marker), EncodingType: in.EncodingType,
		MaxKeys: &limit, IsTruncated: &truncated, Contents: l.objects, CommonPrefixes: l.commonPrefixes(encode),
	}
	if truncated && in.Delimiter != "" {
		out.NextMarker = encode(l.last())
	}
	for i := range out.Contents {
		out.Contents[i].Key, out.Contents[i].Owner = encode(out.Contents[i].Key), owner(f.account)
	}
	return out, nil
}

// last is the name that ends the page: a key or a common prefix.
func (l *listing) last() (name string) {
	if n := len(l.objects); n > 0 {
		name = l.objects[n-1].Key
	}
	if n := len(l.prefixes); n > 0 {
		name = max(name, l.prefixes[n-1])
	}
	return name
}
