package s3

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
)

// maxShownParts is how many parts a page of attributes shows at most.
const maxShownParts = 1000

// readAttributes demands what the two reads demand whose answers it combines.
func (s *Service) readAttributes(ctx context.Context, c *api.Call, in *s3.GetObjectAttributesInput) (*place, []api.Demand, error) {
	p, demands, err := s.reading(ctx, c, "GetObject", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	also := demands[0]
	also.Action += "Attributes"
	return p, append(demands, also), nil
}

// getAttributes answers what was asked for and nothing else. Checksums tell of the
// content, and so ask for the key.
func (s *Service) getAttributes(ctx context.Context, c *api.Call, in *s3.GetObjectAttributesInput, p *place) (*s3.GetObjectAttributesOutput, error) {
	if in.MaxParts != nil && *in.MaxParts < 0 {
		return nil, badArgument("max-parts", "", "Argument max-parts must be an integer between 0 and 2147483647")
	}
	if in.PartNumberMarker != nil && *in.PartNumberMarker < 0 {
		return nil, badArgument("part-number-marker", "", "Argument part-number-marker must be an integer between 0 and 2147483647")
	}
	asks := func(a s3.ObjectAttributes) bool { return slices.Contains(in.ObjectAttributes, a) }
	o := p.object
	out := &s3.GetObjectAttributesOutput{LastModified: o.modified, VersionId: o.shownVersion()}
	if asks(s3.ObjectAttributesETag) {
		out.ETag = o.etag
	}
	if asks(s3.ObjectAttributesObjectSize) {
		out.ObjectSize = &o.size
	}
	if asks(s3.ObjectAttributesStorageClass) {
		out.StorageClass = s3.StorageClassStandard
	}
	parts := asks(s3.ObjectAttributesObjectParts) && o.upload != ""
	if !asks(s3.ObjectAttributesChecksum) && !parts {
		return out, nil
	}
	key, err := s.unsealKey(ctx, c, p)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	sum, err := o.checksum(key, p.arn)
	if err != nil {
		return nil, err
	}
	if asks(s3.ObjectAttributesChecksum) && sum != "" {
		out.Checksum = o.shownSum(sum)
	}
	if parts {
		out.ObjectParts, err = o.shownParts(c, in, key, p.arn)
	}
	return out, err
}

// shownSum is the checksum as attributes show it: without the number of parts.
func (o *object) shownSum(sum string) *s3.Checksum {
	out := &s3.Checksum{}
	sum, _, _ = strings.Cut(sum, "-")
	*o.sum(&out.ChecksumCRC64NVME, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumSHA1, &out.ChecksumSHA256) = sum
	_, out.ChecksumType = checksumKind(o.algorithm)
	return out
}

// shownParts is a page of the parts, counted from 1 as reads count them.
func (o *object) shownParts(c *api.Call, in *s3.GetObjectAttributesInput, key []byte, arn string) (*s3.GetObjectAttributesParts, error) {
	all, err := partsOf(c.Snapshot, o)
	if err != nil {
		return nil, err
	}
	limit, from := maxShownParts, 0
	if in.MaxParts != nil {
		limit = min(int(*in.MaxParts), maxShownParts)
	}
	if in.PartNumberMarker != nil {
		from = min(int(*in.PartNumberMarker), len(all))
	}
	to := min(from+limit, len(all))
	number := func(n int) *int32 { v := int32(n); return &v } //nolint:gosec // parts have no greater numbers
	truncated := to < len(all)
	out := &s3.GetObjectAttributesParts{
		TotalPartsCount: number(len(all)), MaxParts: number(limit), PartNumberMarker: number(from), IsTruncated: &truncated,
		NextPartNumberMarker: number(to),
	}
	_, kind := checksumKind(o.algorithm)
	for i := from; i < to; i++ {
		part := s3.ObjectPart{PartNumber: number(i + 1), Size: &all[i].size}
		if kind == s3.ChecksumTypeComposite {
			sum, err := all[i].checksum(key, arn, o.upload)
			if err != nil {
				return nil, err
			}
			*o.sum(&part.ChecksumCRC64NVME, &part.ChecksumCRC32, &part.ChecksumCRC32C, &part.ChecksumSHA1, &part.ChecksumSHA256) = sum
		}
		out.Parts = append(out.Parts, part)
	}
	return out, nil
}
