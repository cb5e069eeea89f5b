package s3

import (
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
)

func copyOfK(key string) *s3.CopyObjectInput {
	return &s3.CopyObjectInput{Bucket: "data", Key: key, CopySource: "data/k"}
}

func TestCopy(t *testing.T) { onBoth(t, copies) }

func copies(t *testing.T, b *bench) {
	b.small()
	b.bucket(t, "data")
	in := put("data", "k", strings.Repeat("content", 50<<10))
	in.ContentType, in.CacheControl, in.Metadata, in.Tagging = "text/plain", "no-store", map[string]string{"who": "me"}, "a=1&b=2+3"
	in.ChecksumAlgorithm = s3.ChecksumAlgorithmSha256
	source := apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in)
	out := apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", copyOfK("copy"))
	if out.CopyObjectResult.ETag == source.ETag || out.CopyObjectResult.ChecksumSHA256 != source.ChecksumSHA256 {
		t.Errorf("%+v of %+v", out.CopyObjectResult, source)
	}
	if b.get(t, "data", "copy") != b.get(t, "data", "k") {
		t.Error("the copy reads otherwise")
	}
	head := apitest.Must[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "copy"})
	if head.ContentType != "text/plain" || head.CacheControl != "no-store" || head.Metadata["who"] != "me" {
		t.Errorf("%+v", head)
	}
	if n := b.rows(t, `SELECT COUNT(*) FROM s3_objects WHERE tags = '{"a":"1","b":"2 3"}'`); n != 2 {
		t.Error("the tags were not copied")
	}
	again := copyOfK("copy")
	again.MetadataDirective, again.TaggingDirective = s3.MetadataDirectiveReplace, s3.TaggingDirectiveReplace
	again.ContentType, again.Tagging, again.ChecksumAlgorithm = "text/html", "c=3", s3.ChecksumAlgorithmCrc32
	if out := apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", again); out.CopyObjectResult.ChecksumCRC32 == "" {
		t.Errorf("%+v", out.CopyObjectResult)
	}
	head = apitest.Must[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "copy"})
	if head.ContentType != "text/html" || head.CacheControl != "" || head.Metadata != nil {
		t.Errorf("%+v", head)
	}
	if n := b.rows(t, `SELECT COUNT(*) FROM s3_objects WHERE tags = '{"c":"3"}'`); n != 1 {
		t.Error("the tags were not replaced")
	}

	// An object in parts becomes one in one, and each has its own bytes.
	b.assemble(t, "data", "parts", "one ", "two ", "three")
	whole := copyOfK("whole")
	whole.CopySource = "/data/parts"
	apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", whole)
	apitest.Must[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "parts"})
	if got := b.get(t, "data", "whole"); got != "one two three" {
		t.Errorf("reads %q", got)
	}
	if n := b.stored(t); n != 3 {
		t.Errorf("%d blobs", n)
	}

	// Onto itself.
	refused[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", copyOfK("k"), "InvalidRequest")
	onto := copyOfK("k")
	onto.MetadataDirective, onto.Metadata = s3.MetadataDirectiveReplace, map[string]string{"who": "you"}
	apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", onto)
	if got := b.get(t, "data", "k"); got != strings.Repeat("content", 50<<10) {
		t.Error("it reads otherwise")
	}
	if n := b.stored(t); n != 3 {
		t.Errorf("%d blobs", n)
	}

	// Names are escaped.
	b.put(t, "data", "a b+c%d?versionId=e/ü", "odd")
	odd := copyOfK("odd")
	odd.CopySource = "data/a%20b%2Bc%25d%3FversionId%3De%2F%C3%BC"
	apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", odd)
	if got := b.get(t, "data", "odd"); got != "odd" {
		t.Errorf("reads %q", got)
	}
}

