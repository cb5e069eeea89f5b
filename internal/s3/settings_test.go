package s3

import (
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

// settingsCalls are one of each operation on a bucket's settings, and on what is said
// of objects.
func settingsCalls() map[string]any {
	return map[string]any{
		"GetBucketPolicyStatus":         &s3.GetBucketPolicyStatusInput{Bucket: "data"},
		"DeleteBucketEncryption":        &s3.DeleteBucketEncryptionInput{Bucket: "data"},
		"GetBucketOwnershipControls":    &s3.GetBucketOwnershipControlsInput{Bucket: "data"},
		"PutBucketOwnershipControls":    &s3.PutBucketOwnershipControlsInput{Bucket: "data", OwnershipControls: &s3.OwnershipControls{}},
		"DeleteBucketOwnershipControls": &s3.DeleteBucketOwnershipControlsInput{Bucket: "data"},
		"GetBucketAcl":                  &s3.GetBucketAclInput{Bucket: "data"}, "PutBucketAcl": &s3.PutBucketAclInput{Bucket: "data"},
		"GetObjectAcl": &s3.GetObjectAclInput{Bucket: "data", Key: "k"}, "PutObjectAcl": &s3.PutObjectAclInput{Bucket: "data", Key: "k"},
		"GetBucketTagging": &s3.GetBucketTaggingInput{Bucket: "data"}, "DeleteBucketTagging": &s3.DeleteBucketTaggingInput{Bucket: "data"},
		"PutBucketTagging": &s3.PutBucketTaggingInput{Bucket: "data", Tagging: &s3.Tagging{}},
		"GetObjectTagging": &s3.GetObjectTaggingInput{Bucket: "data", Key: "k"}, "PutObjectTagging": tagging("data", "k"),
		"DeleteObjectTagging": &s3.DeleteObjectTaggingInput{Bucket: "data", Key: "k"},
		"GetObjectAttributes": &s3.GetObjectAttributesInput{Bucket: "data", Key: "k", ObjectAttributes: []s3.ObjectAttributes{"ETag"}},
		"GetBucketCors":       &s3.GetBucketCorsInput{Bucket: "data"}, "DeleteBucketCors": &s3.DeleteBucketCorsInput{Bucket: "data"},
		"PutBucketCors":                   &s3.PutBucketCorsInput{Bucket: "data", CORSConfiguration: &s3.CORSConfiguration{}},
		"GetBucketLifecycleConfiguration": &s3.GetBucketLifecycleConfigurationInput{Bucket: "data"},
		"PutBucketLifecycleConfiguration": &s3.PutBucketLifecycleConfigurationInput{Bucket: "data", LifecycleConfiguration: &s3.BucketLifecycleConfiguration{}},
		"DeleteBucketLifecycle":           &s3.DeleteBucketLifecycleInput{Bucket: "data"},
		"GetBucketWebsite":                &s3.GetBucketWebsiteInput{Bucket: "data"}, "GetBucketReplication": &s3.GetBucketReplicationInput{Bucket: "data"},
		"GetBucketAccelerateConfiguration":           &s3.GetBucketAccelerateConfigurationInput{Bucket: "data"},
		"GetBucketLogging":                           &s3.GetBucketLoggingInput{Bucket: "data"},
		"GetBucketNotificationConfiguration":         &s3.GetBucketNotificationConfigurationInput{Bucket: "data"},
		"GetBucketRequestPayment":                    &s3.GetBucketRequestPaymentInput{Bucket: "data"},
		"ListBucketAnalyticsConfigurations":          &s3.ListBucketAnalyticsConfigurationsInput{Bucket: "data"},
		"ListBucketIntelligentTieringConfigurations": &s3.ListBucketIntelligentTieringConfigurationsInput{Bucket: "data"},
		"ListBucketInventoryConfigurations":          &s3.ListBucketInventoryConfigurationsInput{Bucket: "data"},
		"ListBucketMetricsConfigurations":            &s3.ListBucketMetricsConfigurationsInput{Bucket: "data"},
	}
}

func tagging(bucket, key string, pairs ...string) *s3.PutObjectTaggingInput {
	in := &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &s3.Tagging{}}
	for i := 0; i < len(pairs); i += 2 {
		in.Tagging.TagSet = append(in.Tagging.TagSet, s3.Tag{Key: pairs[i], Value: pairs[i+1]})
	}
	return in
}

// Each of the operations is refused to a caller who may do all but its own action,
// so that none is covered by another's.
func TestEachSettingHasItsOwnAction(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "content")
	action := map[string]string{
		"DeleteBucketEncryption": "PutEncryptionConfiguration", "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
		"DeleteBucketTagging": "PutBucketTagging", "GetBucketCors": "GetBucketCORS", "PutBucketCors": "PutBucketCORS", "DeleteBucketCors": "PutBucketCORS",
		"GetBucketLifecycleConfiguration": "GetLifecycleConfiguration", "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
		"DeleteBucketLifecycle": "PutLifecycleConfiguration", "GetBucketReplication": "GetReplicationConfiguration",
		"GetBucketAccelerateConfiguration": "GetAccelerateConfiguration", "GetBucketNotificationConfiguration": "GetBucketNotification",
		"ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration", "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
		"ListBucketInventoryConfigurations": "GetInventoryConfiguration", "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
	}
	for name, in := range settingsCalls() {
		own := action[name]
		if own == "" {
			own = name
		}
		almost := b.User(t, apitest.Account, "all-but-"+own, apitest.Admin,
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:`+own+`","Resource":"*"}}`)
		if _, err := apitest.Call[struct{}](t, almost, "s3:"+name, in); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s without s3:%s: %v", name, own, err)
		}
	}
}
