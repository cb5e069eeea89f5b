package kms

import (
	"cmp"
	"context"
	"crypto"
	"crypto/hmac"
	_ "crypto/sha256"
	_ "crypto/sha512"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

var macs = map[kms.MacAlgorithmSpec]crypto.Hash{
	kms.MacAlgorithmSpecHmacSha224: crypto.SHA224,
	kms.MacAlgorithmSpecHmacSha256: crypto.SHA256,
	kms.MacAlgorithmSpecHmacSha384: crypto.SHA384,
	kms.MacAlgorithmSpecHmacSha512: crypto.SHA512,
}

// mac computes an HMAC, whole: it is as long as its hash.
func (s *Service) mac(sn *store.Snapshot, k *key, algorithm kms.MacAlgorithmSpec, message []byte) (sum []byte, err error) {
	err = s.withMaterial(sn, k, k.version, func(material []byte) error {
		h := hmac.New(macs[algorithm].New, material)
		h.Write(message)
		sum = h.Sum(nil)
		return nil
	})
	return sum, err
}

// authenticates says whether a key makes and verifies MACs of an algorithm.
func (k *key) authenticates(action string, algorithm kms.MacAlgorithmSpec) error {
	return takes(k, action, kms.KeyUsageTypeGenerateVerifyMac, k.algorithms().mac, algorithm)
}

func (s *Service) generatingMac(ctx context.Context, c *api.Call, in *kms.GenerateMacInput) (*named, []api.Demand, error) {
	return s.using(ctx, c, use{action: "GenerateMac", key: in.KeyId, keys: condition("kms:MacAlgorithm", in.MacAlgorithm), tokens: in.GrantTokens})
}

func (s *Service) generateMac(_ context.Context, c *api.Call, in *kms.GenerateMacInput, n *named) (*kms.GenerateMacOutput, error) {
	if err := cmp.Or(n.authenticates("GenerateMac", in.MacAlgorithm), n.ready(c.Now), dry(in.DryRun)); err != nil {
		return nil, err
	}
	sum, err := s.mac(c.Snapshot, n.key, in.MacAlgorithm, in.Message)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateMacOutput{KeyId: n.arn, MacAlgorithm: in.MacAlgorithm, Mac: sum}, nil
}

func (s *Service) verifyingMac(ctx context.Context, c *api.Call, in *kms.VerifyMacInput) (*named, []api.Demand, error) {
	return s.using(ctx, c, use{action: "VerifyMac", key: in.KeyId, keys: condition("kms:MacAlgorithm", in.MacAlgorithm), tokens: in.GrantTokens})
}

func (s *Service) verifyMac(_ context.Context, c *api.Call, in *kms.VerifyMacInput, n *named) (*kms.VerifyMacOutput, error) {
	if err := cmp.Or(n.authenticates("VerifyMac", in.MacAlgorithm), n.ready(c.Now)); err != nil {
		return nil, err
	}
	sum, err := s.mac(c.Snapshot, n.key, in.MacAlgorithm, in.Message)
	if err != nil {
		return nil, err
	}
	valid := hmac.Equal(sum, in.Mac)
	if !valid {
		return nil, fail("KMSInvalidMacException", "")
	}
	return &kms.VerifyMacOutput{KeyId: n.arn, MacAlgorithm: in.MacAlgorithm, MacValid: &valid}, dry(in.DryRun)
}
