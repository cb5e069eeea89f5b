package kms

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
)

const symmetric = kms.EncryptionAlgorithmSpecSymmetricDefault

// ready says why a key that exists and may be used cannot be.
func (k *key) ready(now time.Time) error {
	if state := k.state(now); state == kms.KeyStateDisabled {
		return fail("DisabledException", "%s is disabled.", k.arn)
	}
	return k.changeable(now)
}

// takes says whether a key is for an operation, which is one of usage, and knows the
// algorithm that the request names. If it names none, a key with one only has that.
func takes[A ~string](k *key, usage kms.KeyUsageType, algorithms []A, asked A) (A, error) {
	if k.usage != usage {
		return "", fail("InvalidKeyUsageException", "%s key usage is %s which is not valid for this operation.", k.arn, k.usage)
	}
	if asked == "" && k.spec == kms.KeySpecSymmetricDefault {
		asked = algorithms[0]
	}
	if !slices.Contains(algorithms, asked) {
		return "", fail("InvalidKeyUsageException", "Algorithm %s is incompatible with key spec %s.", asked, k.spec)
	}
	return asked, nil
}

// dry ends a call that asks only whether it would succeed, when it would have.
func dry(asked *bool) error {
	if asked == nil || !*asked {
		return nil
	}
	return &api.Error{Code: "DryRunOperationException", Status: 412, Message: "The request would have succeeded, but the DryRun option is set."}
}

// A use is what an operation wants of a key that grants can allow.
type use struct {
	action  string // and the grant's operation
	key     string // as the request names it
	keys    policy.Context
	context map[string]string // encryption context
	tokens  []string          // of grants
}

// using finds the key of an operation and states the demand.
func (s *Service) using(ctx context.Context, c *api.Call, u use) (*named, []api.Demand, error) {
	n, err := s.find(ctx, c, u.key, anyOrAlias)
	if err != nil {
		return nil, nil, err
	}
	demand, err := s.wants(c, n, u)
	if err != nil {
		return nil, nil, err
	}
	return n, []api.Demand{demand}, nil
}

// wants states the demand of a use of a key.
func (s *Service) wants(c *api.Call, n *named, u use) (api.Demand, error) {
	demand := s.demand(c, u.action, n)
	maps.Copy(demand.Keys, u.keys)
	if err := setContext(demand.Keys, u.context); err != nil {
		return demand, err
	}
	var err error
	demand.Grant, err = s.granted(c, n, u)
	return demand, err
}

// encrypts is the condition key of an encryption algorithm.
func encrypts(algorithm kms.EncryptionAlgorithmSpec) policy.Context {
	if algorithm == "" {
		algorithm = symmetric
	}
	keys := policy.Context{}
	keys.Set("kms:EncryptionAlgorithm", string(algorithm))
	return keys
}

func (s *Service) encrypting(ctx context.Context, c *api.Call, in *kms.EncryptInput) (*named, []api.Demand, error) {
	if n := len(in.Plaintext); n < 1 || n > maxPlaintext {
		return nil, nil, invalid("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and %d, inclusive", maxPlaintext)
	}
	return s.using(ctx, c, use{"Encrypt", in.KeyId, encrypts(in.EncryptionAlgorithm), in.EncryptionContext, in.GrantTokens})
}

func (s *Service) encrypt(_ context.Context, c *api.Call, in *kms.EncryptInput, n *named) (*kms.EncryptOutput, error) {
	if _, err := takes(n.key, kms.KeyUsageTypeEncryptDecrypt, n.algorithms().encryption, in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	if err := cmp.Or(n.ready(c.Now), dry(in.DryRun)); err != nil {
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
	return s.using(ctx, c, use{"GenerateDataKey", in.KeyId, encrypts(""), in.EncryptionContext, in.GrantTokens})
}

func (s *Service) generateDataKey(_ context.Context, c *api.Call, in *kms.GenerateDataKeyInput, n *named) (*kms.GenerateDataKeyOutput, error) {
	if err := cmp.Or(n.wraps(), n.ready(c.Now), dry(in.DryRun)); err != nil {
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

// wraps refuses a key that is not symmetric where data keys are made.
func (k *key) wraps() error {
	if k.spec != kms.KeySpecSymmetricDefault {
		return fail("InvalidKeyUsageException", "%s key usage is %s which is not valid for GenerateDataKey.", k.arn, k.usage)
	}
	return nil
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
	n, demands, err := s.using(ctx, c, use{"Decrypt", in.KeyId, encrypts(in.EncryptionAlgorithm), in.EncryptionContext, in.GrantTokens})
	d.named = n
	return d, demands, err
}

// decryptingUnnamed takes the key from the ciphertext. Who may not use that key
// must not learn which it is, nor whether it is: the decision is asked for here,
// where its reason, which names the key, can be dropped.
func (s *Service) decryptingUnnamed(ctx context.Context, c *api.Call, in *kms.DecryptInput, d *decryption) (*decryption, []api.Demand, error) {
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
	demand, err := s.wants(c, d.named, use{action: "Decrypt", keys: encrypts(in.EncryptionAlgorithm), context: in.EncryptionContext, tokens: in.GrantTokens})
	if err != nil {
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
	if _, err := takes(k, kms.KeyUsageTypeEncryptDecrypt, k.algorithms().encryption, in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	if err := cmp.Or(k.ready(c.Now), dry(in.DryRun)); err != nil {
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
