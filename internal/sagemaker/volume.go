package sagemaker

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/kms"
)

// managedKey seals volumes where nobody chose another.
const managedKey = "alias/aws/sagemaker"

// asRole begins what is done for the job: as its role, for its person, if both are
// still there and the role still trusts the service. origin is the VPC endpoint
// through which the job's own calls would come, or nil.
func (s *Service) asRole(ctx context.Context, j *job, origin *api.Origin) (*api.Call, error) {
	door := s.Door()
	c, err := door.BeginAt(ctx, j.claim(), principal, origin)
	if errors.Is(err, api.ErrGone) {
		alone := j.claim()
		alone.Person = nil
		if _, err := door.Begin(ctx, alone, principal); err == nil {
			return nil, clientError("The person on whose behalf the job runs is no longer active.")
		}
		return nil, clientError("The execution role %s is no longer there.", j.role)
	}
	if err != nil {
		return nil, err
	}
	trusted, err := c.Trusts(ctx, c.Entity(), principal, j.arn)
	if err != nil {
		return nil, err
	}
	if !trusted {
		return nil, clientError("The execution role %s does not allow principal '%s' to assume it.", j.role, principal)
	}
	return c, nil
}

func (j *job) binding() map[string]string { return map[string]string{"aws:sagemaker:job-arn": j.arn} }

func (s *Service) volumeKeyName(j *job) string {
	if j.kmsKey == "" {
		return keyName(s.Region, j.account, managedKey)
	}
	return keyName(s.Region, j.account, j.kmsKey)
}

// newVolumeKey makes the key of the job's volume. Only what KMS sealed is kept.
func (s *Service) newVolumeKey(ctx context.Context, j *job) ([]byte, error) {
	c, err := s.asRole(ctx, j, nil)
	if err != nil {
		return nil, err
	}
	name := s.volumeKeyName(j)
	out, err := api.Invoke[kms.GenerateDataKeyOutput](ctx, c, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{
		KeyId: name, KeySpec: kms.DataKeySpecAes256, EncryptionContext: j.binding(),
	})
	if err != nil {
		return nil, because(err, "The volume could not be encrypted with %s", name)
	}
	clear(out.Plaintext)
	return out.CiphertextBlob, nil
}

// openVolumeKey has the key service open it. The caller clears it.
func (s *Service) openVolumeKey(ctx context.Context, j *job) ([]byte, error) {
	c, err := s.asRole(ctx, j, nil)
	if err != nil {
		return nil, err
	}
	name := s.volumeKeyName(j)
	out, err := api.Invoke[kms.DecryptOutput](ctx, c, "kms:Decrypt", &kms.DecryptInput{
		KeyId: name, CiphertextBlob: j.volumeKey, EncryptionContext: j.binding(),
	})
	if err != nil {
		return nil, because(err, "The key of the volume, %s, cannot be used", name)
	}
	if len(out.Plaintext) != seal.KeySize {
		clear(out.Plaintext)
		return nil, errors.New("sagemaker: a volume's key has the wrong length")
	}
	return out.Plaintext, nil
}
