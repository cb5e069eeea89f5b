package sagemaker

import (
	"context"
	"errors"
	"strings"

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

// newVolumeKey makes the key of the job's volume, and sees that it opens again. Only
// what KMS sealed is kept. A role that may not do so itself does it by a grant, which
// it makes through the service and which lasts until the volume is gone.
func (s *Service) newVolumeKey(ctx context.Context, j *job) ([]byte, error) {
	c, err := s.asRole(ctx, j, nil)
	if err != nil {
		return nil, err
	}
	name := s.volumeKeyName(j)
	sealed, err := j.sealedKey(ctx, c, name)
	// The managed key's own policy lets in all whom nothing denies it: no grant would help.
	if e, told := errors.AsType[*api.Error](err); told && e.Code == "AccessDenied" && j.kmsKey != "" {
		if err = j.grant(ctx, c, name); err == nil {
			sealed, err = j.sealedKey(ctx, c, name)
		}
	}
	return sealed, because(err, "The volume could not be encrypted with %s", name)
}

func (j *job) sealedKey(ctx context.Context, c *api.Call, name string) ([]byte, error) {
	made, err := api.Invoke[kms.GenerateDataKeyOutput](ctx, c, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{
		KeyId: name, KeySpec: kms.DataKeySpecAes256, EncryptionContext: j.binding(),
	})
	if err != nil {
		return nil, err
	}
	clear(made.Plaintext)
	opened, err := j.openedKey(ctx, c, name, made.CiphertextBlob)
	if err != nil {
		return nil, err
	}
	clear(opened)
	return made.CiphertextBlob, nil
}

func (j *job) openedKey(ctx context.Context, c *api.Call, name string, sealed []byte) ([]byte, error) {
	out, err := api.Invoke[kms.DecryptOutput](ctx, c, "kms:Decrypt", &kms.DecryptInput{
		KeyId: name, CiphertextBlob: sealed, EncryptionContext: j.binding(),
	})
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}

// grant has the role give itself, through the service, what opens this job's volume and
// no other. It bears the job's ARN as its name, so that a second is the same, and clear
// finds it.
func (j *job) grant(ctx context.Context, c *api.Call, name string) error {
	if strings.Contains(name, ":alias/") { // which grants are not made of
		out, err := api.Invoke[kms.DescribeKeyOutput](ctx, c, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: name})
		if err != nil {
			return err
		}
		name = out.KeyMetadata.Arn
	}
	_, err := api.Invoke[kms.CreateGrantOutput](ctx, c, "kms:CreateGrant", &kms.CreateGrantInput{
		KeyId: name, GranteePrincipal: j.role, RetiringPrincipal: j.role, Name: j.arn,
		Operations:  []kms.GrantOperation{kms.GrantOperationGenerateDataKey, kms.GrantOperationDecrypt},
		Constraints: &kms.GrantConstraints{EncryptionContextEquals: j.binding()},
	})
	return err
}

// openVolumeKey has the key service open it. The caller clears it.
func (s *Service) openVolumeKey(ctx context.Context, j *job) ([]byte, error) {
	c, err := s.asRole(ctx, j, nil)
	if err != nil {
		return nil, err
	}
	name := s.volumeKeyName(j)
	key, err := j.openedKey(ctx, c, name, j.volumeKey)
	if err != nil {
		return nil, because(err, "The key of the volume, %s, cannot be used", name)
	}
	if len(key) != seal.KeySize {
		clear(key)
		return nil, errors.New("sagemaker: a volume's key has the wrong length")
	}
	return key, nil
}
