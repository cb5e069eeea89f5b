package s3

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

// small lets parts be as short as tests like them.
func (b *bench) small() { b.service.minPart = 1 }

func (b *bench) begin(t testing.TB, bucket, key string) string {
	t.Helper()
	return apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key}).UploadId
}

func partOf(bucket, key, upload string, number int, body string) *s3.UploadPartInput {
	return &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: upload, PartNumber: int32(number), Body: strings.NewReader(body)}
}

// part uploads a part and answers how it is listed.
func (b *bench) part(t testing.TB, bucket, key, upload string, number int, body string) s3.CompletedPart {
	t.Helper()
	out := apitest.Must[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", partOf(bucket, key, upload, number, body))
	n := int32(number)
	return s3.CompletedPart{PartNumber: &n, ETag: out.ETag}
}

func completion(bucket, key, upload string, parts ...s3.CompletedPart) *s3.CompleteMultipartUploadInput {
	return &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: upload, MultipartUpload: &s3.CompletedMultipartUpload{Parts: parts}}
}

func (b *bench) complete(t testing.TB, bucket, key, upload string, parts ...s3.CompletedPart) *s3.CompleteMultipartUploadOutput {
	t.Helper()
	return apitest.Must[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", completion(bucket, key, upload, parts...))
}

// assemble makes an object of parts.
func (b *bench) assemble(t testing.TB, bucket, key string, bodies ...string) *s3.CompleteMultipartUploadOutput {
	t.Helper()
	id := b.begin(t, bucket, key)
	var parts []s3.CompletedPart
	for i, body := range bodies {
		parts = append(parts, b.part(t, bucket, key, id, i+1, body))
	}
	return b.complete(t, bucket, key, id, parts...)
}

func TestMultipart(t *testing.T) { onBoth(t, multipart) }

func multipart(t *testing.T, b *bench) {
	b.small()
	b.bucket(t, "data")
	id := b.begin(t, "data", "k")
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "NoSuchKey")
	three := b.part(t, "data", "k", id, 3, "three")
	b.part(t, "data", "k", id, 1, "to be replaced")
	one := b.part(t, "data", "k", id, 1, "one ")
	b.part(t, "data", "k", id, 7, "not listed")
	if n := b.stored(t); n != 3 {
		t.Errorf("%d blobs: a replaced part stayed", n)
	}
	out := b.complete(t, "data", "k", id, one, three)
	if !strings.HasSuffix(out.ETag, `-2"`) {
		t.Errorf("the ETag is %s", out.ETag)
	}
	if got := b.get(t, "data", "k"); got != "one three" {
		t.Errorf("reads %q", got)
	}
	if n := b.stored(t); n != 2 {
		t.Errorf("%d blobs: the part that was not listed stayed", n)
	}
	again := b.complete(t, "data", "k", id, one, three)
	if again.ETag != out.ETag || again.ChecksumCRC64NVME != out.ChecksumCRC64NVME || again.Location != out.Location {
		t.Errorf("asked again it answers %+v, not %+v", again, out)
	}
	refused[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", completion("data", "k", id, one), "NoSuchUpload")
	refused[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", partOf("data", "k", id, 1, "late"), "NoSuchUpload")
	refused[s3.AbortMultipartUploadOutput](t, b.admin, "s3:AbortMultipartUpload", &s3.AbortMultipartUploadInput{Bucket: "data", Key: "k", UploadId: id}, "NoSuchUpload")

	if same := b.assemble(t, "data", "same", "one ", "three"); same.ETag == out.ETag || same.ChecksumCRC64NVME != out.ChecksumCRC64NVME {
		t.Errorf("%+v and %+v", same, out)
	}
	apitest.Must[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "same"})

	b.put(t, "data", "k", "another")
	refused[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", completion("data", "k", id, one, three), "NoSuchUpload")
	if n := b.stored(t); n != 1 {
		t.Errorf("%d blobs: parts outlive their object", n)
	}
}

func TestPartsThatCannotBeCompleted(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	id := b.begin(t, "data", "k")
	one, two := b.part(t, "data", "k", id, 1, "one"), b.part(t, "data", "k", id, 2, "two")
	other := b.begin(t, "data", "k")
	foreign := b.part(t, "data", "k", other, 1, "foreign")
	elsewhere := b.begin(t, "data", "other")
	n3, n0, n10001 := int32(3), int32(0), int32(10001)
	wrong := one
	wrong.ChecksumCRC64NVME = "AAAAAAAAAAA="
	foul := one
	foul.ChecksumSHA256 = strings.Repeat("A", 43) + "="
	size := int64(7)
	for name, c := range map[string]struct {
		in   *s3.CompleteMultipartUploadInput
		code string
	}{
		"none":              {completion("data", "k", id), "MalformedXML"},
		"no number":         {completion("data", "k", id, s3.CompletedPart{ETag: one.ETag}), "MalformedXML"},
		"number 0":          {completion("data", "k", id, s3.CompletedPart{ETag: one.ETag, PartNumber: &n0}), "InvalidArgument"},
		"number 10001":      {completion("data", "k", id, s3.CompletedPart{ETag: one.ETag, PartNumber: &n10001}), "InvalidArgument"},
		"not uploaded":      {completion("data", "k", id, s3.CompletedPart{ETag: one.ETag, PartNumber: &n3}), "InvalidPart"},
		"another's ETag":    {completion("data", "k", id, s3.CompletedPart{ETag: two.ETag, PartNumber: one.PartNumber}), "InvalidPart"},
		"no ETag":           {completion("data", "k", id, s3.CompletedPart{PartNumber: one.PartNumber}), "InvalidPart"},
		"of another upload": {completion("data", "k", id, foreign), "InvalidPart"},
		"another key":       {completion("data", "other", id, one), "NoSuchUpload"},
		"another's upload":  {completion("data", "other", elsewhere, one), "InvalidPart"},
		"a wrong checksum":  {completion("data", "k", id, wrong), "InvalidPart"},
		"a foreign one":     {completion("data", "k", id, foul), "InvalidPart"},
		"descending":        {completion("data", "k", id, two, one), "InvalidPartOrder"},
		"twice":             {completion("data", "k", id, one, one), "InvalidPartOrder"},
		"too small":         {completion("data", "k", id, one, two), "EntityTooSmall"},
		"no such upload":    {completion("data", "k", "none", one), "NoSuchUpload"},
		"another size":      {&s3.CompleteMultipartUploadInput{Bucket: "data", Key: "k", UploadId: id, MpuObjectSize: &size, MultipartUpload: &s3.CompletedMultipartUpload{Parts: []s3.CompletedPart{one}}}, "InvalidRequest"},
		"another sum":       {&s3.CompleteMultipartUploadInput{Bucket: "data", Key: "k", UploadId: id, ChecksumCRC64NVME: "AAAAAAAAAAA=", MultipartUpload: &s3.CompletedMultipartUpload{Parts: []s3.CompletedPart{one}}}, "BadDigest"},
		"another kind":      {&s3.CompleteMultipartUploadInput{Bucket: "data", Key: "k", UploadId: id, ChecksumCRC32: "AAAAAA==", MultipartUpload: &s3.CompletedMultipartUpload{Parts: []s3.CompletedPart{one}}}, "InvalidRequest"},
		"composite":         {&s3.CompleteMultipartUploadInput{Bucket: "data", Key: "k", UploadId: id, ChecksumType: s3.ChecksumTypeComposite, MultipartUpload: &s3.CompletedMultipartUpload{Parts: []s3.CompletedPart{one}}}, "InvalidRequest"},
		"if it is there":    {&s3.CompleteMultipartUploadInput{Bucket: "data", Key: "k", UploadId: id, IfMatch: `"x"`, MultipartUpload: &s3.CompletedMultipartUpload{Parts: []s3.CompletedPart{one}}}, "NoSuchKey"},
	} {
		t.Run(name, func(t *testing.T) {
			refused[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", c.in, c.code)
		})
	}
	for _, n := range []int{0, -1, 10001} {
		refused[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", partOf("data", "k", id, n, "x"), "InvalidArgument")
	}
	b.complete(t, "data", "k", id, two) // the last may be small
	if got := b.get(t, "data", "k"); got != "two" {
		t.Errorf("reads %q", got)
	}
	b.put(t, "data", "k", "x")
	in := completion("data", "k", other, foreign)
	in.IfNoneMatch = "*"
	refused[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", in, "PreconditionFailed")
}

func TestAnyRangeOfAnyParts(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 6 {
		var bodies []string
		var whole bytes.Buffer
		for range 1 + r.IntN(6) {
			body := make([]byte, r.IntN([]int{3, 1000, 64<<10 + 2, 300 << 10}[r.IntN(4)]))
			for i := range body {
				body[i] = byte(r.Uint32())
			}
			bodies = append(bodies, string(body))
			whole.Write(body)
		}
		for i := range bodies[:len(bodies)-1] {
			if bodies[i] == "" { // only the last may be
				bodies[i] = "x"
			}
		}
		want := strings.Join(bodies, "")
		key := "k" + strconv.Itoa(round)
		b.assemble(t, "data", key, bodies...)
		if b.get(t, "data", key) != want {
			t.Fatalf("%d parts read otherwise", len(bodies))
		}
		for range 60 {
			if want == "" {
				break
			}
			start := r.IntN(len(want))
			length := 1 + r.IntN(len(want)-start)
			got, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: key, Range: "bytes=" + strconv.Itoa(start) + "-" + strconv.Itoa(start+length-1)})
			if err != nil || got != want[start:start+length] {
				t.Fatalf("%d bytes from %d of %d: %v, %d", length, start, len(want), err, len(got))
			}
		}
		for i, body := range bodies {
			n := int32(i + 1)
			out := apitest.Must[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: key, PartNumber: &n})
			got, err := io.ReadAll(out.Body)
			out.Body.Close()
			if err != nil || string(got) != body || *out.PartsCount != int32(len(bodies)) || *out.ContentLength != int64(len(body)) {
				t.Fatalf("part %d: %v, %d bytes", n, err, len(got))
			}
		}
		n := int32(len(bodies) + 1)
		refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: key, PartNumber: &n}, "InvalidPartNumber")
	}
}

