package server_test

import (
	"context"
	"errors"
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
