package s3

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

func TestBoto3Multipart(t *testing.T) { onBoth(t, boto3Multipart) }

func boto3Multipart(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import hashlib, io, zlib, base64, urllib.request
from boto3.s3.transfer import TransferConfig
s3 = client("s3")
s3.create_bucket(Bucket="data")
MIB = 1 << 20
body = os.urandom(64 * MIB)
config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=8)
s3.upload_fileobj(io.BytesIO(body), "data", "dir/large file+1.bin", Config=config, ExtraArgs={"ContentType": "application/x-model", "Metadata": {"who": "me"}})
back = io.BytesIO()
s3.download_fileobj("data", "dir/large file+1.bin", back, Config=config)
assert back.getvalue() == body
head = s3.head_object(Bucket="data", Key="dir/large file+1.bin", ChecksumMode="ENABLED")
assert head["ContentLength"] == len(body) and head["ETag"].endswith('-8"') and head["ContentType"] == "application/x-model", head
listed = s3.list_objects_v2(Bucket="data")["Contents"][0]
assert listed["ETag"] == head["ETag"] and listed["ChecksumType"] == head["ChecksumType"], (listed, head)
one = s3.head_object(Bucket="data", Key="dir/large file+1.bin", PartNumber=1)
assert one["PartsCount"] == 8 and one["ContentLength"] == 8 * MIB and one["ResponseMetadata"]["HTTPStatusCode"] == 206, one
eight = s3.get_object(Bucket="data", Key="dir/large file+1.bin", PartNumber=8, ChecksumMode="ENABLED")
assert eight["Body"].read() == body[56 * MIB:] and eight["ContentRange"] == f"bytes {56 * MIB}-{64 * MIB - 1}/{64 * MIB}", eight
refused(s3.get_object, "InvalidPartNumber", Bucket="data", Key="dir/large file+1.bin", PartNumber=9)
refused(s3.get_object, "InvalidRequest", Bucket="data", Key="dir/large file+1.bin", PartNumber=1, Range="bytes=0-1")
border = s3.get_object(Bucket="data", Key="dir/large file+1.bin", Range=f"bytes={8 * MIB - 5}-{8 * MIB + 4}")
assert border["Body"].read() == body[8 * MIB - 5:8 * MIB + 5]

# A managed copy is made of parts.
s3.copy({"Bucket": "data", "Key": "dir/large file+1.bin"}, "data", "copy", Config=config)
copied = s3.get_object(Bucket="data", Key="copy")
assert copied["Body"].read() == body and copied["ETag"].endswith('-8"') and copied["ETag"] != head["ETag"], copied
s3.copy_object(Bucket="data", Key="whole", CopySource="data/dir/large file+1.bin")
whole = s3.get_object(Bucket="data", Key="whole")
assert whole["Body"].read() == body and "-" not in whole["ETag"] and whole["Metadata"] == {"who": "me"}, whole
refused(s3.copy_object, "InvalidRequest", Bucket="data", Key="whole", CopySource="data/whole")

# Checksums of every kind.
parts = [body[:5 * MIB], body[5 * MIB:10 * MIB + 3], b"end"]
whole = b"".join(parts)
digest = {"CRC32": lambda b: zlib.crc32(b).to_bytes(4, "big"), "SHA1": lambda b: hashlib.sha1(b).digest(), "SHA256": lambda b: hashlib.sha256(b).digest()}
def text(raw):
    return base64.b64encode(raw).decode()
def upload(key, list, **how):
    mpu = s3.create_multipart_upload(Bucket="data", Key=key, **how)
    sums = {"ChecksumAlgorithm": how["ChecksumAlgorithm"]} if "ChecksumAlgorithm" in how else {}
    done = []
    for n, data in enumerate(list, 1):
        out = s3.upload_part(Bucket="data", Key=key, UploadId=mpu["UploadId"], PartNumber=n, Body=data, **sums)
        done.append({"PartNumber": n, "ETag": out["ETag"], **{k: v for k, v in out.items() if k.startswith("Checksum")}})
    return mpu, done
