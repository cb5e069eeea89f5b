package s3

import (
	"io"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
)

func TestPartsCannotBeChangedInTheStore(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	b.bucket(t, "other")
	for name, change := range map[string]string{
		"reordered": `UPDATE s3_parts SET number = CASE number WHEN 1 THEN 12 WHEN 2 THEN 11 ELSE 13 END WHERE upload = ?;
			UPDATE s3_parts SET number = number - 10 WHERE upload = ?`,
		"contents exchanged": `UPDATE s3_parts SET ref = (SELECT ref FROM s3_parts AS o WHERE o.upload = s3_parts.upload AND o.number = 3 - s3_parts.number) WHERE upload = ? AND number < 3`,
		"one dropped":        `DELETE FROM s3_parts WHERE upload = ? AND number = 3`,
		"one doubled":        `INSERT INTO s3_parts SELECT upload, 4, etag, size, modified, ref, proof FROM s3_parts WHERE upload = ? AND number = 3`,
		"size":               `UPDATE s3_parts SET size = size + 1 WHERE upload = ? AND number = 1`,
		"etag":               `UPDATE s3_parts SET etag = '00' WHERE upload = ? AND number = 2`,
		"an earlier one":     `UPDATE s3_parts SET ref = (SELECT ref FROM s3_parts WHERE upload = 'kept') WHERE upload = ? AND number = 1`,
		"an earlier row": `UPDATE s3_parts SET (ref, etag, proof) = (SELECT ref, etag, proof FROM s3_parts WHERE upload = 'kept')
			WHERE upload = ? AND number = 1`,
		"of another object": `UPDATE s3_parts SET ref = (SELECT p.ref FROM s3_parts p, s3_objects o WHERE o.bucket = 'other' AND p.upload = o.upload AND p.number = 1)
			WHERE upload = ? AND number = 1`,
		"manifest":        `UPDATE s3_objects SET details = REPLACE(details, '"manifest":"', '"manifest":"x') WHERE upload = ?`,
		"number of parts": `UPDATE s3_objects SET details = REPLACE(details, '"parts":3', '"parts":2') WHERE upload = ?`,
		"another upload":  `UPDATE s3_objects SET upload = (SELECT upload FROM s3_objects WHERE bucket = 'other') WHERE upload = ?`,
	} {
		t.Run(name, func(t *testing.T) {
			b.sql(t, `DELETE FROM s3_parts WHERE upload = 'kept'`)
			b.assemble(t, "other", "k", "part one", "part two", "part six")
			id := b.begin(t, "data", "k")
			b.part(t, "data", "k", id, 1, "old one!")
			// Its bytes stay, as if the one who holds the store had kept them.
			b.sql(t, `INSERT INTO s3_parts SELECT 'kept', number, etag, size, modified, ref, proof FROM s3_parts WHERE upload = ?`, id)
			b.sql(t, `DELETE FROM s3_parts WHERE upload = ?`, id)
			one, two, three := b.part(t, "data", "k", id, 1, "part one"), b.part(t, "data", "k", id, 2, "part two"), b.part(t, "data", "k", id, 3, "part six")
			b.complete(t, "data", "k", id, one, two, three)
			if got := b.get(t, "data", "k"); got != "part onepart twopart six" {
				t.Fatalf("reads %q", got)
			}
			for statement := range strings.SplitSeq(change, ";") {
				b.sql(t, statement, id)
			}
			if body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "k"}); err == nil {
				t.Errorf("it reads %q", body)
			}
		})
	}
}

func TestUploadsCannotBeChangedInTheStore(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	for name, change := range map[string]string{
		"type":      `UPDATE s3_uploads SET details = REPLACE(details, 'text/plain', 'text/html')`,
		"algorithm": `UPDATE s3_uploads SET algorithm = 'CRC32'`,
		"a part":    `UPDATE s3_parts SET etag = '00000000000000000000000000000000'`,
		"its size":  `UPDATE s3_parts SET size = size + 1`,
		"key":       `UPDATE s3_uploads SET key = CAST('moved' AS BLOB)`,
	} {
		t.Run(name, func(t *testing.T) {
			id := apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload",
				&s3.CreateMultipartUploadInput{Bucket: "data", Key: "k", ContentType: "text/plain"}).UploadId
			part := b.part(t, "data", "k", id, 1, "content")
			b.sql(t, change)
			for _, key := range []string{"k", "moved"} {
				for _, etag := range []string{part.ETag, strings.Repeat("0", 32)} {
					part.ETag = etag
					if out, err := apitest.Call[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", completion("data", key, id, part)); err == nil {
						t.Errorf("it was completed: %+v", out)
					}
				}
			}
			b.sql(t, `DELETE FROM s3_uploads`)
		})
	}
}

