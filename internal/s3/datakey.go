package s3

import (
	"context"
	"encoding/base64"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
)

// dataKey has the key service make the object's own key, as the caller: who may
// not use the KMS key cannot write under it.
func (s *Service) dataKey(ctx context.Context, c *api.Call, p *place, o *object) ([]byte, error) {
	kmsKey, err := s.chosenKey(c, p, o)
	if err != nil {
		return nil, err
	}
	made, err := api.Invoke[kms.GenerateDataKeyOutput](ctx, c, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{
		KeyId: kmsKey, KeySpec: kms.DataKeySpecAes256, EncryptionContext: o.binding(p),
	})
	if err != nil {
		return nil, fromKMS(err)
	}
	o.kmsKey, o.dataKey = made.KeyId, made.CiphertextBlob
	return made.Plaintext, nil
}

// chosenKey is the KMS key that the upload or else the bucket names. It notes in the
// object's details how that was asked for.
func (s *Service) chosenKey(c *api.Call, p *place, o *object) (string, error) {
	want := p.upload.sse
	if want.key != "" && want.algorithm != s3.ServerSideEncryptionAwsKms {
		return "", badArgument("x-amz-server-side-encryption", "", "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	}
	var err error
	if o.details.Context, err = furtherContext(want.context, p.arn); err != nil {
		return "", err
	}
	kmsKey := s.keyARN(p.account, p.kmsKey)
	algorithm, bucketKey := p.bucket.sse, p.bucketKey
	if want.algorithm != "" {
		algorithm = want.algorithm
	}
	if want.bucketKey != nil {
		bucketKey = *want.bucketKey
	}
	switch {
	case algorithm == s3.ServerSideEncryptionAes256:
		if want.context != "" {
			return "", badArgument("x-amz-server-side-encryption-context", "", "An encryption context requires x-amz-server-side-encryption : aws:kms")
		}
		o.details.Managed = true
		return s.keyARN(p.account, managedKey), nil
	case algorithm != "" && algorithm != s3.ServerSideEncryptionAwsKms:
		return "", notServed("Server-side encryption " + string(algorithm) + " (use aws:kms)")
	case want.key != "":
		if !keyName(want.key) {
			return "", badArgument("x-amz-server-side-encryption-aws-kms-key-id", want.key, "Invalid KMS key identifier")
		}
		kmsKey = s.keyARN(c.Account, want.key)
	}
	o.details.BucketKey = bucketKey
	return kmsKey, nil
}

// furtherContext reads x-amz-server-side-encryption-context: base64 of a JSON
// object of strings.
func furtherContext(header, arn string) (map[string]string, error) {
	if header == "" {
		return nil, nil
	}
	const name = "x-amz-server-side-encryption-context"
	raw, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(raw) > 8192 {
		return nil, badArgument(name, "", "The header must be base64 of a JSON object of strings")
	}
	var further map[string]string
	if err := json.Unmarshal(raw, &further); err != nil {
		return nil, badArgument(name, "", "The header must be base64 of a JSON object of strings")
	}
	if given, ok := further["aws:s3:arn"]; ok && given != arn {
		return nil, badArgument(name, "", "aws:s3:arn is set by S3")
	}
	delete(further, "aws:s3:arn")
	return further, nil
}

// unsealKey has the key service open the object's data key, as the caller and for
// this object's name: the key of another object does not open.
func (s *Service) unsealKey(ctx context.Context, c *api.Call, p *place) ([]byte, error) {
	out, err := api.Invoke[kms.DecryptOutput](ctx, c, "kms:Decrypt", &kms.DecryptInput{
		KeyId: p.object.kmsKey, CiphertextBlob: p.object.dataKey, EncryptionContext: p.object.binding(p),
	})
	if err != nil {
		return nil, fromKMS(err)
	}
	return out.Plaintext, nil
}
