package s3

import (
	"context"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// managedKey is the AWS-managed key that seals where nobody chose another.
const managedKey = "alias/aws/s3"

// keyARN completes the name of a key in an account: key ids and aliases are taken
// to be of that account.
func (s *Service) keyARN(account, key string) string {
	switch {
	case strings.HasPrefix(key, "arn:"):
		return key
	case key == "":
		key = managedKey
	}
	if !strings.HasPrefix(key, "alias/") {
		key = "key/" + key
	}
	return "arn:aws:kms:" + s.Region + ":" + account + ":" + key
}

// sse is how the object's upload asked to have it sealed. SSE-S3 seals as SSE-KMS
// does, under the account's AWS-managed key, so that turning that key off turns off
// these objects too; it only shows no key.
func (o *object) sse() s3.ServerSideEncryption {
	if o.details.Managed {
		return s3.ServerSideEncryptionAes256
	}
	return s3.ServerSideEncryptionAwsKms
}

func (o *object) shownKey() string {
	if o.details.Managed {
		return ""
	}
	return o.kmsKey
}

func (s *Service) readEncryption(_ context.Context, c *api.Call, in *s3.GetBucketEncryptionInput) (*found, []api.Demand, error) {
	return s.on(c, "GetEncryptionConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketEncryption(_ context.Context, _ *api.Call, _ *s3.GetBucketEncryptionInput, f *found) (*s3.GetBucketEncryptionOutput, error) {
	rule := &s3.ServerSideEncryptionByDefault{SSEAlgorithm: f.sse, KMSMasterKeyID: f.kmsKey}
	if rule.SSEAlgorithm == "" {
		rule.SSEAlgorithm = s3.ServerSideEncryptionAwsKms
	}
	return &s3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &s3.ServerSideEncryptionConfiguration{
		Rules: []s3.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: rule, BucketKeyEnabled: &f.bucketKey}},
	}}, nil
}

func (s *Service) replacedEncryption(_ context.Context, c *api.Call, in *s3.PutBucketEncryptionInput) (*found, []api.Demand, error) {
	return s.on(c, "PutEncryptionConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) putBucketEncryption(_ context.Context, _ *api.Call, in *s3.PutBucketEncryptionInput, _ *found) (api.Commit[s3.PutBucketEncryptionOutput], error) {
	cfg := in.ServerSideEncryptionConfiguration
	if cfg == nil || len(cfg.Rules) != 1 || cfg.Rules[0].ApplyServerSideEncryptionByDefault == nil {
		return nil, fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	rule := cfg.Rules[0].ApplyServerSideEncryptionByDefault
	switch {
	case rule.SSEAlgorithm != s3.ServerSideEncryptionAwsKms && rule.SSEAlgorithm != s3.ServerSideEncryptionAes256:
		return nil, notServed("Server-side encryption " + string(rule.SSEAlgorithm) + " (use aws:kms)")
	case rule.SSEAlgorithm == s3.ServerSideEncryptionAes256 && rule.KMSMasterKeyID != "":
		return nil, badArgument("KMSMasterKeyID", rule.KMSMasterKeyID, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
	}
	if !keyName(rule.KMSMasterKeyID) {
		return nil, badArgument("KMSMasterKeyID", rule.KMSMasterKeyID, "Invalid KMS key identifier")
	}
	bucketKey := cfg.Rules[0].BucketKeyEnabled != nil && *cfg.Rules[0].BucketKeyEnabled
	return func(tx *store.Tx) (*s3.PutBucketEncryptionOutput, error) {
		return &s3.PutBucketEncryptionOutput{}, setEncryption(tx, in.Bucket, rule.SSEAlgorithm, rule.KMSMasterKeyID, bucketKey)
	}, nil
}

func (s *Service) droppedEncryption(_ context.Context, c *api.Call, in *s3.DeleteBucketEncryptionInput) (*found, []api.Demand, error) {
	return s.on(c, "PutEncryptionConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

// deleteBucketEncryption goes back to what holds where nothing was put; it never
// leaves objects unsealed.
func (s *Service) deleteBucketEncryption(_ context.Context, _ *api.Call, in *s3.DeleteBucketEncryptionInput, _ *found) (api.Commit[s3.DeleteBucketEncryptionOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteBucketEncryptionOutput, error) {
		return &s3.DeleteBucketEncryptionOutput{}, setEncryption(tx, in.Bucket, "", "", false)
	}, nil
}

// setEncryption changes what new objects of a bucket are sealed under.
func setEncryption(tx *store.Tx, bucket string, algorithm s3.ServerSideEncryption, key string, bucketKey bool) error {
	return errors.Join(
		setBucket(tx, bucket, "sse", string(algorithm)),
		setBucket(tx, bucket, "kms_key", key),
		setBucket(tx, bucket, "bucket_key", bucketKey),
	)
}

// keyName bounds what is stored as the name of a key; whether it names one the
// key service says on each use.
func keyName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 2048
}
