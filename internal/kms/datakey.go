package kms

import (
	"cmp"
	"context"
	"crypto/rand"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// dataKeySize is how many bytes of data key a request asks for.
func dataKeySize(spec kms.DataKeySpec, number *int32) (int, error) {
	switch {
	case (spec == "") == (number == nil):
		return 0, invalid("Please specify either number of bytes or key spec.")
	case number != nil:
		return randomSize(number)
	case spec == kms.DataKeySpecAes128:
		return 16, nil
	case spec == kms.DataKeySpecAes256:
		return 32, nil
	}
	return 0, invalid("KeySpec %s is not supported.", spec)
}

func (s *Service) generating(ctx context.Context, c *api.Call, in *kms.GenerateDataKeyInput) (*named, []api.Demand, error) {
	if _, err := dataKeySize(in.KeySpec, in.NumberOfBytes); err != nil {
		return nil, nil, err
	}
	return s.using(ctx, c, use{"GenerateDataKey", in.KeyId, encrypts(""), in.EncryptionContext, in.GrantTokens})
}

func (s *Service) generateDataKey(_ context.Context, c *api.Call, in *kms.GenerateDataKeyInput, n *named) (*kms.GenerateDataKeyOutput, error) {
	if err := cmp.Or(n.wraps("GenerateDataKey"), n.ready(c.Now), dry(in.DryRun)); err != nil {
		return nil, err
	}
	plaintext, blob, err := s.dataKey(c.Snapshot, n.key, in.KeySpec, in.NumberOfBytes, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyOutput{KeyId: n.arn, KeyMaterialId: n.materialName(n.key.version), Plaintext: plaintext, CiphertextBlob: blob}, nil
}

func (s *Service) generatingSealed(ctx context.Context, c *api.Call, in *kms.GenerateDataKeyWithoutPlaintextInput) (*named, []api.Demand, error) {
	if _, err := dataKeySize(in.KeySpec, in.NumberOfBytes); err != nil {
		return nil, nil, err
	}
	return s.using(ctx, c, use{"GenerateDataKeyWithoutPlaintext", in.KeyId, encrypts(""), in.EncryptionContext, in.GrantTokens})
}

func (s *Service) generateDataKeyWithoutPlaintext(_ context.Context, c *api.Call, in *kms.GenerateDataKeyWithoutPlaintextInput, n *named) (*kms.GenerateDataKeyWithoutPlaintextOutput, error) {
	if err := cmp.Or(n.wraps("GenerateDataKeyWithoutPlaintext"), n.ready(c.Now), dry(in.DryRun)); err != nil {
		return nil, err
	}
	plaintext, blob, err := s.dataKey(c.Snapshot, n.key, in.KeySpec, in.NumberOfBytes, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	clear(plaintext)
	return &kms.GenerateDataKeyWithoutPlaintextOutput{KeyId: n.arn, KeyMaterialId: n.materialName(n.key.version), CiphertextBlob: blob}, nil
}

// dataKey makes a data key, and seals it under a symmetric key.
func (s *Service) dataKey(sn *store.Snapshot, k *key, spec kms.DataKeySpec, number *int32, context map[string]string) (plaintext, blob []byte, err error) {
	size, err := dataKeySize(spec, number)
	if err != nil {
		return nil, nil, err
	}
	plaintext = make([]byte, size)
	rand.Read(plaintext)
	blob, err = s.seal(sn, k, encryption{algorithm: symmetric, context: context}, plaintext)
	return plaintext, blob, err
}

// wraps refuses a key that is not symmetric where data keys are made.
func (k *key) wraps(action string) error {
	return takes(k, action, kms.KeyUsageTypeEncryptDecrypt, k.algorithms().encryption, symmetric)
}
