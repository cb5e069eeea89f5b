package s3

import "bawn.dev/internal/shape/s3"

// answer writes a page down.
func (l *versionListing) answer(in *s3.ListObjectVersionsInput, f *found, more bool) *s3.ListObjectVersionsOutput {
	encode := encoder(in.EncodingType)
	limit, who := int32(l.limit), owner(f.account)
	out := &s3.ListObjectVersionsOutput{
		Name: in.Bucket, Prefix: encode(in.Prefix), Delimiter: encode(in.Delimiter), KeyMarker: encode(in.KeyMarker), VersionIdMarker: in.VersionIdMarker,
		EncodingType: in.EncodingType, MaxKeys: &limit, IsTruncated: &more, CommonPrefixes: l.commonPrefixes(encode),
	}
	if more {
		out.NextKeyMarker, out.NextVersionIdMarker = encode(l.end.key), l.end.version
	}
	for i := range l.versions {
		v := &l.versions[i]
		if v.marker {
			out.DeleteMarkers = append(out.DeleteMarkers, s3.DeleteMarkerEntry{
				Key: encode(v.key), VersionId: v.version, IsLatest: &v.current, LastModified: v.modified, Owner: who,
			})
			continue
		}
		name, kind := checksumKind(v.algorithm)
		out.Versions = append(out.Versions, s3.ObjectVersion{
			Key: encode(v.key), VersionId: v.version, IsLatest: &v.current, LastModified: v.modified, Owner: who,
			ETag: `"` + v.etag + `"`, Size: &v.size, StorageClass: s3.ObjectVersionStorageClassStandard,
			ChecksumAlgorithm: []s3.ChecksumAlgorithm{name}, ChecksumType: kind,
		})
	}
	return out
}