func TestCopiesThatAreRefused(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	etag := b.put(t, "data", "k", "content").ETag
	for name, c := range map[string]struct {
		change func(*s3.CopyObjectInput)
		code   string
	}{
		"no key":        {func(in *s3.CopyObjectInput) { in.CopySource = "data" }, "InvalidArgument"},
		"no bucket":     {func(in *s3.CopyObjectInput) { in.CopySource = "//k" }, "InvalidArgument"},
		"badly escaped": {func(in *s3.CopyObjectInput) { in.CopySource = "data/%zz" }, "InvalidArgument"},
		"an access point": {func(in *s3.CopyObjectInput) {
			in.CopySource = "arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/k"
		}, "NotImplemented"},
		"an empty version": {func(in *s3.CopyObjectInput) { in.CopySource = "data/k?versionId=" }, "InvalidArgument"},
		"no such version":  {func(in *s3.CopyObjectInput) { in.CopySource = "data/k?versionId=" + versionID(1) }, "NoSuchVersion"},
		"no such source":   {func(in *s3.CopyObjectInput) { in.CopySource = "data/none" }, "NoSuchKey"},
		"no such bucket":   {func(in *s3.CopyObjectInput) { in.CopySource = "nothing/k" }, "NoSuchBucket"},
		"not into one":     {func(in *s3.CopyObjectInput) { in.Bucket = "nothing" }, "NoSuchBucket"},
		"another owner":    {func(in *s3.CopyObjectInput) { in.ExpectedSourceBucketOwner = "210987654321" }, "AccessDenied"},
		"of this one":      {func(in *s3.CopyObjectInput) { in.ExpectedBucketOwner = "210987654321" }, "AccessDenied"},
		"if match":         {func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = `"other"` }, "PreconditionFailed"},
		"if none match":    {func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = etag }, "PreconditionFailed"},
		"modified":         {func(in *s3.CopyObjectInput) { in.CopySourceIfModifiedSince = time.Now().Add(24 * time.Hour) }, "PreconditionFailed"},
		"not modified":     {func(in *s3.CopyObjectInput) { in.CopySourceIfUnmodifiedSince = time.Unix(1, 0) }, "PreconditionFailed"},
		"onto what is not": {func(in *s3.CopyObjectInput) { in.IfMatch = etag }, "NoSuchKey"},
		"onto what is":     {func(in *s3.CopyObjectInput) { in.Key, in.IfNoneMatch, in.MetadataDirective = "k", "*", "REPLACE" }, "PreconditionFailed"},
		"tags unasked":     {func(in *s3.CopyObjectInput) { in.Tagging = "a=1" }, "InvalidArgument"},
		"a public copy":    {func(in *s3.CopyObjectInput) { in.ACL = s3.ObjectCannedACLPublicRead }, "AccessControlListNotSupported"},
		"a cold one":       {func(in *s3.CopyObjectInput) { in.StorageClass = s3.StorageClassGlacier }, "NotImplemented"},
	} {
		t.Run(name, func(t *testing.T) {
			in := copyOfK("copy")
			c.change(in)
			refused[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", in, c.code)
		})
	}
	if n := b.rows(t, "SELECT COUNT(*) FROM s3_objects"); n != 1 {
		t.Errorf("%d objects", n)
	}
}

