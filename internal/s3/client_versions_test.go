package s3

import "testing"

func TestVersionsWithBoto3(t *testing.T) { onBoth(t, versionsWithBoto3) }

func versionsWithBoto3(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import datetime, hashlib, base64, urllib.request, urllib.error
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
s3 = client("s3")
s3.create_bucket(Bucket="data")
assert "Status" not in s3.get_bucket_versioning(Bucket="data")
assert "VersionId" not in s3.put_object(Bucket="data", Key="k", Body=b"zero")
refused(s3.put_bucket_versioning, "NotImplemented", Bucket="data", VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"})
refused(s3.put_bucket_versioning, "NotImplemented", Bucket="data", MFA="serial 123456", VersioningConfiguration={"Status": "Enabled"})
refused(s3.put_bucket_versioning, "IllegalVersioningConfigurationException", Bucket="data", VersioningConfiguration={})
s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
assert s3.get_bucket_versioning(Bucket="data")["Status"] == "Enabled"
one = s3.put_object(Bucket="data", Key="k", Body=b"one")["VersionId"]
gone = s3.delete_object(Bucket="data", Key="k")
assert gone["DeleteMarker"] and gone["VersionId"]
for call, key in [(s3.get_object, "NoSuchKey"), (s3.head_object, "404")]:
    e = refused(call, key, Bucket="data", Key="k")
    h = e.response["ResponseMetadata"]["HTTPHeaders"]
    assert h["x-amz-delete-marker"] == "true" and h["x-amz-version-id"] == gone["VersionId"], h
    e = refused(call, None, Bucket="data", Key="k", VersionId=gone["VersionId"])
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 405
    e = refused(call, None, Bucket="data", Key="k", VersionId="nonsense")
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400
got = s3.get_object(Bucket="data", Key="k", VersionId="null")
assert got["Body"].read() == b"zero" and got["VersionId"] == "null"
assert s3.get_object(Bucket="data", Key="k", VersionId=one)["Body"].read() == b"one"
page = s3.list_object_versions(Bucket="data")
assert [(v["VersionId"], v["IsLatest"]) for v in page["Versions"]] == [(one, False), ("null", False)], page
assert [(m["VersionId"], m["IsLatest"]) for m in page["DeleteMarkers"]] == [(gone["VersionId"], True)], page
assert page["Versions"][0]["ETag"] and page["Versions"][0]["StorageClass"] == "STANDARD" and page["Versions"][0]["Owner"]["ID"]
s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Suspended"})
assert s3.put_object(Bucket="data", Key="k", Body=b"null again")["VersionId"] == "null"
assert [v["VersionId"] for v in s3.list_object_versions(Bucket="data")["Versions"]] == ["null", one]
assert s3.delete_object(Bucket="data", Key="k")["VersionId"] == "null"
s3.put_object(Bucket="data", Key="x&y<z> ä", Body=b"x")
assert [o["Key"] for o in s3.list_objects(Bucket="data")["Contents"]] == ["x&y<z> ä"]

# Many at once.
s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
for i in range(25):
    s3.put_object(Bucket="data", Key=f"dir/{i:02}", Body=b"x")
out = s3.delete_objects(Bucket="data", Delete={"Objects": [{"Key": f"dir/{i:02}"} for i in range(3)] + [{"Key": "k", "VersionId": "nonsense"}]})
assert all(d["DeleteMarker"] and d["DeleteMarkerVersionId"] for d in out["Deleted"]) and len(out["Deleted"]) == 3
assert [(e["Key"], e["VersionId"], e["Code"]) for e in out["Errors"]] == [("k", "nonsense", "InvalidArgument")], out
assert "Deleted" not in s3.delete_objects(Bucket="data", Delete={"Quiet": True, "Objects": [{"Key": "dir/03"}]})
refused(s3.delete_objects, "MalformedXML", Bucket="data", Delete={"Objects": [{"Key": str(i)} for i in range(1001)]})
bucket = boto3.resource("s3", endpoint_url=os.environ["BAWN_URL"]).Bucket("data")
assert len(list(bucket.object_versions.page_size(7))) > 30
bucket.object_versions.page_size(7).delete()
assert not [k for k in s3.list_object_versions(Bucket="data") if k in ("Versions", "DeleteMarkers")]
s3.delete_bucket(Bucket="data")

# A document about what cannot be undone comes with a checksum, and it must hold.
s3.create_bucket(Bucket="held", ObjectLockEnabledForBucket=True)
def raw(method, path, body, **headers):
    request = AWSRequest(method=method, url=os.environ["BAWN_URL"] + path, data=body, headers=headers)
    S3SigV4Auth(boto3.Session().get_credentials(), "s3", "us-east-1").add_auth(request)
    try:
        return urllib.request.urlopen(urllib.request.Request(request.url, data=body, method=method, headers=dict(request.headers))).status
    except urllib.error.HTTPError as e:
        return e.read().decode()
many = b"<Delete><Object><Key>k</Key></Object></Delete>"
assert "Missing required header for this request: Content-MD5" in raw("POST", "/held?delete", many)
assert "BadDigest" in raw("POST", "/held?delete", many, **{"Content-MD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()})
assert raw("POST", "/held?delete", many, **{"Content-MD5": base64.b64encode(hashlib.md5(many).digest()).decode()}) == 200
assert "Missing required header" in raw("PUT", "/held?object-lock", b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")

# Locks.
assert s3.get_object_lock_configuration(Bucket="held")["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
s3.put_object_lock_configuration(Bucket="held", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
kept = s3.put_object(Bucket="held", Key="k", Body=b"kept")["VersionId"]
head = s3.head_object(Bucket="held", Key="k")
assert head["ObjectLockMode"] == "GOVERNANCE" and head["ObjectLockRetainUntilDate"] > datetime.datetime.now(datetime.timezone.utc)
until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)
s3.put_object_retention(Bucket="held", Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
got = s3.get_object_retention(Bucket="held", Key="k", VersionId=kept)["Retention"]
assert abs(got["RetainUntilDate"] - until) < datetime.timedelta(seconds=1), got
refused(s3.put_object_retention, "AccessDenied", Bucket="held", Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until - datetime.timedelta(days=1)})
s3.put_object_legal_hold(Bucket="held", Key="k", LegalHold={"Status": "ON"})
assert s3.get_object_legal_hold(Bucket="held", Key="k")["LegalHold"]["Status"] == "ON"
assert s3.get_object(Bucket="held", Key="k")["ObjectLockLegalHoldStatus"] == "ON"
refused(s3.delete_object, "AccessDenied", Bucket="held", Key="k", VersionId=kept, BypassGovernanceRetention=True)
out = s3.delete_objects(Bucket="held", BypassGovernanceRetention=True, Delete={"Objects": [{"Key": "k", "VersionId": kept}]})
assert out["Errors"][0]["Code"] == "AccessDenied" and "object lock" in out["Errors"][0]["Message"], out
s3.put_object_legal_hold(Bucket="held", Key="k", LegalHold={"Status": "OFF"})
refused(s3.delete_object, "AccessDenied", Bucket="held", Key="k", VersionId=kept)
big = s3.create_multipart_upload(Bucket="held", Key="big", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)["UploadId"]
part = s3.upload_part(Bucket="held", Key="big", UploadId=big, PartNumber=1, Body=b"big")
whole = s3.complete_multipart_upload(Bucket="held", Key="big", UploadId=big, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})["VersionId"]
assert s3.head_object(Bucket="held", Key="big")["ObjectLockMode"] == "COMPLIANCE"
refused(s3.delete_object, "AccessDenied", Bucket="held", Key="big", VersionId=whole, BypassGovernanceRetention=True)
refused(s3.put_bucket_versioning, "InvalidBucketState", Bucket="held", VersioningConfiguration={"Status": "Suspended"})
s3.delete_object(Bucket="held", Key="k", VersionId=kept, BypassGovernanceRetention=True)
`)
}
