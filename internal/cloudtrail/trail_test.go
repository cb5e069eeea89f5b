package cloudtrail

import (
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/cloudtrail"
)

// What boto3 shows of a trail's life.
func TestTrailByClient(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.Advance(past)
		b.Python(t, b.admin, `
ct = client("cloudtrail")
made = ct.create_trail(Name="some.trail", S3BucketName="logs", S3KeyPrefix="p", EnableLogFileValidation=True, TagsList=[{"Key": "Team", "Value": "a"}])
arn = made["TrailARN"]
assert arn == "arn:aws:cloudtrail:us-east-1:123456789012:trail/some.trail", made
assert made["LogFileValidationEnabled"] and made["IncludeGlobalServiceEvents"] and not made["IsMultiRegionTrail"], made
refused(ct.create_trail, "TrailAlreadyExistsException", Name="some.trail", S3BucketName="logs")
for name in "ab", "-abc", "a__b", "1.2.3.4", "x" * 129, "a b c", arn:
    refused(ct.create_trail, "InvalidTrailNameException", Name=name, S3BucketName="logs")
refused(ct.create_trail, "InsufficientS3BucketPolicyException", Name="other", S3BucketName="absent")
refused(ct.create_trail, "InvalidS3BucketNameException", Name="other", S3BucketName="No")
refused(ct.create_trail, "InvalidS3PrefixException", Name="other", S3BucketName="logs", S3KeyPrefix="/p")
refused(ct.create_trail, "InvalidParameterCombinationException", Name="other", S3BucketName="logs", IsMultiRegionTrail=True, IncludeGlobalServiceEvents=False)
for extra in {"SnsTopicName": "x"}, {"CloudWatchLogsLogGroupArn": "x"}, {"CloudWatchLogsRoleArn": "x"}:
    e = refused(ct.create_trail, Name="other", S3BucketName="logs", **extra)
    assert list(extra)[0] in str(e), e
client("s3").create_bucket(Bucket="closed")
refused(ct.create_trail, "InsufficientS3BucketPolicyException", Name="other", S3BucketName="closed")

status = ct.get_trail_status(Name=arn)
assert not status["IsLogging"] and "StartLoggingTime" not in status, status
ct.start_logging(Name=arn); ct.start_logging(Name="some.trail")
assert ct.get_trail_status(Name="some.trail")["IsLogging"]
ct.stop_logging(Name=arn)
status = ct.get_trail_status(Name=arn)
assert not status["IsLogging"] and status["StopLoggingTime"] >= status["StartLoggingTime"] and status["TimeLoggingStopped"].endswith("Z"), status

up = ct.update_trail(Name=arn, IsMultiRegionTrail=True, EnableLogFileValidation=False)
assert up["IsMultiRegionTrail"] and not up["LogFileValidationEnabled"] and up["S3KeyPrefix"] == "p", up
refused(ct.update_trail, "InsufficientS3BucketPolicyException", Name=arn, S3BucketName="closed")
refused(ct.update_trail, "InvalidParameterCombinationException", Name=arn, IncludeGlobalServiceEvents=False)
assert ct.get_trail(Name=arn)["Trail"] == ct.describe_trails()["trailList"][0]
assert ct.get_trail(Name=arn)["Trail"]["HomeRegion"] == "us-east-1" and not ct.get_trail(Name=arn)["Trail"]["HasCustomEventSelectors"]
ct.put_event_selectors(TrailName=arn, AdvancedEventSelectors=[{"Name": "n", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}])
assert ct.get_event_selectors(TrailName=arn)["AdvancedEventSelectors"][0]["Name"] == "n"
assert ct.get_trail(Name=arn)["Trail"]["HasCustomEventSelectors"]
assert ct.describe_trails(trailNameList=["none", arn])["trailList"][0]["Name"] == "some.trail"
assert [t["TrailARN"] for t in ct.list_trails()["Trails"]] == [arn]

ct.add_tags(ResourceId=arn, TagsList=[{"Key": "Env", "Value": "x"}])
refused(ct.add_tags, "InvalidTagParameterException", ResourceId=arn, TagsList=[{"Key": "team", "Value": "x"}])
refused(ct.add_tags, "InvalidTagParameterException", ResourceId=arn, TagsList=[{"Key": "aws:x", "Value": "x"}])
refused(ct.add_tags, "TagsLimitExceededException", ResourceId=arn, TagsList=[{"Key": "k%d" % i, "Value": "x"} for i in range(49)])
ct.remove_tags(ResourceId=arn, TagsList=[{"Key": "Team"}])
assert ct.list_tags(ResourceIdList=[arn])["ResourceTagList"] == [{"ResourceId": arn, "TagsList": [{"Key": "Env", "Value": "x"}]}]
refused(ct.list_tags, "ResourceNotFoundException", ResourceIdList=[arn + "x"])
refused(ct.list_tags, "CloudTrailARNInvalidException", ResourceIdList=["some.trail"])
refused(ct.get_trail, "InvalidHomeRegionException", Name=arn.replace("us-east-1", "eu-west-1"))
refused(ct.get_trail, "CloudTrailARNInvalidException", Name="arn:aws:s3:::logs")
for i in range(4):
    ct.create_trail(Name="more%d" % i, S3BucketName="logs")
refused(ct.create_trail, "MaximumNumberOfTrailsExceededException", Name="more5", S3BucketName="logs")
ct.delete_trail(Name=arn)
refused(ct.delete_trail, "TrailNotFoundException", Name=arn)
assert len(ct.list_trails()["Trails"]) == 4
`)
	})
}

