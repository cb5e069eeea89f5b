package kms

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

const symmetric = kms.EncryptionAlgorithmSpecSymmetricDefault

// encrypts is the condition key of an encryption algorithm.
func encrypts(algorithm kms.EncryptionAlgorithmSpec) policy.Context {
	return condition("kms:EncryptionAlgorithm", cmp.Or(algorithm, symmetric))
}

func (s *Service) encrypting(ctx context.Context, c *api.Call, in *kms.EncryptInput) (*named, []api.Demand, error) {
	if n := len(in.Plaintext); n < 1 || n > maxPlaintext {
		return nil, nil, invalid("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and %d, inclusive", maxPlaintext)
	}
	return s.using(ctx, c, use{"Encrypt", in.KeyId, encrypts(in.EncryptionAlgorithm), in.EncryptionContext, in.GrantTokens})
}

func (s *Service) encrypt(_ context.Context, c *api.Call, in *kms.EncryptInput, n *named) (*kms.EncryptOutput, error) {
	e := encryption{"Encrypt", cmp.Or(in.EncryptionAlgorithm, symmetric), in.EncryptionContext}
	if err := cmp.Or(e.fits(n.key), n.ready(c.Now), e.holds(n.key, len(in.Plaintext)), dry(in.DryRun)); err != nil {
		return nil, err
	}
	blob, err := s.seal(c.Snapshot, n.key, e, in.Plaintext)
	if err != nil {
		return nil, err
	}
	return &kms.EncryptOutput{CiphertextBlob: blob, KeyId: n.arn, EncryptionAlgorithm: e.algorithm}, nil
}

// An encryption is how an operation encrypts or decrypts.
type encryption struct {
	action    string
	algorithm kms.EncryptionAlgorithmSpec
	context   map[string]string
}

// fits says whether a key encrypts so.
func (e encryption) fits(k *key) error {
	if err := takes(k, e.action, kms.KeyUsageTypeEncryptDecrypt, k.algorithms().encryption, e.algorithm); err != nil {
		return err
	}
	if e.algorithm != symmetric && len(e.context) > 0 {
		return invalid("Algorithm %s does not support an encryption context.", e.algorithm)
	}
	return nil
}

// holds says whether one ciphertext can hold a plaintext of that size.
func (e encryption) holds(k *key, size int) error {
	if e.algorithm == symmetric {
		return nil
	}
	if most := moduli[k.spec]/8 - 2*sha256.Size - 2; size > most {
		return invalid("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", e.algorithm, k.spec, most)
	}
	return nil
}

// seal encrypts under the key's current material. An RSA ciphertext is that of PKCS #1
// and nothing more, so that others who have the public key can make it too.
func (s *Service) seal(sn *store.Snapshot, k *key, e encryption, plaintext []byte) (blob []byte, err error) {
	if e.algorithm == symmetric {
		err = s.withMaterial(sn, k, k.version, func(material []byte) (err error) {
			blob, err = sealUnder(k, material, plaintext, e.context)
			return err
		})
		return blob, err
	}
	public, err := s.publicKey(sn, k)
	if err != nil {
		return nil, err
	}
	r, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("kms: the public key of %s is a %T", k.arn, public)
	}
	return rsa.EncryptOAEP(sha256.New(), rand.Reader, r, plaintext, nil)
}
