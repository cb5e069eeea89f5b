package sdk

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// A bucket with versions is emptied as Terraform's force_destroy does it.
func TestVersionsAndLocks(t *testing.T) {
	b := start(t)
	client := s3.NewFromConfig(b.admin(t), quiet)
	bucket := aws.String("versions")
	call(t, client.CreateBucket, s3.CreateBucketInput{Bucket: bucket, ObjectLockEnabledForBucket: aws.Bool(true)})
	if got := call(t, client.GetBucketVersioning, s3.GetBucketVersioningInput{Bucket: bucket}); got.Status != types.BucketVersioningStatusEnabled {
		t.Errorf("versioning is %q", got.Status)
	}
	call(t, client.PutObjectLockConfiguration, s3.PutObjectLockConfigurationInput{Bucket: bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(2)}},
	}})
	for _, key := range []string{"a", "a", "b/c", "ä & <d>"} {
		out := call(t, client.PutObject, s3.PutObjectInput{Bucket: bucket, Key: aws.String(key), Body: strings.NewReader(key)})
		call(t, client.PutObjectLegalHold, s3.PutObjectLegalHoldInput{Bucket: bucket, Key: aws.String(key), VersionId: out.VersionId,
			LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOff}})
	}
	call(t, client.DeleteObject, s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("a")})
	fails(t, "NoSuchKey", client.GetObject, s3.GetObjectInput{Bucket: bucket, Key: aws.String("a")})
	kept := call(t, client.GetObjectRetention, s3.GetObjectRetentionInput{Bucket: bucket, Key: aws.String("b/c")})
	if left := time.Until(aws.ToTime(kept.Retention.RetainUntilDate)); left < 47*time.Hour || left > 48*time.Hour {
		t.Errorf("it is kept for %s", left)
	}
	empty := func(bypass bool) (gone, refused int) {
		pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: bucket, MaxKeys: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var objects []types.ObjectIdentifier
			for _, v := range page.Versions {
				objects = append(objects, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
			}
			for _, m := range page.DeleteMarkers {
				objects = append(objects, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
			}
			out := call(t, client.DeleteObjects, s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: objects}, BypassGovernanceRetention: aws.Bool(bypass)})
			gone, refused = gone+len(out.Deleted), refused+len(out.Errors)
			for _, e := range out.Errors {
				if aws.ToString(e.Code) != "AccessDenied" || aws.ToString(e.VersionId) == "" {
					t.Errorf("%s %s", aws.ToString(e.Code), aws.ToString(e.Message))
				}
			}
		}
		return gone, refused
	}
	if gone, refused := empty(false); gone != 1 || refused != 4 {
		t.Errorf("%d are gone and %d were refused", gone, refused)
	}
	if gone, refused := empty(true); gone != 4 || refused != 0 {
		t.Errorf("%d are gone and %d were refused", gone, refused)
	}
	call(t, client.DeleteBucket, s3.DeleteBucketInput{Bucket: bucket})
}
