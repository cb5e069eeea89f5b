package s3

import "testing"

func TestSettingsWithBoto3(t *testing.T) { onBoth(t, settingsWithBoto3) }

func settingsWithBoto3(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
s3 = client("s3")
s3.create_bucket(Bucket="data")
B = dict(Bucket="data")

# What nobody configured, as AWS answers it.
refused(s3.get_bucket_website, "NoSuchWebsiteConfiguration", **B)
refused(s3.get_bucket_replication, "ReplicationConfigurationNotFoundError", **B)
refused(s3.get_bucket_tagging, "NoSuchTagSet", **B)
refused(s3.get_bucket_cors, "NoSuchCORSConfiguration", **B)
refused(s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration", **B)
refused(s3.get_bucket_policy_status, "NoSuchBucketPolicy", **B)
assert "Status" not in s3.get_bucket_accelerate_configuration(**B)
assert "LoggingEnabled" not in s3.get_bucket_logging(**B)
assert set(s3.get_bucket_notification_configuration(**B)) == {"ResponseMetadata"}
assert s3.get_bucket_request_payment(**B)["Payer"] == "BucketOwner"
for f in [s3.list_bucket_analytics_configurations, s3.list_bucket_intelligent_tiering_configurations, s3.list_bucket_inventory_configurations, s3.list_bucket_metrics_configurations]:
    assert f(**B)["IsTruncated"] is False
    refused(f, "InvalidArgument", ContinuationToken="x", **B)
for f in [s3.get_bucket_analytics_configuration, s3.get_bucket_metrics_configuration, s3.get_bucket_inventory_configuration, s3.get_bucket_intelligent_tiering_configuration]:
    refused(f, "NoSuchConfiguration", Id="x", **B)

# None of it can be configured, and the refusal says what.
for f, what, kw in [
    (s3.put_bucket_website, "website", {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "x"}}}),
    (s3.put_bucket_replication, "replication", {"ReplicationConfiguration": {"Role": "r", "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "b"}}]}}),
    (s3.put_bucket_accelerate_configuration, "accelerate", {"AccelerateConfiguration": {"Status": "Enabled"}}),
    (s3.put_bucket_logging, "logging", {"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "data", "TargetPrefix": "p"}}}),
    (s3.put_bucket_notification_configuration, "notification", {"NotificationConfiguration": {"EventBridgeConfiguration": {}}}),
    (s3.put_bucket_request_payment, "requestPayment", {"RequestPaymentConfiguration": {"Payer": "Requester"}}),
    (s3.put_bucket_metrics_configuration, "metrics", {"Id": "x", "MetricsConfiguration": {"Id": "x"}}),
    (s3.delete_bucket_website, "website", {}),
]:
    e = refused(f, "NotImplemented", **B, **kw)
    assert what in str(e), e

# Who owns, and ACLs.
assert s3.get_bucket_ownership_controls(**B)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
for o in ["ObjectWriter", "BucketOwnerPreferred"]:
    assert o in str(refused(s3.put_bucket_ownership_controls, "NotImplemented", OwnershipControls={"Rules": [{"ObjectOwnership": o}]}, **B))
s3.delete_bucket_ownership_controls(**B)
refused(s3.get_bucket_ownership_controls, "OwnershipControlsNotFoundError", **B)
refused(s3.put_object, "AccessControlListNotSupported", Key="k", Body=b"x", ACL="public-read", **B)
s3.put_bucket_ownership_controls(OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}, **B)
s3.put_object(Key="k", Body=b"content", Tagging="team=red&stage=a%20b", **B)
K = dict(Key="k", **B)
acl = s3.get_bucket_acl(**B)
assert [g["Permission"] for g in acl["Grants"]] == ["FULL_CONTROL"] and acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"] and acl["Grants"][0]["Grantee"]["Type"] == "CanonicalUser", acl
assert s3.get_object_acl(**K)["Grants"] == acl["Grants"]
for canned in ["private", "public-read", "public-read-write", "authenticated-read"]:
    refused(s3.put_bucket_acl, "AccessControlListNotSupported", ACL=canned, **B)
    refused(s3.put_object_acl, "AccessControlListNotSupported", ACL=canned, **K)
s3.put_object_acl(ACL="bucket-owner-full-control", **K)
same = {"Owner": acl["Owner"], "Grants": acl["Grants"]}
s3.put_bucket_acl(AccessControlPolicy=same, **B)
s3.put_object_acl(AccessControlPolicy=same, **K)
everyone = {"Owner": acl["Owner"], "Grants": acl["Grants"] + [{"Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"}]}
refused(s3.put_bucket_acl, "AccessControlListNotSupported", AccessControlPolicy=everyone, **B)
refused(s3.put_object_acl, "AccessControlListNotSupported", AccessControlPolicy=everyone, **K)
refused(s3.put_object_acl, "NotImplemented", GrantRead="id=x", **K)
refused(s3.put_bucket_acl, "MissingSecurityHeader", **B)

# Tags.
assert s3.get_object_tagging(**K)["TagSet"] == [{"Key": "stage", "Value": "a b"}, {"Key": "team", "Value": "red"}]
assert s3.head_object(**K)["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
assert s3.get_object(**K)["TagCount"] == 2
s3.put_object_tagging(Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]}, **K)
assert s3.get_object_tagging(**K)["TagSet"] == [{"Key": "team", "Value": "blue"}]
refused(s3.put_object_tagging, "InvalidTag", Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, **K)
refused(s3.put_object_tagging, "InvalidTag", Tagging={"TagSet": [{"Key": "aws:x", "Value": "1"}]}, **K)
refused(s3.put_object_tagging, "BadRequest", Tagging={"TagSet": [{"Key": str(i), "Value": "1"} for i in range(11)]}, **K)
s3.delete_object_tagging(**K)
assert s3.get_object_tagging(**K)["TagSet"] == [] and "TagCount" not in s3.head_object(**K)
refused(s3.get_object_tagging, "NoSuchKey", Key="none", **B)
refused(s3.put_object_tagging, "NoSuchKey", Key="none", Tagging={"TagSet": []}, **B)
s3.put_bucket_tagging(Tagging={"TagSet": [{"Key": "cost", "Value": "lab"}]}, **B)
assert s3.get_bucket_tagging(**B)["TagSet"] == [{"Key": "cost", "Value": "lab"}]
refused(s3.put_bucket_tagging, "BadRequest", Tagging={"TagSet": [{"Key": str(i), "Value": "1"} for i in range(51)]}, **B)
s3.delete_bucket_tagging(**B)
refused(s3.get_bucket_tagging, "NoSuchTagSet", **B)

# Attributes.
s3.put_object(Key="sum", Body=b"123456789", ChecksumAlgorithm="SHA256", **B)
a = s3.get_object_attributes(Key="sum", ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"], **B)
assert a["ObjectSize"] == 9 and a["StorageClass"] == "STANDARD" and a["ETag"] == s3.head_object(Key="sum", **B)["ETag"].strip('"'), a
assert a["Checksum"] == {"ChecksumSHA256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", "ChecksumType": "FULL_OBJECT"} and "ObjectParts" not in a, a
assert set(s3.get_object_attributes(Key="sum", ObjectAttributes=["ObjectSize"], **B)) == {"ResponseMetadata", "ObjectSize", "LastModified"}
up = s3.create_multipart_upload(Key="parts", ChecksumAlgorithm="SHA256", **B)["UploadId"]
done = []
for n in [1, 2, 3]:
    p = s3.upload_part(Key="parts", UploadId=up, PartNumber=n, Body=bytes([n]) * (5 << 20 if n < 3 else 10), ChecksumAlgorithm="SHA256", **B)
    done.append({"PartNumber": n, "ETag": p["ETag"], "ChecksumSHA256": p["ChecksumSHA256"]})
s3.complete_multipart_upload(Key="parts", UploadId=up, MultipartUpload={"Parts": done}, **B)
a = s3.get_object_attributes(Key="parts", ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"], **B)
assert a["ObjectParts"]["TotalPartsCount"] == 3 and not a["ObjectParts"]["IsTruncated"], a
assert [(p["PartNumber"], p["Size"], p["ChecksumSHA256"]) for p in a["ObjectParts"]["Parts"]] == [(d["PartNumber"], s, d["ChecksumSHA256"]) for d, s in zip(done, [5 << 20, 5 << 20, 10])], a
assert a["Checksum"]["ChecksumType"] == "COMPOSITE" and "-" not in a["Checksum"]["ChecksumSHA256"]
numbers, marker = [], 0
while True:
    page = s3.get_object_attributes(Key="parts", ObjectAttributes=["ObjectParts"], MaxParts=2, PartNumberMarker=marker, **B)["ObjectParts"]
    numbers += [p["PartNumber"] for p in page["Parts"]]
    if not page["IsTruncated"]: break
    marker = page["NextPartNumberMarker"]
assert numbers == [1, 2, 3], numbers
refused(s3.get_object_attributes, None, Key="sum", ObjectAttributes=["Color"], **B)

# The default encryption.
s3.put_bucket_encryption(ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}, **B)
assert s3.put_object(Key="k", Body=b"x", **B)["ServerSideEncryption"] == "AES256"
s3.delete_bucket_encryption(**B)
assert s3.put_object(Key="k", Body=b"x", **B)["ServerSideEncryption"] == "aws:kms"

# CORS.
rules = [{"ID": "one", "AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://*.example.org"], "AllowedHeaders": ["x-amz-*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}]
s3.put_bucket_cors(CORSConfiguration={"CORSRules": rules}, **B)
assert s3.get_bucket_cors(**B)["CORSRules"] == rules
for bad, code in [({"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}, "InvalidRequest"), ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*.*"]}, "InvalidRequest"),
                  ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x-*"]}, "InvalidRequest"),
                  ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x\r\nSet-Cookie: a"]}, "InvalidRequest")]:
    refused(s3.put_bucket_cors, code, CORSConfiguration={"CORSRules": [bad]}, **B)
refused(s3.put_bucket_cors, None, CORSConfiguration={"CORSRules": []}, **B)
s3.delete_bucket_cors(**B)
refused(s3.get_bucket_cors, "NoSuchCORSConfiguration", **B)

# Lifecycle.
rules = [
    {"ID": "all", "Status": "Enabled", "Filter": {"And": {"Prefix": "tmp/", "Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeGreaterThan": 10}}, "Expiration": {"Days": 3},
     "NoncurrentVersionExpiration": {"NoncurrentDays": 5, "NewerNoncurrentVersions": 2}},
    {"ID": "rest", "Status": "Disabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
]
s3.put_bucket_lifecycle_configuration(LifecycleConfiguration={"Rules": rules}, **B)
assert s3.get_bucket_lifecycle_configuration(**B)["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
got = s3.get_bucket_lifecycle_configuration(**B)["Rules"]
assert got == rules, got
s3.put_bucket_lifecycle_configuration(LifecycleConfiguration={"Rules": rules}, TransitionDefaultMinimumObjectSize="varies_by_storage_class", **B)
assert s3.get_bucket_lifecycle_configuration(**B)["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
refused(s3.put_bucket_lifecycle_configuration, None, LifecycleConfiguration={"Rules": rules}, TransitionDefaultMinimumObjectSize="none", **B)
ok = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "p"}}
for bad, code in [
    ({}, "InvalidRequest"), ({"Expiration": {"Days": 0}}, "InvalidArgument"), ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
    ({"Expiration": {"Date": "2030-01-01T05:00:00Z"}}, "InvalidArgument"), ({"Expiration": {"Days": 1}, "Prefix": "q"}, "MalformedXML"),
    ({"Expiration": {"Days": 1}, "ID": "y" * 256}, "InvalidArgument"), ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}, "InvalidArgument"),
    ({"Expiration": {"ExpiredObjectDeleteMarker": True}, "Filter": {"Tag": {"Key": "a", "Value": "b"}}}, "InvalidRequest"),
    ({"Expiration": {"Days": 1}, "Filter": {"And": {"Prefix": "a"}}}, "MalformedXML"),
    ({"Expiration": {"Days": 1}, "Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 4}}}, "InvalidRequest"),
    ({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, "NotImplemented"),
    ({"Expiration": {"Days": 1}, "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]}, "NotImplemented"),
]:
    refused(s3.put_bucket_lifecycle_configuration, code, LifecycleConfiguration={"Rules": [dict(ok, **bad)]}, **B)
refused(s3.put_bucket_lifecycle_configuration, "InvalidArgument", LifecycleConfiguration={"Rules": [dict(ok, Expiration={"Days": 1})] * 2}, **B)
s3.put_bucket_lifecycle_configuration(LifecycleConfiguration={"Rules": [dict(ok, ID="a b", Expiration={"Days": 1})]}, **B)
assert 'rule-id="a+b"' in s3.put_object(Key="p1", Body=b"x", **B)["Expiration"]
assert 'rule-id="a+b"' in s3.head_object(Key="p1", **B)["Expiration"] and "Expiration" not in s3.head_object(Key="k", **B)
s3.delete_bucket_lifecycle(**B)
refused(s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration", **B)
`)
}
