package kms

import (
	"cmp"
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// pairKeys are the condition keys of making a data key pair. A pair that is not made
// is refused here: it has no public half to speak of, or the FIPS module lacks it.
func pairKeys(spec kms.DataKeyPairSpec) (policy.Context, error) {
	name := kms.KeySpec(spec)
	if _, ok := specs[name]; !ok || keyBytes(name) > 0 {
		return nil, fail("UnsupportedOperationException", "KeyPairSpec %s is not supported.", spec)
	}
	keys := encrypts("")
	keys.Set("kms:DataKeyPairSpec", string(spec))
	return keys, nil
}

func (s *Service) pairing(ctx context.Context, c *api.Call, in *kms.GenerateDataKeyPairInput) (*named, []api.Demand, error) {
	keys, err := pairKeys(in.KeyPairSpec)
	if err != nil {
		return nil, nil, err
	}
	return s.using(ctx, c, use{"GenerateDataKeyPair", in.KeyId, keys, in.EncryptionContext, in.GrantTokens})
}

func (s *Service) generateDataKeyPair(_ context.Context, c *api.Call, in *kms.GenerateDataKeyPairInput, n *named) (*kms.GenerateDataKeyPairOutput, error) {
	if err := cmp.Or(n.wraps("GenerateDataKeyPair"), n.ready(c.Now), dry(in.DryRun)); err != nil {
		return nil, err
	}
	p, err := s.pair(c.Snapshot, n.key, in.KeyPairSpec, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyPairOutput{
		KeyId: n.arn, KeyMaterialId: n.materialName(n.key.version), KeyPairSpec: in.KeyPairSpec,
		PublicKey: p.public, PrivateKeyPlaintext: p.private, PrivateKeyCiphertextBlob: p.sealed,
	}, nil
}

func (s *Service) pairingSealed(ctx context.Context, c *api.Call, in *kms.GenerateDataKeyPairWithoutPlaintextInput) (*named, []api.Demand, error) {
	keys, err := pairKeys(in.KeyPairSpec)
	if err != nil {
		return nil, nil, err
	}
	return s.using(ctx, c, use{"GenerateDataKeyPairWithoutPlaintext", in.KeyId, keys, in.EncryptionContext, in.GrantTokens})
}

func (s *Service) generateDataKeyPairWithoutPlaintext(_ context.Context, c *api.Call, in *kms.GenerateDataKeyPairWithoutPlaintextInput, n *named) (*kms.GenerateDataKeyPairWithoutPlaintextOutput, error) {
	if err := cmp.Or(n.wraps("GenerateDataKeyPairWithoutPlaintext"), n.ready(c.Now), dry(in.DryRun)); err != nil {
		return nil, err
	}
	p, err := s.pair(c.Snapshot, n.key, in.KeyPairSpec, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	clear(p.private)
	return &kms.GenerateDataKeyPairWithoutPlaintextOutput{
		KeyId: n.arn, KeyMaterialId: n.materialName(n.key.version), KeyPairSpec: in.KeyPairSpec,
		PublicKey: p.public, PrivateKeyCiphertextBlob: p.sealed,
	}, nil
}

// A dataPair is a key pair that is used outside: its private half as PKCS #8 DER, in
// clear and sealed under a KMS key, its public half as SubjectPublicKeyInfo.
type dataPair struct{ private, sealed, public []byte }

func (s *Service) pair(sn *store.Snapshot, k *key, spec kms.DataKeyPairSpec, context map[string]string) (p dataPair, err error) {
	if p.private, p.public, err = s.generateInTurn(kms.KeySpec(spec)); err != nil {
		return p, err
	}
	p.sealed, err = s.seal(sn, k, encryption{algorithm: symmetric, context: context}, p.private)
	return p, err
}
