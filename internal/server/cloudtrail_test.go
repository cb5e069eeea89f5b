package server_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// A running server delivers what happens to a trail's bucket, and again after it was
// started anew.
func TestTrailOfRunningServer(t *testing.T) {
	b := servertest.Start(t)
	b.Config.TrailPeriod = time.Second
	b.Restart(t)
	b.Python(t, `
client("s3").create_bucket(Bucket="logs")
client("s3").put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl", "Resource": "arn:aws:s3:::logs"},
    {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/AWSLogs/123456789012/*",
     "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": "arn:aws:cloudtrail:us-east-1:123456789012:trail/all"}}}]}))
client("cloudtrail").create_trail(Name="all", S3BucketName="logs", EnableLogFileValidation=True)
client("cloudtrail").start_logging(Name="all")
`)
	seen := awaitDelivery(t, b, 0)
	b.Restart(t)
	b.Python(t, `client("iam").create_user(UserName="after")`)
	awaitDelivery(t, b, seen)
	b.Python(t, `
import gzip
names = []
for o in client("s3").list_objects_v2(Bucket="logs")["Contents"]:
    if o["Key"].endswith(".gz"):
        names += [r["eventName"] for r in json.loads(gzip.decompress(client("s3").get_object(Bucket="logs", Key=o["Key"])["Body"].read()))["Records"]]
assert names.count("StartLogging") == 1, names
assert client("cloudtrail").get_trail_status(Name="all").get("LatestDeliveryError", "") == ""
`)
}

// awaitDelivery follows the record until a trail has put a log.
func awaitDelivery(t *testing.T, b *servertest.Bawn, from int64) (seq int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	found := errors.New("found")
	err := b.Trail().Follow(ctx, from, func(e trail.Entry) error {
		if e.Record.EventName == "PutObject" && e.Record.UserIdentity.InvokedBy == "cloudtrail.amazonaws.com" &&
			strings.Contains(string(e.Record.RequestParameters), ".json.gz") {
			seq = e.Seq
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		t.Fatalf("nothing was delivered: %v\n%s", err, b.Log)
	}
	return seq
}

// validate-logs walks an organization's trail account by account, from its beginning to
// its stop, and misses what is taken away.
func TestOrganizationTrailValidates(t *testing.T) {
	b := servertest.Start(t)
	b.Config.TrailPeriod = time.Second
	b.Restart(t)
	var made struct{ Arn, Member, Organization string }
	unmarshal(t, []byte(b.Python(t, `
org, s3, trail = client("organizations"), client("s3"), client("cloudtrail")
s = org.create_account(AccountName="clinic", Email="clinic@example.org")["CreateAccountStatus"]
while s["State"] == "IN_PROGRESS":
    s = org.describe_create_account_status(CreateAccountRequestId=s["Id"])["CreateAccountStatus"]
s3.create_bucket(Bucket="logs")
s3.put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": ["s3:GetBucketAcl", "s3:PutObject"], "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]}]}))
arn = trail.create_trail(Name="org", S3BucketName="logs", EnableLogFileValidation=True, IsOrganizationTrail=True)["TrailARN"]
trail.start_logging(Name="org")
keys = client("sts").assume_role(RoleArn=f"arn:aws:iam::{s['AccountId']}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
client("iam", keys).create_user(UserName="theirs")
client("iam").create_user(UserName="ours")
trail.stop_logging(Name="org")
print(json.dumps({"Arn": arn, "Member": s["AccountId"], "Organization": org.describe_organization()["Organization"]["Id"]}))`)), &made)
	b.Python(t, `
for account in sys.argv[2:]: # the last digest follows the stop
    while not any("_CloudTrail-Digest_" in o["Key"] for o in client("s3").list_objects_v2(Bucket="logs", Prefix=f"AWSLogs/{sys.argv[1]}/{account}/CloudTrail-Digest/").get("Contents", [])):
        pass`, made.Organization, b.Config.AccountID, made.Member)
	validate := func(account string) (string, error) {
		now := time.Now().UTC()
		cmd := exec.Command("aws", "cloudtrail", "validate-logs", "--verbose", "--trail-arn", made.Arn, "--account-id", account,
			"--start-time", now.Add(-time.Hour).Format(time.RFC3339), "--end-time", now.Add(time.Hour).Format(time.RFC3339))
		cmd.Env = append(b.Env(), "AWS_ENDPOINT_URL="+b.URL)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, account := range []string{b.Config.AccountID, made.Member} {
		out, err := validate(account)
		if err != nil || !strings.Contains(out, "1/1 digest files valid") || !strings.Contains(out, "/"+account+"/CloudTrail/us-east-1/") || strings.Contains(out, "INVALID") {
			t.Errorf("%s: %v\n%s", account, err, out)
		}
	}
	b.Python(t, `
s3 = client("s3")
for o in s3.list_objects_v2(Bucket="logs", Prefix=f"AWSLogs/{sys.argv[1]}/{sys.argv[2]}/CloudTrail/")["Contents"]:
    if o["Key"].endswith(".gz"):
        s3.delete_object(Bucket="logs", Key=o["Key"])`, made.Organization, made.Member)
	if out, err := validate(made.Member); err == nil || !strings.Contains(out, "INVALID: not found") {
		t.Errorf("without its logs: %v\n%s", err, out)
	}
	if out, err := validate(b.Config.AccountID); err != nil {
		t.Errorf("another account's: %v\n%s", err, out)
	}
}
