package s3

import (
	"context"
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

// checkAlgorithm takes SSE-KMS only: what is sealed under a key that no customer's
// policy controls would not be turned off with it.
func checkAlgorithm(a s3.ServerSideEncryption) error {
	if a != "" && a != s3.ServerSideEncryptionAwsKms {
		return notServed("Server-side encryption " + string(a) + " (use aws:kms)")
	}
	return nil
}

func (s *Service) readEncryption(_ context.Context, c *api.Call, in *s3.GetBucketEncryptionInput) (*found, []api.Demand, error) {
	return s.on(c, "GetEncryptionConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketEncryption(_ context.Context, _ *api.Call, _ *s3.GetBucketEncryptionInput, f *found) (*s3.GetBucketEncryptionOutput, error) {
	no := false
	return &s3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &s3.ServerSideEncryptionConfiguration{
		Rules: []s3.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &s3.ServerSideEncryptionByDefault{
				SSEAlgorithm: s3.ServerSideEncryptionAwsKms, KMSMasterKeyID: f.kmsKey,
			},
			BucketKeyEnabled: &no,
		}},
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
	if err := noBucketKey(cfg.Rules[0].BucketKeyEnabled); err != nil {
		return nil, err
	}
	rule := cfg.Rules[0].ApplyServerSideEncryptionByDefault
	if err := checkAlgorithm(rule.SSEAlgorithm); err != nil {
		return nil, err
	}
	if !keyName(rule.KMSMasterKeyID) {
		return nil, badArgument("KMSMasterKeyID", rule.KMSMasterKeyID, "Invalid KMS key identifier")
	}
	return func(tx *store.Tx) (*s3.PutBucketEncryptionOutput, error) {
		return &s3.PutBucketEncryptionOutput{}, setBucket(tx, in.Bucket, "kms_key", rule.KMSMasterKeyID)
	}, nil
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

// noBucketKey refuses S3 Bucket Keys: here each object has a data key of its own,
// bound to its name.
func noBucketKey(enabled *bool) error {
	if enabled != nil && *enabled {
		return notServed("BucketKeyEnabled")
	}
	return nil
}
