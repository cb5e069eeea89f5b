package s3

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
)

func TestBoto3(t *testing.T) { onBoth(t, boto3) }

func boto3(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import urllib.request, urllib.error, hashlib, io
s3 = client("s3")
s3.create_bucket(Bucket="data")
refused(s3.create_bucket, "BucketAlreadyOwnedByYou", Bucket="data")
refused(s3.create_bucket, "IllegalLocationConstraintException", Bucket="other", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
assert s3.get_bucket_location(Bucket="data")["LocationConstraint"] is None
s3.head_bucket(Bucket="data")
assert refused(s3.head_bucket, "404", Bucket="nope-nope")
assert [x["Name"] for x in s3.list_buckets()["Buckets"]] == ["data"]
assert "Status" not in s3.get_bucket_versioning(Bucket="data")
rule = s3.get_bucket_encryption(Bucket="data")["ServerSideEncryptionConfiguration"]["Rules"][0]
assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms", rule
block = s3.get_public_access_block(Bucket="data")["PublicAccessBlockConfiguration"]
assert all(block.values()) and len(block) == 4, block
refused(s3.get_bucket_policy, "NoSuchBucketPolicy", Bucket="data")

# The default upload of this boto3 is chunked, with a checksum in the trailer.
body = os.urandom(300_000)
out = s3.put_object(Bucket="data", Key="dir/a b+c.bin", Body=body, ContentType="application/x-test", Metadata={"who": "me"}, CacheControl="no-store")
assert out["ServerSideEncryption"] == "aws:kms" and ":key/" in out["SSEKMSKeyId"], out
assert "ChecksumCRC32" in out, out
got = s3.get_object(Bucket="data", Key="dir/a b+c.bin")
assert got["Body"].read() == body and got["ContentType"] == "application/x-test" and got["Metadata"] == {"who": "me"}, got
assert got["ETag"] == out["ETag"] and got["ContentLength"] == len(body)
assert got["ETag"].strip('"') != hashlib.md5(body).hexdigest()
for r, want in [("bytes=0-0", body[:1]), ("bytes=100000-200000", body[100000:200001]), ("bytes=299999-", body[-1:]), ("bytes=-5", body[-5:]), ("bytes=65530-65550", body[65530:65551]), ("bytes=1-9999999", body[1:])]:
    part = s3.get_object(Bucket="data", Key="dir/a b+c.bin", Range=r)
    assert part["Body"].read() == want and part["ResponseMetadata"]["HTTPStatusCode"] == 206, r
    assert part["ContentRange"].endswith("/300000"), part["ContentRange"]
refused(s3.get_object, "InvalidRange", Bucket="data", Key="dir/a b+c.bin", Range="bytes=300000-")
head = s3.head_object(Bucket="data", Key="dir/a b+c.bin")
assert head["ContentLength"] == 300_000 and head["CacheControl"] == "no-store"
over = s3.get_object(Bucket="data", Key="dir/a b+c.bin", ResponseContentType="text/plain", ResponseContentDisposition="attachment")
assert over["ContentType"] == "text/plain" and over["ContentDisposition"] == "attachment"
over["Body"].close()
assert refused(s3.get_object, "304", Bucket="data", Key="dir/a b+c.bin", IfNoneMatch=out["ETag"])
assert refused(s3.get_object, "PreconditionFailed", Bucket="data", Key="dir/a b+c.bin", IfMatch='"other"')
assert refused(s3.head_object, "404", Bucket="data", Key="none")
refused(s3.get_object, "NoSuchKey", Bucket="data", Key="none")
refused(s3.put_object, "PreconditionFailed", Bucket="data", Key="dir/a b+c.bin", Body=b"x", IfNoneMatch="*")
s3.put_object(Bucket="data", Key="fresh", Body=b"x", IfNoneMatch="*")

for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]:
    try:
        o = s3.put_object(Bucket="data", Key="sum-" + algorithm, Body=b"123456789", ChecksumAlgorithm=algorithm)
    except botocore.exceptions.MissingDependencyException:
        continue
    assert o["Checksum" + algorithm], o
    g = s3.get_object(Bucket="data", Key="sum-" + algorithm, ChecksumMode="ENABLED")
    assert g["Body"].read() == b"123456789" and g["Checksum" + algorithm] == o["Checksum" + algorithm]
refused(s3.put_object, "BadDigest", Bucket="data", Key="bad", Body=b"123456789", ChecksumCRC32="AAAAAA==")
refused(s3.put_object, "BadDigest", Bucket="data", Key="bad", Body=b"123456789", ChecksumSHA256="A" * 43 + "=")
refused(s3.put_object, "BadDigest", Bucket="data", Key="bad", Body=b"123456789", ContentMD5="A" * 22 + "==")
refused(s3.put_object, "InvalidDigest", Bucket="data", Key="bad", Body=b"123456789", ContentMD5="AAAA")
refused(s3.get_object, "NoSuchKey", Bucket="data", Key="bad")
assert s3.put_object(Bucket="data", Key="crc64", Body=b"123456789", ChecksumCRC64NVME="rosUhgp5mIg=")["ChecksumCRC64NVME"]

refused(s3.put_object, "AccessControlListNotSupported", Bucket="data", Key="bad", Body=b"x", ACL="public-read")
for member in [{"ServerSideEncryption": "aws:kms:dsse"}, {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}, {"StorageClass": "GLACIER"}, {"GrantRead": "id=x"}]:
    refused(s3.put_object, "NotImplemented", Bucket="data", Key="bad", Body=b"x", **member)
refused(s3.put_object, "MetadataTooLarge", Bucket="data", Key="bad", Body=b"x", Metadata={"a": "b" * 2100})
refused(s3.put_object, "KeyTooLongError", Bucket="data", Key="k" * 1025, Body=b"x")
refused(s3.list_objects_v2, "AccessDenied", Bucket="data", ExpectedBucketOwner="210987654321")
refused(s3.put_object, "AccessDenied", Bucket="data", Key="x", Body=b"x", ExpectedBucketOwner="210987654321")

# Presigned. Without being told, this boto3 signs URLs of us-east-1 with version 2, which is refused.
signer = boto3.client("s3", endpoint_url=os.environ["BAWN_URL"], config=botocore.config.Config(signature_version="s3v4"))
url = signer.generate_presigned_url("get_object", Params={"Bucket": "data", "Key": "dir/a b+c.bin"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == body
url = signer.generate_presigned_url("put_object", Params={"Bucket": "data", "Key": "presigned"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT"))
assert s3.get_object(Bucket="data", Key="presigned")["Body"].read() == b"by url"
try:
    urllib.request.urlopen(os.environ["BAWN_URL"] + "/data/presigned")
    raise AssertionError("anonymous")
except urllib.error.HTTPError as e:
    assert e.code == 403, e.code
# A policy may say how requests are signed, and for how long.
url = signer.generate_presigned_url("get_object", Params={"Bucket": "data", "Key": "presigned"}, ExpiresIn=60)
for operator, key, value in [("StringEquals", "s3:authType", "REST-QUERY-STRING"), ("NumericGreaterThan", "s3:signatureAge", "-60000"),
                             ("StringEquals", "s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD")]:
    s3.put_bucket_policy(Bucket="data", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*",
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*", "Condition": {operator: {key: value}}}]}))
    assert s3.get_object(Bucket="data", Key="presigned")["Body"].read() == b"by url"
    try:
        urllib.request.urlopen(url)
        raise AssertionError(key)
    except urllib.error.HTTPError as e:
        assert e.code == 403, e.code
s3.delete_bucket_policy(Bucket="data")
assert urllib.request.urlopen(url).read() == b"by url"

# Listing.
for k in ["a/1", "a/2", "b/1", "c", "ä/ö", "d e", "x&y<z>"]:
    s3.put_object(Bucket="data", Key="list/" + k, Body=b"12345")
page = s3.list_objects_v2(Bucket="data", Prefix="list/", Delimiter="/")
assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["list/a/", "list/b/", "list/ä/"], page
assert [o["Key"] for o in page["Contents"]] == ["list/c", "list/d e", "list/x&y<z>"], page
keys = []
for page in s3.get_paginator("list_objects_v2").paginate(Bucket="data", Prefix="list/", PaginationConfig={"PageSize": 2}):
    keys += [o["Key"] for o in page["Contents"]]
assert keys == ["list/a/1", "list/a/2", "list/b/1", "list/c", "list/d e", "list/x&y<z>", "list/ä/ö"], keys
assert [o["Key"] for o in s3.list_objects_v2(Bucket="data", Prefix="list/", StartAfter="list/c")["Contents"]] == keys[4:]

refused(s3.delete_bucket, "BucketNotEmpty", Bucket="data")
s3.delete_object(Bucket="data", Key="never-there")
for page in s3.get_paginator("list_objects_v2").paginate(Bucket="data"):
    for o in page["Contents"]:
        s3.delete_object(Bucket="data", Key=o["Key"])
s3.delete_bucket(Bucket="data")
refused(s3.list_objects_v2, "NoSuchBucket", Bucket="data")
`)
	if n := b.stored(t); n > 0 {
		t.Errorf("%d blobs are left of objects that are gone or never were", n)
	}
}

func TestCLI(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "cli-bucket")
	dir := t.TempDir()
	file := filepath.Join(dir, "up.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("line\n", 30000)), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("aws", append([]string{"--endpoint-url", b.URL, "s3"}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ACCESS_KEY_ID=" + b.admin.AccessKeyID,
			"AWS_SECRET_ACCESS_KEY=" + b.admin.Secret, "AWS_DEFAULT_REGION=" + apitest.Region, "AWS_MAX_ATTEMPTS=1"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("aws s3 %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	aws("cp", file, "s3://cli-bucket/dir/up.txt", "--quiet")
	if out := aws("ls", "s3://cli-bucket"); !strings.Contains(out, "PRE dir/") {
		t.Error(out)
	}
	if out := aws("ls", "s3://cli-bucket/dir/"); !strings.Contains(out, "150000 up.txt") {
		t.Error(out)
	}
	aws("cp", "s3://cli-bucket/dir/up.txt", filepath.Join(dir, "down.txt"), "--quiet")
	up, _ := os.ReadFile(file)
	down, err := os.ReadFile(filepath.Join(dir, "down.txt"))
	if err != nil || string(up) != string(down) {
		t.Errorf("what came down is not what went up: %v", err)
	}
	aws("rm", "s3://cli-bucket/dir/up.txt", "--quiet")
	if out := aws("ls", "s3://cli-bucket"); out != "" {
		t.Error(out)
	}
}
