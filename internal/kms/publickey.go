package kms

import (
	"context"
	"crypto/x509"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
)

func (s *Service) publishing(ctx context.Context, c *api.Call, in *kms.GetPublicKeyInput) (*named, []api.Demand, error) {
	return s.using(ctx, c, use{action: "GetPublicKey", key: in.KeyId, tokens: in.GrantTokens})
}

// getPublicKey answers the public half of a key that has one, and can be used.
func (s *Service) getPublicKey(_ context.Context, c *api.Call, _ *kms.GetPublicKeyInput, n *named) (*kms.GetPublicKeyOutput, error) {
	if keyBytes(n.spec) > 0 {
		return nil, fail("UnsupportedOperationException", "%s KeySpec is %s which is not valid for GetPublicKey.", n.arn, n.spec)
	}
	if err := n.ready(c.Now); err != nil {
		return nil, err
	}
	public, err := s.publicKey(c.Snapshot, n.key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	can := n.algorithms()
	return &kms.GetPublicKeyOutput{
		KeyId: n.arn, KeySpec: n.spec, CustomerMasterKeySpec: kms.CustomerMasterKeySpec(n.spec), KeyUsage: n.usage, PublicKey: der,
		EncryptionAlgorithms: can.encryption, SigningAlgorithms: can.signing, KeyAgreementAlgorithms: can.agreement,
	}, nil
}
