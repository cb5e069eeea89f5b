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
	peer, err := n.peer(in.PublicKey)
	if err := cmp.Or(err, dry(in.DryRun)); err != nil {
		return nil, err
	}
	var secret []byte
	err = s.withPrivate(c.Snapshot, n.key, func(private crypto.PrivateKey) (err error) {
		secret, err = agree(private, peer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &kms.DeriveSharedSecretOutput{KeyId: n.arn, KeyAgreementAlgorithm: in.KeyAgreementAlgorithm, KeyOrigin: n.origin, SharedSecret: secret}, nil
}

// peer reads somebody's public key: a SubjectPublicKeyInfo in DER that names the curve
// of the key and holds a point of it, which is not the one at infinity. A point of
// another curve would draw the private key out, a piece by each answer.
func (k *key) peer(der []byte) (*ecdh.PublicKey, error) {
	own, err := k.publicKey()
	if err != nil {
		return nil, err
	}
	refusal := invalid("PublicKey is not a public key of key spec %s.", k.spec)
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, refusal
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	mine, curved := own.(*ecdsa.PublicKey)
	if !curved {
		return nil, errors.New("kms: " + k.arn + " is on no curve")
	}
	if !ok || public.Curve != mine.Curve {
		return nil, refusal
	}
	peer, err := public.ECDH() // checks the point
	if err != nil {
		return nil, refusal
	}
	return peer, nil
}

// agree computes the secret that the holders of two keys of a curve share.
func agree(private crypto.PrivateKey, peer *ecdh.PublicKey) ([]byte, error) {
	own, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("kms: the material is not that of an elliptic curve key")
	}
	k, err := own.ECDH()
	if err != nil {
		return nil, err
	}
	return k.ECDH(peer)
}
