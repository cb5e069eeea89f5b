package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Terraform's provider reads all that a bucket can be set to whenever it refreshes one,
// and takes some refusals, by their codes, for "not configured".
func TestABucketAsTerraformReadsIt(t *testing.T) {
	c := s3.NewFromConfig(start(t).admin(t), func(o *s3.Options) { o.UsePathStyle = true })
	b := aws.String("fresh-bucket")
	call(t, c.CreateBucket, s3.CreateBucketInput{Bucket: b})
	call(t, c.HeadBucket, s3.HeadBucketInput{Bucket: b})

	fails(t, "NoSuchBucketPolicy", c.GetBucketPolicy, s3.GetBucketPolicyInput{Bucket: b})
	fails(t, "NoSuchBucketPolicy", c.GetBucketPolicyStatus, s3.GetBucketPolicyStatusInput{Bucket: b})
	acl := call(t, c.GetBucketAcl, s3.GetBucketAclInput{Bucket: b})
	if len(acl.Grants) != 1 || *acl.Grants[0].Grantee.ID != *acl.Owner.ID || acl.Grants[0].Permission != types.PermissionFullControl {
		t.Errorf("the ACL: %+v", acl)
	}
	fails(t, "NoSuchCORSConfiguration", c.GetBucketCors, s3.GetBucketCorsInput{Bucket: b})
	fails(t, "NoSuchWebsiteConfiguration", c.GetBucketWebsite, s3.GetBucketWebsiteInput{Bucket: b})
	if out := call(t, c.GetBucketVersioning, s3.GetBucketVersioningInput{Bucket: b}); out.Status != "" || out.MFADelete != "" {
		t.Errorf("versioning: %+v", out)
	}
	if out := call(t, c.GetBucketAccelerateConfiguration, s3.GetBucketAccelerateConfigurationInput{Bucket: b}); out.Status != "" {
		t.Errorf("acceleration: %+v", out)
	}
	if out := call(t, c.GetBucketRequestPayment, s3.GetBucketRequestPaymentInput{Bucket: b}); out.Payer != types.PayerBucketOwner {
		t.Errorf("who pays: %+v", out)
	}
	if out := call(t, c.GetBucketLogging, s3.GetBucketLoggingInput{Bucket: b}); out.LoggingEnabled != nil {
		t.Errorf("logging: %+v", out)
	}
	fails(t, "NoSuchLifecycleConfiguration", c.GetBucketLifecycleConfiguration, s3.GetBucketLifecycleConfigurationInput{Bucket: b})
	fails(t, "ReplicationConfigurationNotFoundError", c.GetBucketReplication, s3.GetBucketReplicationInput{Bucket: b})
	rules := call(t, c.GetBucketEncryption, s3.GetBucketEncryptionInput{Bucket: b}).ServerSideEncryptionConfiguration.Rules
	if len(rules) != 1 || rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAwsKms {
		t.Errorf("encryption: %+v", rules)
	}
	fails(t, "ObjectLockConfigurationNotFoundError", c.GetObjectLockConfiguration, s3.GetObjectLockConfigurationInput{Bucket: b})
	fails(t, "NoSuchTagSet", c.GetBucketTagging, s3.GetBucketTaggingInput{Bucket: b})
	if out := call(t, c.GetBucketLocation, s3.GetBucketLocationInput{Bucket: b}); out.LocationConstraint != "" {
		t.Errorf("location: %+v", out)
	}
	if out := call(t, c.GetBucketOwnershipControls, s3.GetBucketOwnershipControlsInput{Bucket: b}); out.OwnershipControls.Rules[0].ObjectOwnership != types.ObjectOwnershipBucketOwnerEnforced {
		t.Errorf("ownership: %+v", out)
	}
	if out := call(t, c.GetPublicAccessBlock, s3.GetPublicAccessBlockInput{Bucket: b}).PublicAccessBlockConfiguration; !*out.BlockPublicPolicy || !*out.RestrictPublicBuckets {
		t.Errorf("the block of public access: %+v", out)
	}
	notes := call(t, c.GetBucketNotificationConfiguration, s3.GetBucketNotificationConfigurationInput{Bucket: b})
	if len(notes.QueueConfigurations)+len(notes.TopicConfigurations)+len(notes.LambdaFunctionConfigurations) > 0 || notes.EventBridgeConfiguration != nil {
		t.Errorf("notifications: %+v", notes)
	}
	call(t, c.ListBucketAnalyticsConfigurations, s3.ListBucketAnalyticsConfigurationsInput{Bucket: b})
	call(t, c.ListBucketIntelligentTieringConfigurations, s3.ListBucketIntelligentTieringConfigurationsInput{Bucket: b})
	call(t, c.ListBucketInventoryConfigurations, s3.ListBucketInventoryConfigurationsInput{Bucket: b})
	call(t, c.ListBucketMetricsConfigurations, s3.ListBucketMetricsConfigurationsInput{Bucket: b})
	fails(t, "NoSuchConfiguration", c.GetBucketMetricsConfiguration, s3.GetBucketMetricsConfigurationInput{Bucket: b, Id: b})
	fails(t, "NotImplemented", c.PutBucketWebsite, s3.PutBucketWebsiteInput{Bucket: b, WebsiteConfiguration: &types.WebsiteConfiguration{}})
}