for algorithm, kind in [("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE")]:
    mpu, done = upload("sum", parts, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert mpu["ChecksumType"] == kind and mpu["ChecksumAlgorithm"] == algorithm, mpu
    shown = s3.list_parts(Bucket="data", Key="sum", UploadId=mpu["UploadId"])
    assert [p["Checksum" + algorithm] for p in shown["Parts"]] == [p["Checksum" + algorithm] for p in done] == [text(digest[algorithm](p)) for p in parts], shown
    want = text(digest[algorithm](whole))
    if kind == "COMPOSITE":
        want = text(digest[algorithm](b"".join(digest[algorithm](p) for p in parts))) + "-3"
        bare = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in done]
        refused(s3.complete_multipart_upload, "InvalidRequest", Bucket="data", Key="sum", UploadId=mpu["UploadId"], MultipartUpload={"Parts": bare})
    refused(s3.complete_multipart_upload, "BadDigest", Bucket="data", Key="sum", UploadId=mpu["UploadId"], MultipartUpload={"Parts": done}, **{"Checksum" + algorithm: text(bytes(len(digest[algorithm](b""))))})
    refused(s3.complete_multipart_upload, "InvalidRequest", Bucket="data", Key="sum", UploadId=mpu["UploadId"], MultipartUpload={"Parts": done}, MpuObjectSize=1)
    out = s3.complete_multipart_upload(Bucket="data", Key="sum", UploadId=mpu["UploadId"], MultipartUpload={"Parts": done}, ChecksumType=kind, MpuObjectSize=len(whole))
    assert out["Checksum" + algorithm] == want and out["ChecksumType"] == kind, out
    got = s3.get_object(Bucket="data", Key="sum", ChecksumMode="ENABLED")
    assert got["Checksum" + algorithm] == want and got["ChecksumType"] == kind and got["Body"].read() == whole, got
    if kind == "COMPOSITE":
        got = s3.get_object(Bucket="data", Key="sum", PartNumber=2, ChecksumMode="ENABLED")
        assert got["Checksum" + algorithm] == text(digest[algorithm](parts[1])) and got["Body"].read() == parts[1], got
