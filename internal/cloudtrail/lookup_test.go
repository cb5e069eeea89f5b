package cloudtrail

import "testing"

// Each attribute finds its events and no others, whole and page by page, as boto3 asks.
func TestLookupEvents(t *testing.T) {
	b := newBench(t)
	b.toThePresent(t)
	b.Python(t, b.admin, `
import datetime
kms, s3, trail = client("kms"), client("s3"), client("cloudtrail")
for n in range(7):
    s3.create_bucket(Bucket=f"bucket-{n}")
key = kms.create_key()["KeyMetadata"]
for n in range(5):
    kms.describe_key(KeyId=key["KeyId"])
refused(kms.describe_key, "NotFoundException", KeyId="00000000-0000-0000-0000-000000000000")

def found(name, value, **more):
    pages = trail.get_paginator("lookup_events").paginate(LookupAttributes=[{"AttributeKey": name, "AttributeValue": value}], **more)
    return [e for p in pages for e in p["Events"]]
def telling(name, value, want, holds):
    whole = found(name, value)
    events = [json.loads(e["CloudTrailEvent"]) for e in whole]
    assert len(whole) == want or want is None and whole, (name, value, len(whole))
    assert all(holds(e) for e in events), (name, value, events)
    paged = [e["EventId"] for e in found(name, value, PaginationConfig={"PageSize": 2})]
    assert paged[-len(whole):] == [e["EventId"] for e in whole], name  # these questions are events too
    assert want is None or len(paged) == want, name
    assert [e["eventTime"] for e in events] == sorted((e["eventTime"] for e in events), reverse=True), name
    return whole
made = telling("EventName", "CreateBucket", 8, lambda e: e["eventName"] == "CreateBucket")
one = telling("EventId", made[0]["EventId"], 1, lambda e: e["eventID"] == made[0]["EventId"])[0]
assert one["EventName"] == "CreateBucket" and one["EventSource"] == "s3.amazonaws.com" and one["ReadOnly"] == "false" and one["Username"] == "admin", one
assert one["AccessKeyId"] == json.loads(one["CloudTrailEvent"])["userIdentity"]["accessKeyId"], one
assert {"ResourceType": "AWS::S3::Bucket", "ResourceName": "arn:aws:s3:::bucket-6"} in one["Resources"], one
telling("EventSource", "kms.amazonaws.com", 7, lambda e: e["eventSource"] == "kms.amazonaws.com")
telling("Username", "admin", None, lambda e: e["userIdentity"]["userName"] == "admin")
telling("AccessKeyId", one["AccessKeyId"], None, lambda e: e["userIdentity"]["accessKeyId"] == one["AccessKeyId"])
telling("ReadOnly", "true", None, lambda e: e["readOnly"])
telling("ReadOnly", "false", None, lambda e: not e["readOnly"])
telling("ResourceName", key["Arn"], 6, lambda e: key["Arn"] in [r["ARN"] for r in e["resources"]])
telling("ResourceName", key["KeyId"], 6, lambda e: key["Arn"] in [r["ARN"] for r in e["resources"]])
telling("ResourceType", "AWS::S3::Bucket", None, lambda e: "AWS::S3::Bucket" in [r["type"] for r in e["resources"]])
for nothing in ("EventName", "EventId", "EventSource", "Username", "AccessKeyId", "ResourceName", "ResourceType"):
    assert found(nothing, "of-nobody") == [], nothing

# Times bound it, to the second and on both sides.
at = one["EventTime"]
day = datetime.timedelta(days=1)
names = lambda **kw: [e["EventId"] for e in found("EventName", "CreateBucket", **kw)]
assert one["EventId"] in names(StartTime=at, EndTime=at) and names(StartTime=at - day, EndTime=at + day) == [e["EventId"] for e in made]
assert names(StartTime=at + day) == names(EndTime=at - day) == []

# What AWS refuses.
lookup = trail.lookup_events
name = {"AttributeKey": "EventName", "AttributeValue": "CreateBucket"}
refused(lookup, "InvalidLookupAttributesException", LookupAttributes=[name, {"AttributeKey": "Username", "AttributeValue": "admin"}])
refused(lookup, "InvalidLookupAttributesException", LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "perhaps"}])
refused(lookup, "InvalidTimeRangeException", StartTime=at, EndTime=at - day)
unchecked = boto3.client("cloudtrail", endpoint_url=os.environ["BAWN_URL"], config=botocore.config.Config(parameter_validation=False, retries={"total_max_attempts": 1}))
for n in (0, 51, -1):
    refused(unchecked.lookup_events, "ValidationException", MaxResults=n)
for key, value in (("EventName", ""), ("EventName", "x" * 2001), ("Colour", "red")):
    refused(unchecked.lookup_events, LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])
token = lookup(LookupAttributes=[name], MaxResults=3)["NextToken"]
assert len(lookup(LookupAttributes=[name], MaxResults=3, NextToken=token)["Events"]) == 3
for other in (dict(), dict(LookupAttributes=[{**name, "AttributeValue": "CreateKey"}]), dict(LookupAttributes=[name], StartTime=at - day)):
    refused(lookup, "InvalidNextTokenException", NextToken=token, **other)
refused(lookup, "InvalidNextTokenException", LookupAttributes=[name], NextToken="made-up")
`)
}