func TestDamagedPartsAreNeverServedAsWhole(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	first, second := strings.Repeat("first", 40<<10), strings.Repeat("second", 40<<10)
	b.assemble(t, "data", "k", first, second)
	b.put(t, "data", "elsewhere", second)
	b.sql(t, `UPDATE s3_parts SET ref = (SELECT ref FROM s3_objects WHERE key = CAST('elsewhere' AS BLOB)) WHERE number = 2`)
	out := apitest.Must[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"})
	got, err := io.ReadAll(out.Body)
	out.Body.Close()
	if err == nil || !strings.HasPrefix(first, string(got)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	b.Python(t, b.admin, `
import http.client, urllib3
body = client("s3").get_object(Bucket="data", Key="k")["Body"]
try:
    got = body.read()
    raise AssertionError(f"{len(got)} bytes were served as whole")
except (http.client.IncompleteRead, urllib3.exceptions.ProtocolError, botocore.exceptions.ResponseStreamingError, botocore.exceptions.IncompleteReadError):
    pass
`)
}

func TestKeyGuardsParts(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	k := b.key(t, "")
	writer := b.User(t, apitest.Account, "writer", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	create := &s3.CreateMultipartUploadInput{Bucket: "data", Key: "k", ServerSideEncryption: s3.ServerSideEncryptionAwsKms, SSEKMSKeyId: k.Arn}
	refused[s3.CreateMultipartUploadOutput](t, writer, "s3:CreateMultipartUpload", create, "AccessDenied")
	id := apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload", create).UploadId
	one := b.part(t, "data", "k", id, 1, "content")
	b.put(t, "data", "source", "source")
	refused[s3.UploadPartOutput](t, writer, "s3:UploadPart", partOf("data", "k", id, 2, "x"), "AccessDenied")
	refused[s3.UploadPartCopyOutput](t, writer, "s3:UploadPartCopy", &s3.UploadPartCopyInput{Bucket: "data", Key: "k", UploadId: id, PartNumber: 2, CopySource: "data/source"}, "AccessDenied")
	refused[s3.CompleteMultipartUploadOutput](t, writer, "s3:CompleteMultipartUpload", completion("data", "k", id, one), "AccessDenied")
	refused[s3.ListPartsOutput](t, writer, "s3:ListParts", &s3.ListPartsInput{Bucket: "data", Key: "k", UploadId: id}, "AccessDenied")
	b.complete(t, "data", "k", id, one)
	refused[s3.GetObjectOutput](t, writer, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "AccessDenied")
	refused[s3.CopyObjectOutput](t, writer, "s3:CopyObject", &s3.CopyObjectInput{Bucket: "data", Key: "mine", CopySource: "data/k"}, "AccessDenied")
	own := b.begin(t, "data", "mine")
	refused[s3.UploadPartCopyOutput](t, writer, "s3:UploadPartCopy", &s3.UploadPartCopyInput{Bucket: "data", Key: "mine", UploadId: own, PartNumber: 1, CopySource: "data/k"}, "AccessDenied")

	apitest.Must[kms.DisableKeyOutput](t, b.admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "KMS.DisabledException")
	refused[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", &s3.CopyObjectInput{Bucket: "data", Key: "mine", CopySource: "data/k"}, "KMS.DisabledException")
}

func TestAbortWhileUploading(t *testing.T) { onBoth(t, abortWhileUploading) }

func abortWhileUploading(t *testing.T, b *bench) {
	b.small()
	b.bucket(t, "data")
	id := b.begin(t, "data", "k")
	b.part(t, "data", "k", id, 1, "content")
	late := partOf("data", "k", id, 2, "")
	late.Body = &meanwhile{strings.NewReader("content"), func() {
		apitest.Must[s3.AbortMultipartUploadOutput](t, b.admin, "s3:AbortMultipartUpload", &s3.AbortMultipartUploadInput{Bucket: "data", Key: "k", UploadId: id})
	}}
	refused[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", late, "NoSuchUpload")
	if n := b.rows(t, "SELECT COUNT(*) FROM s3_parts"); n != 0 {
		t.Errorf("%d parts stayed", n)
	}

	// A part that is uploaded again while the upload is completed: never another than was listed.
	id = b.begin(t, "data", "k")
	one := b.part(t, "data", "k", id, 1, "first")
	again := partOf("data", "k", id, 1, "")
	again.Body = &meanwhile{strings.NewReader("again"), func() { b.complete(t, "data", "k", id, one) }}
	refused[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", again, "NoSuchUpload")
	if got := b.get(t, "data", "k"); got != "first" {
		t.Errorf("reads %q", got)
	}

	// A bucket that goes takes its uploads along.
	b.bucket(t, "gone")
	left := b.begin(t, "gone", "k")
	b.part(t, "gone", "k", left, 1, "content")
	apitest.Must[s3.DeleteBucketOutput](t, b.admin, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "gone"})
	b.bucket(t, "gone")
	refused[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", partOf("gone", "k", left, 2, "x"), "NoSuchUpload")
	if n := b.rows(t, "SELECT COUNT(*) FROM s3_uploads") + b.rows(t, "SELECT COUNT(*) FROM s3_parts") - 1; n != 0 {
		t.Errorf("%d rows stayed", n)
	}
}

func (b *bench) rows(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if err := sn.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestManyCompletionsMakeOneObject(t *testing.T) { onBoth(t, manyCompletions) }

func manyCompletions(t *testing.T, b *bench) {
	b.small()
	b.bucket(t, "data")
	id := b.begin(t, "data", "k")
	one, two := b.part(t, "data", "k", id, 1, "one"), b.part(t, "data", "k", id, 2, "two")
	answers := make(chan string, 8)
	var all sync.WaitGroup
	for range cap(answers) {
		all.Go(func() {
			out, err := apitest.Call[s3.CompleteMultipartUploadOutput](t, b.admin, "s3:CompleteMultipartUpload", completion("data", "k", id, one, two))
			if err != nil {
				t.Error(err)
				return
			}
			answers <- out.ETag
		})
		all.Go(func() { // the same part again and again: what was listed is what is completed, or nothing is
			_, err := apitest.Call[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", partOf("data", "k", id, 9, "nine"))
			if err != nil && err.Code != "NoSuchUpload" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(answers)
	first := <-answers
	for etag := range answers {
		if etag != first {
			t.Errorf("two ETags: %s and %s", first, etag)
		}
	}
	if got := b.get(t, "data", "k"); got != "onetwo" {
		t.Errorf("reads %q", got)
	}
	if n := b.rows(t, "SELECT COUNT(*) FROM s3_parts"); n != 2 {
		t.Errorf("%d parts", n)
	}
}