refused(s3.create_multipart_upload, "InvalidRequest", Bucket="data", Key="sum", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")
refused(s3.create_multipart_upload, "InvalidRequest", Bucket="data", Key="sum", ChecksumAlgorithm="CRC64NVME", ChecksumType="COMPOSITE")
mpu, _ = upload("sum", [], ChecksumAlgorithm="SHA256")
refused(s3.upload_part, "InvalidRequest", Bucket="data", Key="sum", UploadId=mpu["UploadId"], PartNumber=1, Body=b"x", ChecksumAlgorithm="CRC32")
refused(s3.upload_part, "BadDigest", Bucket="data", Key="sum", UploadId=mpu["UploadId"], PartNumber=1, Body=b"x", ChecksumSHA256="A" * 43 + "=")
refused(s3.upload_part, "BadDigest", Bucket="data", Key="sum", UploadId=mpu["UploadId"], PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256", ContentMD5="A" * 22 + "==")
refused(s3.upload_part, "InvalidArgument", Bucket="data", Key="sum", UploadId=mpu["UploadId"], PartNumber=10001, Body=b"x")
s3.abort_multipart_upload(Bucket="data", Key="sum", UploadId=mpu["UploadId"])
refused(s3.abort_multipart_upload, "NoSuchUpload", Bucket="data", Key="sum", UploadId=mpu["UploadId"])

# A checksum that nobody chose: the SDK states its own of each part all the same.
mpu, done = upload("unchosen", parts)
assert "ChecksumAlgorithm" not in mpu and done[0]["ChecksumCRC32"] == text(digest["CRC32"](parts[0])), (mpu, done[0])
wrong = [done[0], {**done[1], "ChecksumCRC32": done[0]["ChecksumCRC32"]}, done[2]]
refused(s3.complete_multipart_upload, "InvalidPart", Bucket="data", Key="unchosen", UploadId=mpu["UploadId"], MultipartUpload={"Parts": wrong})
refused(s3.upload_part, "BadDigest", Bucket="data", Key="unchosen", UploadId=mpu["UploadId"], PartNumber=1, Body=b"x", ChecksumCRC32="AAAAAA==")
out = s3.complete_multipart_upload(Bucket="data", Key="unchosen", UploadId=mpu["UploadId"], MultipartUpload={"Parts": done})
once = s3.copy_object(Bucket="data", Key="once", CopySource="data/unchosen")["CopyObjectResult"]
assert out["ChecksumCRC64NVME"] == once["ChecksumCRC64NVME"], (out, once)

# Presigned, and without a word of checksums.
signer = boto3.client("s3", endpoint_url=os.environ["BAWN_URL"], config=botocore.config.Config(signature_version="s3v4", request_checksum_calculation="when_required"))
mpu = signer.create_multipart_upload(Bucket="data", Key="presigned")
url = signer.generate_presigned_url("upload_part", Params={"Bucket": "data", "Key": "presigned", "UploadId": mpu["UploadId"], "PartNumber": 1}, ExpiresIn=60)
answer = urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT"))
out = signer.complete_multipart_upload(Bucket="data", Key="presigned", UploadId=mpu["UploadId"], MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": answer.headers["ETag"]}]})
assert out["ChecksumType"] == "FULL_OBJECT" and out["ChecksumCRC64NVME"] and out["Location"].endswith("/data/presigned"), out
assert s3.get_object(Bucket="data", Key="presigned")["Body"].read() == b"by url"
`)
}

func TestBoto3ListsUploads(t *testing.T) { onBoth(t, boto3ListsUploads) }

func boto3ListsUploads(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
s3 = client("s3")
s3.create_bucket(Bucket="data")
assert "Uploads" not in s3.list_multipart_uploads(Bucket="data")
began = []
for key in ["a", "b/1", "b/2", "b/2", "b/3", "c d+e", "c d+e", "ü/1", "z"]:
    began.append((key, s3.create_multipart_upload(Bucket="data", Key=key)["UploadId"]))
def pages(**how):
    found = []
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket="data", **how):
        assert len(page.get("Uploads", [])) + len(page.get("CommonPrefixes", [])) <= how.get("PaginationConfig", {}).get("PageSize", 1000)
        found += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
        found += [(p["Prefix"], None) for p in page.get("CommonPrefixes", [])]
    return sorted(found, key=lambda f: (f[0], f[1] or ""))
order = sorted(began)
for size in [1, 2, 3, 1000]:
    config = {"PageSize": size}
    assert pages(PaginationConfig=config) == order, size
    assert pages(PaginationConfig=config, Prefix="b/") == [o for o in order if o[0].startswith("b/")], size
    folded = [("b/", None)] + [o for o in order if "/" not in o[0]] + [("ü/", None)]
    assert pages(PaginationConfig=config, Delimiter="/") == sorted(folded, key=lambda f: (f[0], f[1] or "")), (size, pages(PaginationConfig=config, Delimiter="/"))
assert pages(KeyMarker="b/2") == [o for o in order if o[0] > "b/2"]
assert pages(KeyMarker="b/2", UploadIdMarker=began[2][1]) == [o for o in order if o > began[2]]
assert pages(KeyMarker="a", Prefix="c", Delimiter="/") == [o for o in order if o[0].startswith("c")]
one = s3.list_multipart_uploads(Bucket="data", Prefix="a")["Uploads"][0]
assert one["Initiator"]["DisplayName"] == "admin" and one["Owner"]["ID"] and one["StorageClass"] == "STANDARD" and one["Initiated"], one

key, id = began[0]
parts = [s3.upload_part(Bucket="data", Key=key, UploadId=id, PartNumber=n, Body=b"x" * n)["ETag"] for n in [1, 2, 5, 10000]]
for size in [1, 2, 1000]:
    found = []
    for page in s3.get_paginator("list_parts").paginate(Bucket="data", Key=key, UploadId=id, PaginationConfig={"PageSize": size}):
        found += [(p["PartNumber"], p["ETag"], p["Size"]) for p in page.get("Parts", [])]
    assert found == [(1, parts[0], 1), (2, parts[1], 2), (5, parts[2], 5), (10000, parts[3], 10000)], found
refused(s3.list_parts, "NoSuchUpload", Bucket="data", Key="b/1", UploadId=id)
refused(s3.list_parts, "NoSuchUpload", Bucket="data", Key=key, UploadId="none")
for key, id in began:
    s3.abort_multipart_upload(Bucket="data", Key=key, UploadId=id)
assert pages() == []
`)
	if n := b.stored(t); n != 0 {
		t.Errorf("%d blobs after all was aborted", n)
	}
}

// An upload of the most parts there may be is completed. Its parts are written into the
// store: 10,000 requests would take long.
func TestBoto3CompletesTenThousandParts(t *testing.T) {
	b := newBench(t)
	b.small()
	b.bucket(t, "data")
	k := b.key(t, "")
	id := apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{
		Bucket: "data", Key: "k", ServerSideEncryption: s3.ServerSideEncryptionAwsKms, SSEKMSKeyId: k.Arn}).UploadId
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	upload, err := uploadRow(sn, "data", "k", id)
	sn.Close()
	if err != nil {
		t.Fatal(err)
	}
	arn := objectARN("data", "k")
	key := apitest.Must[kms.DecryptOutput](t, b.admin, "kms:Decrypt", &kms.DecryptInput{
		CiphertextBlob: upload.dataKey, EncryptionContext: map[string]string{"aws:s3:arn": arn}}).Plaintext
	err = b.Store.Update(t.Context(), func(tx *store.Tx) error {
		for n := range int32(maxParts) {
			p := newPart(n+1, b.Now())
			p.size = 1
			if err := p.prove(key, arn, id, "AAAAAAAAAAA="); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO s3_parts (upload, number, etag, size, modified, ref, proof) VALUES (?, ?, ?, ?, ?, '', ?)",
				id, p.number, p.etag, p.size, p.modified.UnixMicro(), p.proof); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Python(t, b.admin, `
s3 = client("s3")
parts = []
for page in s3.get_paginator("list_parts").paginate(Bucket="data", Key="k", UploadId="`+id+`"):
    parts += [{"PartNumber": p["PartNumber"], "ETag": p["ETag"], "ChecksumCRC64NVME": p["ChecksumCRC64NVME"]} for p in page["Parts"]]
assert len(parts) == 10000
out = s3.complete_multipart_upload(Bucket="data", Key="k", UploadId="`+id+`", MultipartUpload={"Parts": parts})
assert out["ETag"].endswith('-10000"'), out
last = s3.head_object(Bucket="data", Key="k", PartNumber=10000)
assert last["PartsCount"] == 10000 and last["ContentRange"] == "bytes 9999-9999/10000", last
# The list is bounded.
refused(s3.complete_multipart_upload, "EntityTooLarge", Bucket="data", Key="k", UploadId="x", MultipartUpload={"Parts": parts * 2})
`)
}

func TestCLICopiesLargeFiles(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Fatal("there is no AWS CLI here: run scripts/clients")
	}
	b := newBench(t)
	b.bucket(t, "data")
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	for name, size := range map[string]int{"large.bin": 20<<20 + 7, "sub/small.txt": 10, "sub/empty": 0} {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Repeat("0123456789abcde\n", size/16+1)[:size]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := b.CLI(t, b.admin, args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	run("s3", "cp", filepath.Join(tree, "large.bin"), "s3://data/model/large.bin")
	run("s3", "cp", "s3://data/model/large.bin", filepath.Join(dir, "back"))
	run("s3", "cp", "s3://data/model/large.bin", "s3://data/copy/large.bin")
	run("s3", "cp", "s3://data/copy/large.bin", filepath.Join(dir, "copied"))
	want, _ := os.ReadFile(filepath.Join(tree, "large.bin"))
	for _, name := range []string{"back", "copied"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(want) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
	run("s3", "sync", tree, "s3://data/tree/")
	if again := run("s3", "sync", tree, "s3://data/tree/"); strings.Contains(again, "upload:") {
		t.Errorf("synchronized twice: %s", again)
	}
	run("s3", "sync", "s3://data/tree/", filepath.Join(dir, "out"))
	for _, name := range []string{"large.bin", "sub/small.txt", "sub/empty"} {
		want, _ := os.ReadFile(filepath.Join(tree, name))
		if got, err := os.ReadFile(filepath.Join(dir, "out", name)); err != nil || string(got) != string(want) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
	run("s3", "mv", "s3://data/tree/large.bin", "s3://data/moved/large.bin")
	if out := run("s3", "ls", "--recursive", "s3://data/"); !strings.Contains(out, "moved/large.bin") || strings.Contains(out, "tree/large.bin") {
		t.Error(out)
	}
}

// An empty upload, and another on the same connection.
func TestBoto3AfterAnEmptyUpload(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.Python(t, b.admin, `
import io
s3 = boto3.client("s3", endpoint_url=os.environ["BAWN_URL"], config=botocore.config.Config(max_pool_connections=1, read_timeout=30, retries={"total_max_attempts": 1}))
for n in range(3):
    s3.put_object(Bucket="data", Key="empty", Body=io.BytesIO(b""))
    s3.put_object(Bucket="data", Key="full", Body=io.BytesIO(b"content"))
    assert s3.get_object(Bucket="data", Key="full")["Body"].read() == b"content"
`)
}