// What the provider sets it reads back as it was, and can take away again.
func TestABucketAsTerraformSetsIt(t *testing.T) {
	c := s3.NewFromConfig(start(t).admin(t), func(o *s3.Options) { o.UsePathStyle = true })
	b := aws.String("set-bucket")
	call(t, c.CreateBucket, s3.CreateBucketInput{Bucket: b})
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("lab")}}
	call(t, c.PutBucketTagging, s3.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: tags}})
	if out := call(t, c.GetBucketTagging, s3.GetBucketTaggingInput{Bucket: b}).TagSet; len(out) != 1 || *out[0].Key != "team" {
		t.Errorf("tags: %+v", out)
	}
	call(t, c.DeleteBucketTagging, s3.DeleteBucketTaggingInput{Bucket: b})
	call(t, c.PutBucketCors, s3.PutBucketCorsInput{Bucket: b, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{
		{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"https://example.org"}}}}})
	if out := call(t, c.GetBucketCors, s3.GetBucketCorsInput{Bucket: b}).CORSRules; len(out) != 1 || out[0].AllowedMethods[0] != "GET" {
		t.Errorf("CORS: %+v", out)
	}
	call(t, c.DeleteBucketCors, s3.DeleteBucketCorsInput{Bucket: b})
	least := types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k
	call(t, c.PutBucketLifecycleConfiguration, s3.PutBucketLifecycleConfigurationInput{Bucket: b, TransitionDefaultMinimumObjectSize: least, LifecycleConfiguration: &types.BucketLifecycleConfiguration{
		Rules: []types.LifecycleRule{{ID: aws.String("one"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(30)}}}}})
	set := call(t, c.GetBucketLifecycleConfiguration, s3.GetBucketLifecycleConfigurationInput{Bucket: b})
	if out := set.Rules; len(out) != 1 || *out[0].Expiration.Days != 30 || out[0].Filter == nil || set.TransitionDefaultMinimumObjectSize != least {
		t.Errorf("rules: %+v, %s", out, set.TransitionDefaultMinimumObjectSize)
	}
	call(t, c.DeleteBucketLifecycle, s3.DeleteBucketLifecycleInput{Bucket: b})
	enforced := &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced}}}
	call(t, c.PutBucketOwnershipControls, s3.PutBucketOwnershipControlsInput{Bucket: b, OwnershipControls: enforced})
	call(t, c.DeleteBucketOwnershipControls, s3.DeleteBucketOwnershipControlsInput{Bucket: b})
	fails(t, "OwnershipControlsNotFoundError", c.GetBucketOwnershipControls, s3.GetBucketOwnershipControlsInput{Bucket: b})
	fails(t, "AccessControlListNotSupported", c.PutBucketAcl, s3.PutBucketAclInput{Bucket: b, ACL: types.BucketCannedACLPrivate})
	call(t, c.DeleteBucketEncryption, s3.DeleteBucketEncryptionInput{Bucket: b})
	call(t, c.DeleteBucket, s3.DeleteBucketInput{Bucket: b})
}
