package kms

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
)

const symmetric = kms.EncryptionAlgorithmSpecSymmetricDefault

// usable says why a key that exists and may be used cannot be.
func (k *key) usable(algorithm kms.EncryptionAlgorithmSpec) error {
	if algorithm != "" && algorithm != symmetric {
		return fail("InvalidKeyUsageException", "The algorithm %s is not supported by key %s.", algorithm, k.arn)
	}
	if !k.enabled {
		return fail("DisabledException", "%s is disabled.", k.arn)
	}
	return nil
}

// using finds a key for a cryptographic operation and states the demand.
func (s *Service) using(ctx context.Context, c *api.Call, action, name string, algorithm kms.EncryptionAlgorithmSpec,
	encryptionContext map[string]string, tokens []string) (*named, []api.Demand, error) {
	if err := noTokens(tokens); err != nil {
		return nil, nil, err
	}
	n, demands, err := s.on(ctx, c, action, name, anyOrAlias)
	if err != nil {
		return nil, nil, err
	}
	if err := setUse(demands[0].Keys, algorithm, encryptionContext); err != nil {
		return nil, nil, err
	}
	return n, demands, nil
}

func setUse(keys policy.Context, algorithm kms.EncryptionAlgorithmSpec, encryptionContext map[string]string) error {
	if algorithm == "" {
		algorithm = symmetric
	}
	keys.Set("kms:EncryptionAlgorithm", string(algorithm))
	if err := setContext(keys, encryptionContext); err != nil {
		return err
	}
	return nil
}

func noTokens(tokens []string) error {
	if len(tokens) > 0 {
		return fail("UnsupportedOperationException", "GrantTokens is not supported.")
	}
	return nil
}

func (s *Service) encrypting(ctx context.Context, c *api.Call, in *kms.EncryptInput) (*named, []api.Demand, error) {
	if n := len(in.Plaintext); n < 1 || n > maxPlaintext {
		return nil, nil, invalid("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and %d, inclusive", maxPlaintext)
	}
	return s.using(ctx, c, "Encrypt", in.KeyId, in.EncryptionAlgorithm, in.EncryptionContext, in.GrantTokens)
}

func (s *Service) encrypt(_ context.Context, c *api.Call, in *kms.EncryptInput, n *named) (*kms.EncryptOutput, error) {
	if err := n.usable(in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	out := &kms.EncryptOutput{KeyId: n.arn, EncryptionAlgorithm: symmetric}
	err := s.withMaterial(c.Snapshot, n.key, n.version, func(material []byte) (err error) {
		out.CiphertextBlob, err = sealUnder(n.key, material, in.Plaintext, in.EncryptionContext)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) generating(ctx context.Context, c *api.Call, in *kms.GenerateDataKeyInput) (*named, []api.Demand, error) {
	if (in.KeySpec == "") == (in.NumberOfBytes == nil) {
		return nil, nil, invalid("Please specify either number of bytes or key spec.")
	}
	if n := in.NumberOfBytes; n != nil && (*n < 1 || *n > 1024) {
		return nil, nil, invalid("1 validation error detected: Value '%d' at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and 1024, inclusive", *n)
	}
	return s.using(ctx, c, "GenerateDataKey", in.KeyId, "", in.EncryptionContext, in.GrantTokens)
}

func (s *Service) generateDataKey(_ context.Context, c *api.Call, in *kms.GenerateDataKeyInput, n *named) (*kms.GenerateDataKeyOutput, error) {
	if err := n.usable(""); err != nil {
		return nil, err
	}
	size := 32
	switch {
	case in.NumberOfBytes != nil:
		size = int(*in.NumberOfBytes)
	case in.KeySpec == kms.DataKeySpecAes128:
		size = 16
	case in.KeySpec != kms.DataKeySpecAes256:
		return nil, invalid("KeySpec %s is not supported.", in.KeySpec)
	}
	out := &kms.GenerateDataKeyOutput{KeyId: n.arn, KeyMaterialId: n.materialName(n.key.version), Plaintext: make([]byte, size)}
	rand.Read(out.Plaintext)
	err := s.withMaterial(c.Snapshot, n.key, n.version, func(material []byte) (err error) {
		out.CiphertextBlob, err = sealUnder(n.key, material, out.Plaintext, in.EncryptionContext)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// A decryption is a ciphertext with the key that the caller may use on it.
type decryption struct {
	*named
	ciphertext
	parsed bool
}

func (s *Service) decrypting(ctx context.Context, c *api.Call, in *kms.DecryptInput) (*decryption, []api.Demand, error) {
	t, parsed := parseCiphertext(in.CiphertextBlob)
	d := &decryption{ciphertext: t, parsed: parsed}
	if in.KeyId == "" {
		return s.decryptingUnnamed(ctx, c, in, d)
	}
	n, demands, err := s.using(ctx, c, "Decrypt", in.KeyId, in.EncryptionAlgorithm, in.EncryptionContext, in.GrantTokens)
	d.named = n
	return d, demands, err
}

// decryptingUnnamed takes the key from the ciphertext. Who may not use that key
// must not learn which it is, nor whether it is: the decision is asked for here,
// where its reason, which names the key, can be dropped.
func (s *Service) decryptingUnnamed(ctx context.Context, c *api.Call, in *kms.DecryptInput, d *decryption) (*decryption, []api.Demand, error) {
	if err := noTokens(in.GrantTokens); err != nil {
		return nil, nil, err
	}
	var demand api.Demand
	if d.parsed {
		k, err := s.get(c.Snapshot, d.ciphertext.key)
		if err != nil {
			return nil, nil, err
		}
		// A key whose policy has nothing to do with the caller's account is not
		// even asked: the record of the refusal would name it to that account.
		if k == nil || k.account != c.Account && !k.concerns(c.Account) {
			return nil, nil, errUnnamed()
		}
		d.named = k.named()
	} else {
		d.named = s.missing(c, s.arn(c.Account, "key/*"), c.Account, errCiphertext())
	}
	demand = s.demand(c, "Decrypt", d.named)
	if err := setUse(demand.Keys, in.EncryptionAlgorithm, in.EncryptionContext); err != nil {
		return nil, nil, err
	}
	if d.parsed {
		if err := c.Allowed(ctx, demand); err != nil {
			if _, refused := errors.AsType[*api.Error](err); refused {
				err = errUnnamed()
			}
			return nil, nil, err
		}
	}
	return d, []api.Demand{demand}, nil
}

// concerns says whether the key's policy names an account, one of its principals
// or everyone. Without that it lets nobody of another account in.
func (k *key) concerns(account string) bool {
	return slices.ContainsFunc(k.policy.Policy.Principals(), func(name string) bool {
		return name == "*" || strings.Contains(name, account)
	})
}

func (s *Service) decrypt(_ context.Context, c *api.Call, in *kms.DecryptInput, d *decryption) (*kms.DecryptOutput, error) {
	k := d.named.key
	if !d.parsed {
		return nil, errCiphertext()
	}
	if d.ciphertext.key != k.id {
		return nil, fail("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	if err := k.usable(in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	out := &kms.DecryptOutput{KeyId: k.arn, EncryptionAlgorithm: symmetric, KeyMaterialId: k.materialName(d.ciphertext.version)}
	err := s.withMaterial(c.Snapshot, k, d.ciphertext.version, func(material []byte) (err error) {
		out.Plaintext, err = d.open(material, in.EncryptionContext)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
