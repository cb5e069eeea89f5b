package s3

import (
	"context"
	"strconv"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// A partCopying is the copy of an object, or of a range of it, as a part of an upload.
type partCopying struct {
	*assembly
	source *place
	what   *copySource
}

func (s *Service) copiedPart(ctx context.Context, c *api.Call, in *s3.UploadPartCopyInput) (*partCopying, []api.Demand, error) {
	what, err := parseSource(in.CopySource, in.ExpectedSourceBucketOwner,
		sourceConditions(in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince))
	if err != nil {
		return nil, nil, err
	}
	a, demands, err := s.adding(c, in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	from, sourced, err := s.from(ctx, c, what, &demands[0])
	return &partCopying{a, from, what}, append(sourced, demands...), err
}

// copyPart opens the source as the caller and seals it under the upload's data key.
func (s *Service) copyPart(ctx context.Context, c *api.Call, in *s3.UploadPartCopyInput, p *partCopying) (api.Commit[s3.UploadPartCopyOutput], error) {
	if err := checkPartNumber(in.PartNumber); err != nil {
		return nil, err
	}
	source := p.source.object
	if err := p.what.check(source); err != nil {
		return nil, err
	}
	piece, err := copyRange(in.CopySourceRange, source.size)
	if err != nil {
		return nil, err
	}
	size := source.size
	if piece != nil {
		size = piece.length
	}
	if size > maxObject {
		return nil, badRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	check, err := newSum(p.begun.algorithm)
	if err != nil {
		return nil, err
	}
	key, err := s.unsealKey(ctx, c, p.place)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	body, err := s.read(ctx, c, p.source, piece)
	if err != nil {
		return nil, err
	}
	c.Release()
	part := newPart(in.PartNumber, c.Now)
	got, err := s.reseal(ctx, body, size, key, associatedPart(p.arn, p.begun.id, part), check)
	if err == nil {
		err = part.keep(got, key, p.arn, p.begun.id, check)
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.UploadPartCopyOutput, error) {
		out := &s3.CopyPartResult{ETag: `"` + part.etag + `"`, LastModified: part.modified}
		*sumMember(p.begun.algorithm, &out.ChecksumCRC64NVME, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumSHA1, &out.ChecksumSHA256) = got.sum
		return &s3.UploadPartCopyOutput{
			CopyPartResult: out, CopySourceVersionId: source.shownVersion(),
			ServerSideEncryption: p.begun.sse(), SSEKMSKeyId: p.begun.shownKey(), BucketKeyEnabled: &p.begun.details.BucketKey,
		}, s.add(ctx, tx, p.assembly, part)
	}, nil
}

// copyRange reads bytes=first-last. Unlike a Range it must be whole, and lie within the
// source.
func copyRange(header string, size int64) (*part, error) {
	if header == "" {
		return nil, nil
	}
	bad := badArgument("x-amz-copy-source-range", header, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	start, isStart := digits(first)
	end, isEnd := digits(last)
	if !ok || !dash || !isStart || !isEnd || start > end {
		return nil, bad
	}
	if end >= size {
		return nil, badArgument("x-amz-copy-source-range", header, "Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10))
	}
	return &part{start, end - start + 1}, nil
}
