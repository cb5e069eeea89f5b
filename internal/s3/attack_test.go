package s3

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
)

func TestNoPlaintextAtRest(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	const marker = "MARKER-diagnosis-of-the-patient-0123456789"
	b.put(t, "data", "small", marker)
	b.put(t, "data", "large", strings.Repeat("x", 200<<10)+marker+strings.Repeat("y", 200<<10))
	if got := b.get(t, "data", "large"); !strings.Contains(got, marker) {
		t.Error("the large object came back without its marker")
	}
	apitest.NoPlaintext(t, b.Dir, marker)
}

func TestObjectsCannotBeMoved(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.bucket(t, "public")
	b.put(t, "data", "secret", "the secret")
	b.put(t, "data", "open", "anything")
	b.put(t, "public", "open", "anything")
	for name, statement := range map[string]string{
		"key":    `UPDATE s3_objects SET key = CAST('moved' AS BLOB) WHERE bucket = 'data' AND key = CAST('secret' AS BLOB)`,
		"bucket": `UPDATE s3_objects SET bucket = 'public', key = CAST('moved' AS BLOB) WHERE bucket = 'data' AND key = CAST('moved' AS BLOB)`,
	} {
		b.sql(t, statement)
		bucket := map[string]string{"key": "data", "bucket": "public"}[name]
		if body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: bucket, Key: "moved"}); err == nil {
			t.Errorf("moved to another %s, it reads %q", name, body)
		}
	}
	t.Run("bytes under another row", func(t *testing.T) {
		b.put(t, "data", "one", "the first")
		b.put(t, "data", "two", "the other")
		b.sql(t, `UPDATE s3_objects SET ref = (SELECT ref FROM s3_objects WHERE key = CAST('one' AS BLOB)) WHERE key = CAST('two' AS BLOB)`)
		if body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "two"}); err == nil {
			t.Errorf("reads %q", body)
		}
	})
	t.Run("old bytes under the new row", func(t *testing.T) {
		b.put(t, "data", "again", "old content")
		b.sql(t, `UPDATE s3_objects SET key = CAST('kept' AS BLOB) WHERE key = CAST('again' AS BLOB)`)
		b.put(t, "data", "again", "new content")
		b.sql(t, `UPDATE s3_objects SET ref = (SELECT ref FROM s3_objects WHERE key = CAST('kept' AS BLOB)),
			data_key = (SELECT data_key FROM s3_objects WHERE key = CAST('kept' AS BLOB)) WHERE key = CAST('again' AS BLOB)`)
		if body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "again"}); err == nil {
			t.Errorf("reads %q", body)
		}
	})
}

func TestDetailsCannotBeChangedInTheStore(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	for name, change := range map[string]string{
		"type":      `details = REPLACE(details, 'text/plain', 'text/html!')`,
		"metadata":  `details = REPLACE(details, 'approved', 'rejected')`,
		"etag":      `etag = '00000000000000000000000000000000'`,
		"size":      `size = size - 1`,
		"time":      `modified = modified + 1000000`,
		"algorithm": `algorithm = 'CRC32'`,
	} {
		t.Run(name, func(t *testing.T) {
			in := put("data", "k", "content")
			in.ContentType, in.Metadata = "text/plain", map[string]string{"state": "approved"}
			apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in)
			b.get(t, "data", "k")
			b.sql(t, `UPDATE s3_objects SET `+change)
			if body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "k"}); err == nil {
				t.Errorf("it reads %q", body)
			}
		})
	}
}

func TestChecksumIsSealedInItsRow(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	in := put("data", "k", "yes") // content that can be guessed
	in.ChecksumAlgorithm = s3.ChecksumAlgorithmSha256
	out := apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in)
	var text string
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if err := sn.QueryRow("SELECT details FROM s3_objects").Scan(&text); err != nil || strings.Contains(text, out.ChecksumSHA256) {
		t.Errorf("%v: %s", err, text)
	}
	head := apitest.Must[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k", ChecksumMode: s3.ChecksumModeEnabled})
	if head.ChecksumSHA256 != out.ChecksumSHA256 || head.ChecksumSHA256 == "" {
		t.Errorf("%q, not %q", head.ChecksumSHA256, out.ChecksumSHA256)
	}
}