// Other accounts learn nothing of a trail, and who may not, cannot.
func TestTrailsOfOthers(t *testing.T) {
	b := newBench(t)
	arn := b.trail(t, &shape.CreateTrailInput{Name: "all", TagsList: []shape.Tag{{Key: "team", Value: "a"}}})
	other := b.User(t, apitest.Other, "other", apitest.Admin)
	refused[shape.GetTrailOutput](t, other, "cloudtrail:GetTrail", &shape.GetTrailInput{Name: arn}, "TrailNotFoundException")
	refused[shape.StopLoggingOutput](t, other, "cloudtrail:StopLogging", &shape.StopLoggingInput{Name: arn}, "TrailNotFoundException")
	refused[shape.ListTagsOutput](t, other, "cloudtrail:ListTags", &shape.ListTagsInput{ResourceIdList: []string{arn}}, "ResourceNotFoundException")
	if out := apitest.Must[shape.ListTrailsOutput](t, other, "cloudtrail:ListTrails", &shape.ListTrailsInput{}); len(out.Trails) != 0 {
		t.Errorf("another account has %+v", out.Trails)
	}
	some := b.User(t, apitest.Account, "some", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"cloudtrail:*","Resource":"*"},
		{"Effect":"Deny","Action":["cloudtrail:StopLogging","cloudtrail:DeleteTrail"],"Resource":"`+arn+`"},
		{"Effect":"Deny","Action":"cloudtrail:AddTags","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"b"}}}]}`)
	refused[shape.StopLoggingOutput](t, some, "cloudtrail:StopLogging", &shape.StopLoggingInput{Name: "all"}, "AccessDenied")
	refused[shape.DeleteTrailOutput](t, some, "cloudtrail:DeleteTrail", &shape.DeleteTrailInput{Name: arn}, "AccessDenied")
	refused[shape.AddTagsOutput](t, some, "cloudtrail:AddTags", &shape.AddTagsInput{ResourceId: arn, TagsList: []shape.Tag{{Key: "team", Value: "b"}}}, "AccessDenied")
	refused[shape.CreateTrailOutput](t, some, "cloudtrail:CreateTrail", &shape.CreateTrailInput{Name: "tagged", S3BucketName: "logs", TagsList: []shape.Tag{{Key: "team", Value: "b"}}}, "AccessDenied")
	nobody := b.User(t, apitest.Account, "nobody")
	refused[shape.GetTrailOutput](t, nobody, "cloudtrail:GetTrail", &shape.GetTrailInput{Name: "absent"}, "AccessDenied")
	if !*b.status(t, "all").IsLogging {
		t.Error("it was stopped")
	}
}

// A bucket of another account that lets in only the trails of its own is closed to
// whoever names it.
func TestConfusedDeputy(t *testing.T) {
	b := newBench(t)
	b.policy(t, "logs", `,"aws:SourceAccount":"`+apitest.Account+`"`)
	other := b.User(t, apitest.Other, "other", apitest.Admin)
	refused[shape.CreateTrailOutput](t, other, "cloudtrail:CreateTrail", &shape.CreateTrailInput{Name: "theirs", S3BucketName: "logs"}, "InsufficientS3BucketPolicyException")
	if keys := b.keys(t, "logs", "AWSLogs/"+apitest.Other); keys != nil {
		t.Errorf("another account wrote %s", strings.Join(keys, " "))
	}
	b.trail(t, &shape.CreateTrailInput{Name: "own"})
}