func TestWhoMayCopy(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.bucket(t, "other")
	b.put(t, "data", "k", "content")
	tagged := put("data", "tagged", "content")
	tagged.Tagging = "secret=yes"
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", tagged)
	copier := func(name string, statements ...string) *apitest.Caller {
		return b.User(t, apitest.Account, name, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`)
	}
	const (
		get      = `{"Effect":"Allow","Action":["s3:GetObject"],"Resource":"arn:aws:s3:::data/*"}`
		put      = `{"Effect":"Allow","Action":["s3:PutObject"],"Resource":"arn:aws:s3:::other/*"}`
		getTags  = `{"Effect":"Allow","Action":["s3:GetObjectTagging"],"Resource":"arn:aws:s3:::data/*"}`
		putTags  = `{"Effect":"Allow","Action":["s3:PutObjectTagging"],"Resource":"arn:aws:s3:::other/*"}`
		noCopies = `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringLike":{"s3:x-amz-copy-source":"data/*"}}}`
		noOthers = `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringNotEquals":{"s3:x-amz-metadata-directive":"REPLACE"}}}`
		noSecret = `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:RequestObjectTag/secret":"yes"}}}`
	)
	for name, c := range map[string]struct {
		who     *apitest.Caller
		source  string
		allowed bool
	}{
		"read only":             {copier("reads", get), "data/k", false},
		"write only":            {copier("writes", put), "data/k", false},
		"both":                  {copier("both", get, put), "data/k", true},
		"tags unread":           {copier("no-tags", get, put, putTags), "data/tagged", false},
		"tags unwritten":        {copier("not-tagging", get, put, getTags), "data/tagged", false},
		"tags":                  {copier("tags", get, put, getTags, putTags), "data/tagged", true},
		"tags that are not had": {copier("secret", get, put, getTags, putTags, noSecret), "data/tagged", false},
		"no copies from there":  {copier("sourced", get, put, noCopies), "/data/k", false},
		"metadata must be new":  {copier("directed", get, put, noOthers), "data/k", false},
	} {
		t.Run(name, func(t *testing.T) {
			in := &s3.CopyObjectInput{Bucket: "other", Key: "copy", CopySource: c.source}
			_, err := apitest.Call[s3.CopyObjectOutput](t, c.who, "s3:CopyObject", in)
			if c.allowed && err != nil || !c.allowed && (err == nil || err.Code != "AccessDenied") {
				t.Error(err)
			}
		})
	}

	// A part is read as an object is.
	id := b.begin(t, "other", "p")
	part := &s3.UploadPartCopyInput{Bucket: "other", Key: "p", UploadId: id, PartNumber: 1, CopySource: "data/k"}
	refused[s3.UploadPartCopyOutput](t, copier("part-writes", put), "s3:UploadPartCopy", part, "AccessDenied")
	refused[s3.UploadPartCopyOutput](t, copier("part-reads", get), "s3:UploadPartCopy", part, "AccessDenied")
	refused[s3.UploadPartCopyOutput](t, copier("part-sourced", get, put, noCopies), "s3:UploadPartCopy", part, "AccessDenied")
	apitest.Must[s3.UploadPartCopyOutput](t, copier("part-both", get, put), "s3:UploadPartCopy", part)

	// What was said when the upload began counts for its parts.
	k := b.key(t, "")
	sealed := `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::other/*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"` + k.Arn + `"}}}`
	b.setPolicy(t, "other", sealed)
	refused[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", partOf("other", "p", id, 2, "x"), "AccessDenied")
	create := &s3.CreateMultipartUploadInput{Bucket: "other", Key: "q", ServerSideEncryption: s3.ServerSideEncryptionAwsKms, SSEKMSKeyId: k.Arn}
	id = apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload", create).UploadId
	b.complete(t, "other", "q", id, b.part(t, "other", "q", id, 1, "content"))
}

// The key policy of a copy's source and that of the copy each can refuse.
func TestKeysGuardCopies(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "content")
	k := b.key(t, "")
	sealed := copyOfK("sealed")
	sealed.ServerSideEncryption, sealed.SSEKMSKeyId = s3.ServerSideEncryptionAwsKms, k.Arn
	if out := apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", sealed); out.SSEKMSKeyId != k.Arn {
		t.Errorf("%+v", out)
	}
	user := b.User(t, apitest.Account, "user", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	apitest.Must[s3.CopyObjectOutput](t, user, "s3:CopyObject", copyOfK("free"))
	refused[s3.CopyObjectOutput](t, user, "s3:CopyObject", sealed, "AccessDenied")
	back := copyOfK("back")
	back.CopySource = "data/sealed"
	refused[s3.CopyObjectOutput](t, user, "s3:CopyObject", back, "AccessDenied")
	apitest.Must[kms.DisableKeyOutput](t, b.admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
	refused[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", back, "KMS.DisabledException")
	refused[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", sealed, "KMS.DisabledException")
}

func TestPartsAreCopiedByRange(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	content := strings.Repeat("0123456789", 20<<10)
	b.put(t, "data", "k", content)
	id := b.begin(t, "data", "copy")
	var parts []s3.CompletedPart
	for i, r := range []string{"bytes=100-69999", "bytes=0-0", "bytes=204799-204799", ""} {
		n := int32(i + 1)
		out := apitest.Must[s3.UploadPartCopyOutput](t, b.admin, "s3:UploadPartCopy", &s3.UploadPartCopyInput{
			Bucket: "data", Key: "copy", UploadId: id, PartNumber: n, CopySource: "data/k", CopySourceRange: r})
		parts = append(parts, s3.CompletedPart{PartNumber: &n, ETag: out.CopyPartResult.ETag, ChecksumCRC64NVME: out.CopyPartResult.ChecksumCRC64NVME})
	}
	for _, r := range []string{"bytes=0-204800", "bytes=5-4", "bytes=5-", "bytes=-5", "0-5", "bytes=0-1,3-4", "bytes=+1-2"} {
		refused[s3.UploadPartCopyOutput](t, b.admin, "s3:UploadPartCopy", &s3.UploadPartCopyInput{
			Bucket: "data", Key: "copy", UploadId: id, PartNumber: 9, CopySource: "data/k", CopySourceRange: r}, "InvalidArgument")
	}
	b.complete(t, "data", "copy", id, parts...)
	if got := b.get(t, "data", "copy"); got != content[100:70000]+content[:1]+content[204799:]+content {
		t.Errorf("%d bytes are others", len(got))
	}
}