// A bucket may take conditional writes only. What begins an upload, and its parts, make
// no object.
func TestOnlyConditionalWrites(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	b.put(t, "data", "source", "content")
	b.setPolicy(t, "data", `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::data/*",
		"Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}}`)
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put("data", "k", "x"), "AccessDenied")
	refused[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", &s3.CopyObjectInput{Bucket: "data", Key: "k", CopySource: "data/source"}, "AccessDenied")
	id := b.begin(t, "data", "k")
	one := b.part(t, "data", "k", id, 1, "content")
	refused[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", completion("data", "k", id, one), "AccessDenied")
	in := completion("data", "k", id, one)
	in.IfNoneMatch = "*"
	apitest.Must[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", in)
}

// A download of an object in parts goes on when the object is deleted.
func TestPartsStayWhileTheyAreRead(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	bodies := []string{strings.Repeat("1", 300<<10), strings.Repeat("2", 300<<10), strings.Repeat("3", 1000)}
	b.assemble(t, "data", "k", bodies...)
	whole := apitest.Must[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"})
	end := apitest.Must[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", Range: "bytes=-2000"})
	apitest.Must[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k"})
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "NoSuchKey")
	want := strings.Join(bodies, "")
	for _, c := range []struct {
		body io.ReadCloser
		want string
	}{{whole.Body, want}, {end.Body, want[len(want)-2000:]}} {
		got, err := io.ReadAll(c.body)
		if err != nil || string(got) != c.want {
			t.Errorf("%d bytes of %d: %v", len(got), len(c.want), err)
		}
		if b.stored(t) == 0 {
			t.Error("the bytes went while they were read")
		}
		c.body.Close()
		c.body.Close()
	}
	if n := b.stored(t); n != 0 {
		t.Errorf("%d blobs stayed", n)
	}
}

// Versions in parts keep their own, and a version is copied as any object is.
func TestVersionsInParts(t *testing.T) { onBoth(t, versionsInParts) }

func versionsInParts(t *testing.T, b *bench) {
	b.small()
	b.bucket(t, "data")
	apitest.Must[s3.PutBucketVersioningOutput](t, b.admin, "s3:PutBucketVersioning", &s3.PutBucketVersioningInput{
		Bucket: "data", VersioningConfiguration: &s3.VersioningConfiguration{Status: s3.BucketVersioningStatusEnabled}})
	first := b.assemble(t, "data", "k", "one ", "two")
	second := b.assemble(t, "data", "k", "three ", "four")
	if first.VersionId == "" || first.VersionId == second.VersionId {
		t.Fatalf("%q and %q", first.VersionId, second.VersionId)
	}
	old, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: first.VersionId})
	if err != nil || old != "one two" || b.get(t, "data", "k") != "three four" {
		t.Errorf("reads %q, %v", old, err)
	}
	back := apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", &s3.CopyObjectInput{Bucket: "data", Key: "k", CopySource: "data/k?versionId=" + first.VersionId})
	if back.CopySourceVersionId != first.VersionId || b.get(t, "data", "k") != "one two" {
		t.Errorf("%+v", back)
	}
	getter := b.User(t, apitest.Account, "getter", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}]}`)
	refused[s3.CopyObjectOutput](t, getter, "s3:CopyObject", &s3.CopyObjectInput{Bucket: "data", Key: "mine", CopySource: "data/k?versionId=" + first.VersionId}, "AccessDenied")
	for _, version := range []string{first.VersionId, second.VersionId, back.VersionId} {
		apitest.Must[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: version})
	}
	if n := b.rows(t, "SELECT COUNT(*) FROM s3_parts") + b.stored(t); n != 0 {
		t.Errorf("%d parts and blobs stayed", n)
	}
}
