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
func (s *Service) dataKey(ctx context.Context, c *api.Call, in *s3.PutObjectInput, p *place, o *object) ([]byte, error) {
	if err := checkAlgorithm(in.ServerSideEncryption); err != nil {
		return nil, err
	}
	if err := noBucketKey(in.BucketKeyEnabled); err != nil {
		return nil, err
	}
	if in.SSEKMSKeyId != "" && in.ServerSideEncryption == "" {
		return nil, badArgument("x-amz-server-side-encryption", "", "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	}
	var err error
	if o.details.Context, err = furtherContext(in.SSEKMSEncryptionContext, p.arn); err != nil {
		return nil, err
	}
	kmsKey := s.keyARN(p.account, p.kmsKey)
	if in.SSEKMSKeyId != "" {
		if !keyName(in.SSEKMSKeyId) {
			return nil, badArgument("x-amz-server-side-encryption-aws-kms-key-id", in.SSEKMSKeyId, "Invalid KMS key identifier")
		}
		kmsKey = s.keyARN(c.Account, in.SSEKMSKeyId)
	}
	made, err := api.Invoke[kms.GenerateDataKeyOutput](ctx, c, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{
		KeyId: kmsKey, KeySpec: kms.DataKeySpecAes256, EncryptionContext: binding(p.arn, o.details.Context),
	})
	if err != nil {
		return nil, fromKMS(err)
	}
	o.kmsKey, o.dataKey = made.KeyId, made.CiphertextBlob
	return made.Plaintext, nil
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
		KeyId: p.object.kmsKey, CiphertextBlob: p.object.dataKey, EncryptionContext: binding(p.arn, p.object.details.Context),
	})
	if err != nil {
		return nil, fromKMS(err)
	}
	return out.Plaintext, nil
}
