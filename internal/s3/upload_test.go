package s3

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

// meanwhile is a body that does something when half of it was read.
type meanwhile struct {
	io.Reader
	do func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	return m.Reader.Read(p)
}

func TestUploadIsDecidedAsThingsAreWhenItEnds(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	deny := `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::data/*"}`
	in := put("data", "late", "")
	in.Body = &meanwhile{strings.NewReader("content"), func() { b.setPolicy(t, "data", deny) }}
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in, "AccessDenied")
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "late"}, "NoSuchKey")
	apitest.Must[s3.DeleteBucketPolicyOutput](t, b.admin, "s3:DeleteBucketPolicy", &s3.DeleteBucketPolicyInput{Bucket: "data"})

	t.Run("into a bucket of the same name", func(t *testing.T) {
		b.bucket(t, "squat")
		in := put("squat", "k", "")
		in.Body = &meanwhile{strings.NewReader("content"), func() {
			apitest.Must[s3.DeleteBucketOutput](t, b.admin, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "squat"})
			b.bucket(t, "squat")
		}}
		refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in, "OperationAborted")
	})
	t.Run("by one who lost her rights", func(t *testing.T) {
		b.bucket(t, "gone")
		in := put("gone", "k", "")
		in.Body = &meanwhile{strings.NewReader("content"), func() {
			apitest.Must[s3.DeleteBucketOutput](t, b.admin, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "gone"})
		}}
		refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in, "NoSuchBucket")
	})
}

func TestOneOfManyCreatesWins(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	var won atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			in := put("data", "lock", "mine")
			in.IfNoneMatch = "*"
			switch _, err := apitest.Call[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in); {
			case err == nil:
				won.Add(1)
			case err.Code != "PreconditionFailed":
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d uploads created the object", won.Load())
	}
}

func TestConditionalWrites(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	first := b.put(t, "data", "k", "one")
	match := func(etag string) *s3.PutObjectInput {
		in := put("data", "k", "two")
		in.IfMatch = etag
		return in
	}
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", match(`"other"`), "PreconditionFailed")
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", match(first.ETag))
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", match(first.ETag), "PreconditionFailed")
	absent := match(first.ETag)
	absent.Key = "none"
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", absent, "NoSuchKey")
	refused[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", IfMatch: first.ETag}, "PreconditionFailed")
	if got := b.get(t, "data", "k"); got != "two" {
		t.Errorf("reads %q", got)
	}
}

// broken is a body that fails.
type broken struct{ io.Reader }

func (r broken) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("the connection broke")
	}
	return n, err
}

func TestBrokenUploadLeavesNothing(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "before")
	for _, size := range []int{10, 1 << 20} {
		in := put("data", "k", "")
		in.Body = broken{strings.NewReader(strings.Repeat("x", size))}
		refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in, "InternalFailure")
	}
	if got := b.get(t, "data", "k"); got != "before" {
		t.Errorf("reads %q", got)
	}
	if n := b.stored(t); n != 1 {
		t.Errorf("%d blobs", n)
	}
}

// TestTransit uploads with checksums in the trailer, as clients do over TLS, and
// changes bodies on their way.
func TestTransit(t *testing.T) {
	b := newBench(t)
	b.Python(t, b.admin, `
import base64, zlib, hashlib, http.client, urllib.parse
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
s3 = client("s3")
s3.create_bucket(Bucket="data")

class Signer(S3SigV4Auth):
    def payload(self, request):
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

def upload(key, chunks, trailer, declared, length, **more):
    url = os.environ["BAWN_URL"] + "/data/" + key
    body = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n" + trailer + b"\r\n"
    headers = {"X-Amz-Decoded-Content-Length": str(length), "Content-Encoding": "aws-chunked",
        "X-Amz-Trailer": declared, "Content-Length": str(len(body)), **more}
    request = AWSRequest("PUT", url, headers=headers, data=body)
    Signer(Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]), "s3", "us-east-1").add_auth(request)
    p = request.prepare()
    c = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc)
    c.request("PUT", "/data/" + key, body=body, headers=dict(p.headers))
    r = c.getresponse()
    return r.status, r.read().decode()

content = [b"a" * 70000, b"b" * 1000]
whole = b"".join(content)
crc = base64.b64encode(zlib.crc32(whole).to_bytes(4, "big"))
sha = base64.b64encode(hashlib.sha256(whole).digest())
crc_header = {"x-amz-sdk-checksum-algorithm": "CRC32"}
good = upload("good", content, b"x-amz-checksum-crc32:" + crc + b"\r\n", "x-amz-checksum-crc32", len(whole), **crc_header)
assert good[0] == 200, good
got = s3.get_object(Bucket="data", Key="good", ChecksumMode="ENABLED")
assert got["Body"].read() == whole and got["ChecksumCRC32"] == crc.decode() and "ContentEncoding" not in got, got
for name, case in {
    "a wrong sum": (content, b"x-amz-checksum-crc32:AAAAAA==\r\n", "x-amz-checksum-crc32", len(whole)),
    "a changed body": ([b"A" * 70000, content[1]], b"x-amz-checksum-crc32:" + crc + b"\r\n", "x-amz-checksum-crc32", len(whole)),
    "no trailer": (content, b"", "x-amz-checksum-crc32", len(whole)),
    "another trailer": (content, b"x-amz-checksum-crc32:" + crc + b"\r\n", "x-amz-checksum-crc32c", len(whole)),
    "another length": (content, b"x-amz-checksum-crc32:" + crc + b"\r\n", "x-amz-checksum-crc32", len(whole) + 1),
}.items():
    status, text = upload("bad", *case, **crc_header)
    assert 400 <= status < 500, (name, status, text)
    refused(s3.get_object, "NoSuchKey", Bucket="data", Key="bad")
status, text = upload("sha", content, b"x-amz-checksum-sha256:" + sha + b"\r\n", "x-amz-checksum-sha256", len(whole), **{"x-amz-sdk-checksum-algorithm": "SHA256"})
assert status == 200, text
# Announced, and not named beside that, as the SDK for Go does it.
status, text = upload("unnamed", content, b"x-amz-checksum-sha256:" + sha + b"\r\n", "x-amz-checksum-sha256", len(whole))
assert status == 200, text
status, text = upload("unnamed-and-wrong", content, b"x-amz-checksum-sha256:" + sha[::-1] + b"\r\n", "x-amz-checksum-sha256", len(whole))
assert status == 400, text

# A body that is not the one whose hash was signed.
def bend(request, **kw):
    request.body = b"evil"
s3.meta.events.register("before-send.s3.PutObject", bend)
refused(s3.put_object, "XAmzContentSHA256Mismatch", Bucket="data", Key="bent", Body=b"good")
s3.meta.events.unregister("before-send.s3.PutObject", bend)
refused(s3.get_object, "NoSuchKey", Bucket="data", Key="bent")
`)
}