// blobFiles are the files that hold large objects.
func blobFiles(t *testing.T, b *bench) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(b.path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Base(filepath.Dir(path)) == "files" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDamagedBytesAreNeverServedAsWhole(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	content := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // five chunks
	b.put(t, "data", "k", string(content))
	files := blobFiles(t, b)
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	sealed, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte { c := bytes.Clone(sealed); c[at] ^= 1; return c }
	const chunk = 64<<10 + 28
	for name, bad := range map[string][]byte{
		"version": flip(0), "salt": flip(5), "first chunk": flip(100), "middle chunk": flip(33 + 2*chunk + 1000), "last byte": flip(len(sealed) - 1),
		"cut by a byte": sealed[:len(sealed)-1], "cut by a chunk": sealed[:33+4*chunk], "cut in the middle": sealed[:len(sealed)/2], "empty": {},
		"longer":         append(bytes.Clone(sealed), 0),
		"chunks swapped": append(append(append(bytes.Clone(sealed[:33]), sealed[33+chunk:33+2*chunk]...), sealed[33:33+chunk]...), sealed[33+2*chunk:]...),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(files[0], bad, 0o600); err != nil {
				t.Fatal(err)
			}
			out, refusal := apitest.Call[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"})
			if refusal != nil {
				return
			}
			got, err := io.ReadAll(out.Body)
			out.Body.Close()
			if err == nil {
				t.Error("it was served as whole")
			}
			if !bytes.HasPrefix(content, got) {
				t.Error("a wrong byte was served")
			}
		})
	}
	t.Run("over HTTP", func(t *testing.T) {
		if err := os.WriteFile(files[0], flip(33+2*chunk+1000), 0o600); err != nil {
			t.Fatal(err)
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
	})
	if err := os.WriteFile(files[0], sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	if b.get(t, "data", "k") != string(content) {
		t.Error("the restored bytes do not read")
	}
}

func TestKeyTurnedOff(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	k := b.key(t, "")
	apitest.Must[s3.PutBucketEncryptionOutput](t, b.admin, "s3:PutBucketEncryption", &s3.PutBucketEncryptionInput{
		Bucket: "data", ServerSideEncryptionConfiguration: &s3.ServerSideEncryptionConfiguration{Rules: []s3.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &s3.ServerSideEncryptionByDefault{SSEAlgorithm: s3.ServerSideEncryptionAwsKms, KMSMasterKeyID: k.KeyId}}}},
	})
	if out := b.put(t, "data", "k", "content"); out.SSEKMSKeyId != k.Arn {
		t.Errorf("sealed under %s", out.SSEKMSKeyId)
	}
	apitest.Must[kms.DisableKeyOutput](t, b.admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "KMS.DisabledException")
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put("data", "new", "x"), "KMS.DisabledException")
	refused[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k", ChecksumMode: s3.ChecksumModeEnabled}, "KMS.DisabledException")
	apitest.Must[kms.EnableKeyOutput](t, b.admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId})
	if got := b.get(t, "data", "k"); got != "content" {
		t.Errorf("reads %q", got)
	}
	if n := b.stored(t); n != 1 {
		t.Errorf("%d blobs", n)
	}
}

