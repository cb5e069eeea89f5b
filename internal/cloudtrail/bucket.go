package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
)

// A place is where something is put, and for which trail.
type place struct {
	account, arn, bucket, object, kmsKey string
}

// caller is the service itself, for one trail.
func (s *Service) caller(ctx context.Context, p place) (*api.Call, error) {
	return s.Door().Begin(ctx, api.Claim{Kind: api.KindService, Account: p.account, ID: principal, SourceARN: p.arn, SourceAccount: p.account}, "")
}

// put stores an object as the service. Putting the same again does no harm.
func (s *Service) put(ctx context.Context, p place, content []byte, metadata map[string]string) error {
	c, err := s.caller(ctx, p)
	if err != nil {
		return err
	}
	in := &s3.PutObjectInput{
		ACL: s3.ObjectCannedACLBucketOwnerFullControl, Bucket: p.bucket, Key: p.object, Body: bytes.NewReader(content),
		Metadata: metadata,
	}
	if len(content) > 0 {
		in.ContentType, in.ContentEncoding = "application/json", "gzip"
	}
	if p.kmsKey != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = s3.ServerSideEncryptionAwsKms, p.kmsKey
		in.SSEKMSEncryptionContext = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"aws:cloudtrail:arn":%q}`, p.arn))
	}
	_, err = api.Invoke[s3.PutObjectOutput](ctx, c, "s3:PutObject", in)
	return err
}

// admit finds out whether a trail can deliver: it puts, as AWS does, an empty object
// where the logs will lie, and completes the name of the key. Of a bucket or key that is
// not there it hears no more than of one that does not let it in.
func (s *Service) admit(ctx context.Context, c *api.Call, t *row, key string) error {
	p := place{account: t.account, arn: s.arn(t.account, t.name), bucket: t.bucket}
	organization := ""
	if t.organization {
		organization = c.Organization().OrgID
	}
	p.object = logs(t.prefix, organization, t.account, "CloudTrail") + "/"
	if key != "" {
		var err error
		if t.kmsKey, err = s.describeKey(ctx, p, key); err != nil {
			return err
		}
		p.kmsKey = t.kmsKey
	}
	err := s.put(ctx, p, nil, nil)
	e, told := errors.AsType[*api.Error](err)
	switch {
	case err == nil:
		return nil
	case !told || e.Server:
		return err
	case p.kmsKey != "":
		return sealless(t.bucket, key)
	}
	return fail("InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy is detected for bucket: %s", t.bucket)
}

func sealless(bucket, key string) error {
	return fail("InsufficientEncryptionPolicyException", "Insufficient permissions to access S3 bucket %s or KMS key %s.", bucket, key)
}

// describeKey answers the ARN of a key, as far as its policy tells the service.
func (s *Service) describeKey(ctx context.Context, p place, key string) (string, error) {
	c, err := s.caller(ctx, p)
	if err != nil {
		return "", err
	}
	out, err := api.Invoke[kms.DescribeKeyOutput](ctx, c, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: key})
	e, told := errors.AsType[*api.Error](err)
	switch {
	case err == nil:
	case !told || e.Server:
		return "", err
	case e.Code == "InvalidArnException" || e.Code == "ValidationException":
		return "", fail("InvalidKmsKeyIdException", "Invalid KmsKeyId: %s", key)
	default:
		return "", sealless(p.bucket, key)
	}
	m := out.KeyMetadata
	if m.KeyState != kms.KeyStateEnabled || m.KeySpec != kms.KeySpecSymmetricDefault {
		return "", fail("KmsException", "KMS key %s is not an enabled key for symmetric encryption.", key)
	}
	return m.Arn, nil
}

// logs is where what is told of an account lies: kind is CloudTrail or CloudTrail-Digest.
func logs(prefix, organization, account, kind string) string {
	parts := []string{"AWSLogs", account, kind}
	if organization != "" {
		parts = []string{"AWSLogs", organization, account, kind}
	}
	if prefix != "" {
		parts = append([]string{prefix}, parts...)
	}
	return strings.Join(parts, "/")
}

func zipped(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(content)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}
