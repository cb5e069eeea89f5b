package kms

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
)

func (s *Service) deriving(ctx context.Context, c *api.Call, in *kms.DeriveSharedSecretInput) (*named, []api.Demand, error) {
	return s.using(ctx, c, use{
		action: "DeriveSharedSecret", key: in.KeyId, keys: condition("kms:KeyAgreementAlgorithm", in.KeyAgreementAlgorithm), tokens: in.GrantTokens,
	})
}

// deriveSharedSecret answers the raw secret: the x coordinate of the common point.
func (s *Service) deriveSharedSecret(_ context.Context, c *api.Call, in *kms.DeriveSharedSecretInput, n *named) (*kms.DeriveSharedSecretOutput, error) {
	if err := cmp.Or(
		takes(n.key, "DeriveSharedSecret", kms.KeyUsageTypeKeyAgreement, n.algorithms().agreement, in.KeyAgreementAlgorithm), n.ready(c.Now),
	); err != nil {
		return nil, err
	}
	var secret []byte
	err := s.withPrivate(c.Snapshot, n.key, func(private crypto.PrivateKey) error {
		own, ok := private.(*ecdsa.PrivateKey)
		if !ok {
			return errors.New("kms: the material of " + n.arn + " is not that of an elliptic curve key")
		}
		peer, err := peerOf(own, in.PublicKey)
		if err != nil {
			return invalid("PublicKey is not a public key of key spec %s.", n.spec)
		}
		k, err := own.ECDH()
		if err != nil {
			return err
		}
		secret, err = k.ECDH(peer)
		return err
	})
	if err := cmp.Or(err, dry(in.DryRun)); err != nil {
		clear(secret)
		return nil, err
	}
	return &kms.DeriveSharedSecretOutput{KeyId: n.arn, KeyAgreementAlgorithm: in.KeyAgreementAlgorithm, KeyOrigin: n.origin, SharedSecret: secret}, nil
}

// peerOf reads somebody's public key: a SubjectPublicKeyInfo in DER that names the curve
// of the own key and holds a point of it, which is not the one at infinity. A point of
// another curve would draw the private key out, a piece by each answer.
func peerOf(own *ecdsa.PrivateKey, der []byte) (*ecdh.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok || public.Curve != own.Curve {
		return nil, errors.New("another curve")
	}
	return public.ECDH() // checks the point
}
