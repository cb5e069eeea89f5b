package s3

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

func (s *Service) listingParts(_ context.Context, c *api.Call, in *s3.ListPartsInput) (*assembly, []api.Demand, error) {
	return s.assembling(c, "ListMultipartUploadParts", in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
}

// listParts shows the parts with their checksums, which tell of the content: as with AWS
// it asks the caller for the use of the KMS key.
func (s *Service) listParts(ctx context.Context, c *api.Call, in *s3.ListPartsInput, a *assembly) (*s3.ListPartsOutput, error) {
	limit, err := pageSize("max-parts", in.MaxParts)
	if err != nil {
		return nil, err
	}
	from := int32(0)
	if in.PartNumberMarker != nil {
		from = *in.PartNumberMarker
	}
	if from < 0 {
		return nil, badArgument("part-number-marker", strconv.Itoa(int(from)), "Argument part-number-marker must be an integer between 0 and 2147483647")
	}
	key, err := s.unsealKey(ctx, c, a.place)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	parts, err := partRows(c.Snapshot, in.UploadId)
	if err != nil {
		return nil, err
	}
	algorithm, kind := a.begun.shownKind()
	max, more := int32(limit), false
	abort := a.rules.upload(a.key, a.begun.modified)
	out := &s3.ListPartsOutput{
		AbortDate: abort.at, AbortRuleId: abort.rule,
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, Initiator: a.begun.by(), Owner: owner(a.account), StorageClass: s3.StorageClassStandard,
		ChecksumAlgorithm: algorithm, ChecksumType: kind, MaxParts: &max, PartNumberMarker: &from, IsTruncated: &more,
	}
	for i := range parts {
		p := &parts[i]
		if p.number <= from {
			continue
		}
		if more = len(out.Parts) == limit; more {
			break
		}
		shown := s3.Part{PartNumber: &p.number, LastModified: p.modified, ETag: `"` + p.etag + `"`, Size: &p.size}
		sum, err := p.checksum(key, a.arn, in.UploadId)
		if err != nil {
			return nil, err
		}
		*sumMember(a.begun.algorithm, &shown.ChecksumCRC64NVME, &shown.ChecksumCRC32, &shown.ChecksumCRC32C, &shown.ChecksumSHA1, &shown.ChecksumSHA256) = sum
		out.Parts = append(out.Parts, shown)
		out.NextPartNumberMarker = &p.number
	}
	return out, nil
}

// by is who began the upload.
func (b *begun) by() *s3.Initiator {
	return &s3.Initiator{ID: b.initiator, DisplayName: b.initiator[strings.LastIndexByte(b.initiator, '/')+1:]}
}

func pageSize(name string, asked *int32) (int, error) {
	if asked == nil {
		return maxKeys, nil
	}
	if *asked < 0 {
		return 0, badArgument(name, strconv.Itoa(int(*asked)), "Argument "+name+" must be an integer between 0 and 2147483647")
	}
	return min(int(*asked), maxKeys), nil
}

func (s *Service) listingUploads(_ context.Context, c *api.Call, in *s3.ListMultipartUploadsInput) (*found, []api.Demand, error) {
	return s.on(c, "ListBucketMultipartUploads", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) listUploads(_ context.Context, c *api.Call, in *s3.ListMultipartUploadsInput, f *found) (*s3.ListMultipartUploadsOutput, error) {
	limit, err := pageSize("max-uploads", in.MaxUploads)
	if err != nil {
		return nil, err
	}
	if len(in.Prefix) > maxKey || len(in.KeyMarker) > maxKey || len(in.Delimiter) > maxKey {
		return nil, fail(400, "KeyTooLongError", "Your key is too long")
	}
	l := &uploadListing{listing{sn: c.Snapshot, bucket: in.Bucket, prefix: in.Prefix, delimiter: in.Delimiter, limit: limit}, f.account, nil}
	from := uploadPosition{key: []byte(in.Prefix)}
	switch {
	case in.KeyMarker == "":
	case in.UploadIdMarker != "":
		from = from.later(uploadPosition{[]byte(in.KeyMarker), in.UploadIdMarker})
	default:
		marker := after(in.KeyMarker)
		if strings.HasPrefix(in.KeyMarker, in.Prefix) {
			if common, ok := l.common(in.KeyMarker); ok && common == in.KeyMarker {
				marker = behind([]byte(common)) // a page ended with it
			}
		}
		from = from.later(uploadPosition{key: marker})
	}
	more, err := l.run(from)
	if err != nil {
		return nil, err
	}
	return l.answer(in, more), nil
}

// An uploadPosition is a key, and the id of an upload for it that was listed last.
type uploadPosition struct {
	key []byte
	id  string
}

func (p uploadPosition) later(q uploadPosition) uploadPosition {
	if bytes.Compare(q.key, p.key) >= 0 {
		return q
	}
	return p
}

// An uploadListing is a listing of uploads that are under way.
type uploadListing struct {
	listing
	account string
	uploads []s3.MultipartUpload
}

// run fills the page with uploads behind from, and answers whether there are more.
func (l *uploadListing) run(from uploadPosition) (more bool, err error) {
	if l.limit == 0 {
		return false, nil
	}
	batch := l.limit + 1
	if l.delimiter != "" {
		batch = 8 // as in listing.run
	}
	for {
		rows, err := l.read(from, batch)
		if err != nil {
			return false, err
		}
		skipped := false
		for i := range rows {
			if bytes.Compare([]byte(rows[i].Key), from.key) < 0 {
				continue // below a common prefix that has been seen
			}
			if len(l.uploads)+len(l.prefixes) == l.limit {
				return true, nil
			}
			if common, ok := l.common(rows[i].Key); ok {
				l.prefixes = append(l.prefixes, common)
				from, skipped = uploadPosition{key: behind([]byte(common))}, true
				continue
			}
			l.uploads = append(l.uploads, rows[i])
			from = uploadPosition{[]byte(rows[i].Key), rows[i].UploadId}
		}
		switch {
		case len(rows) < batch:
			return false, nil
		case skipped:
			batch = 8
		default:
			batch = min(batch*4, maxKeys+1)
		}
	}
}

// read is one seek in the index, and what follows it.
func (l *uploadListing) read(from uploadPosition, limit int) ([]s3.MultipartUpload, error) {
	return store.Collect(l.sn, func(rows *store.Rows) (s3.MultipartUpload, error) {
		b, key := &begun{}, []byte(nil)
		err := b.scan(rows, &key)
		l.rows++
		algorithm, kind := b.shownKind()
		return s3.MultipartUpload{
			Key: string(key), UploadId: b.id, Initiated: b.modified, Initiator: b.by(), Owner: owner(l.account),
			StorageClass: s3.StorageClassStandard, ChecksumAlgorithm: algorithm, ChecksumType: kind,
		}, err
	}, "SELECT key, "+uploadColumns+` FROM s3_uploads
		WHERE bucket = ? AND key >= ? AND key < ? AND (key > ? OR id > ?) ORDER BY key, id LIMIT ?`,
		l.bucket, from.key, behind([]byte(l.prefix)), from.key, from.id, limit)
}

// answer writes a page down.
func (l *uploadListing) answer(in *s3.ListMultipartUploadsInput, more bool) *s3.ListMultipartUploadsOutput {
	encode := func(s string) string { return s }
	if in.EncodingType == s3.EncodingTypeUrl {
		encode = urlEncode
	}
	limit := int32(l.limit)
	out := &s3.ListMultipartUploadsOutput{
		Bucket: in.Bucket, Prefix: encode(in.Prefix), Delimiter: encode(in.Delimiter), KeyMarker: encode(in.KeyMarker), UploadIdMarker: in.UploadIdMarker,
		EncodingType: in.EncodingType, MaxUploads: &limit, IsTruncated: &more, Uploads: l.uploads,
	}
	if more && len(l.uploads) > 0 {
		last := l.uploads[len(l.uploads)-1]
		out.NextKeyMarker, out.NextUploadIdMarker = encode(last.Key), last.UploadId
	}
	if more && len(l.prefixes) > 0 {
		if last := l.prefixes[len(l.prefixes)-1]; len(l.uploads) == 0 || last > l.uploads[len(l.uploads)-1].Key {
			out.NextKeyMarker, out.NextUploadIdMarker = encode(last), ""
		}
	}
	for i := range out.Uploads {
		out.Uploads[i].Key = encode(out.Uploads[i].Key)
	}
	for _, p := range l.prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, s3.CommonPrefix{Prefix: encode(p)})
	}
	return out
}