func TestKeyPolicyGuardsObjects(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	reader := b.User(t, apitest.Account, "reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	k := b.key(t, "")
	in := put("data", "k", "content")
	in.ServerSideEncryption, in.SSEKMSKeyId = s3.ServerSideEncryptionAwsKms, k.Arn
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in)
	// She may read every object, and may not use the key.
	refused[s3.GetObjectOutput](t, reader, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "AccessDenied")
	again := put("data", "k2", "x")
	again.ServerSideEncryption, again.SSEKMSKeyId = s3.ServerSideEncryptionAwsKms, k.Arn
	refused[s3.PutObjectOutput](t, reader, "s3:PutObject", again, "AccessDenied")
	// The managed key asks for nothing but coming through S3.
	b.put(t, "data", "managed", "content")
	if body, err := read(t, reader, &s3.GetObjectInput{Bucket: "data", Key: "managed"}); err != nil || body != "content" {
		t.Errorf("%q, %v", body, err)
	}
	if r := b.Records(t, apitest.Account, "Decrypt"); len(r) == 0 || r[0].ParentRequestID == "" || r[0].UserIdentity.InvokedBy != "s3.amazonaws.com" {
		t.Error("the nested use of the key is not recorded as S3's on the caller's behalf")
	}
}

func TestKeysAreOnlyNames(t *testing.T) { onBoth(t, keysAreOnlyNames) }

func keysAreOnlyNames(t *testing.T, b *bench) {
	b.bucket(t, "data")
	names := []string{
		"../../etc/passwd", "..", ".", "/", "//", "/a", "a//b", "a/../b", "%2e%2e%2f", "%00", "a\\b", "a:b", "a?b#c", "a\nb", "a\x00b",
		"ünïcode", "\u202eevil", "con", "a*b", "${aws:username}", strings.Repeat("k", 1024), " ", "arn:aws:s3:::other/x",
	}
	for _, name := range names {
		b.put(t, "data", name, "content of "+name)
	}
	for _, name := range names {
		if got := b.get(t, "data", name); got != "content of "+name {
			t.Errorf("%q reads %q", name, got)
		}
	}
	seen := map[string]bool{}
	for _, o := range apitest.Must[s3.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "data"}).Contents {
		seen[o.Key] = true
	}
	for _, name := range names {
		if !seen[name] {
			t.Errorf("%q is not listed", name)
		}
	}
	// A policy for one name does not match another that a path would fold into it.
	narrow := b.User(t, apitest.Account, "narrow", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/b"}]}`)
	refused[s3.GetObjectOutput](t, narrow, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "a/../b"}, "AccessDenied")
	for _, key := range []string{"", strings.Repeat("k", 1025), "\xff"} {
		if _, err := apitest.Call[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put("data", key, "x")); err == nil {
			t.Errorf("%q was taken", key)
		}
	}
	b.Python(t, b.admin, `
s3 = client("s3")
for name in ["../../etc/passwd", "a/../b", "//", "%2e%2e%2f", "%00", "a\\b", "a?b#c", "ünïcode", " "]:
    assert s3.get_object(Bucket="data", Key=name)["Body"].read().decode() == "content of " + name, name
`)
}

func TestOverwriteAndDeleteFreeTheBytes(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	for _, content := range []string{"small", strings.Repeat("large", 100<<10)} {
		first := b.put(t, "data", "k", content)
		second := b.put(t, "data", "k", content+"!")
		if first.ETag == second.ETag {
			t.Error("two uploads have one ETag")
		}
		if n := b.stored(t); n != 1 {
			t.Errorf("%d blobs after an overwrite", n)
		}
		if got := b.get(t, "data", "k"); got != content+"!" {
			t.Error("the overwrite is not what is read")
		}
	}
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for h, err := range b.service.References(t.Context(), sn) {
		if _, openErr := b.blobs.Open(t.Context(), h.Ref); err != nil || openErr != nil {
			t.Error(err, openErr)
		}
	}
	sn.Close()
	// A download that has begun goes on when the object is deleted.
	out := apitest.Must[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"})
	apitest.Must[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k"})
	body, err := io.ReadAll(out.Body)
	out.Body.Close()
	if err != nil || len(body) != 5*100<<10+1 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if n := b.stored(t); n != 0 {
		t.Errorf("%d blobs after the deletion", n)
	}
}
