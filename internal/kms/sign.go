package kms

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
)

// A scheme is how an algorithm signs: what, and with which options.
type scheme struct {
	hash    crypto.Hash       // of the message
	whole   bool              // it hashes the message by itself, and takes no digest
	digest  bool              // it takes nothing but a digest
	options crypto.SignerOpts // of crypto.Signer
}

func pkcs1(h crypto.Hash) scheme { return scheme{hash: h, options: h} }

// pss has a salt as long as the hash, when it signs and when it verifies.
func pss(h crypto.Hash) scheme {
	return scheme{hash: h, options: &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}}
}

var schemes = map[kms.SigningAlgorithmSpec]scheme{
	kms.SigningAlgorithmSpecRsassaPkcs1V15Sha256: pkcs1(crypto.SHA256),
	kms.SigningAlgorithmSpecRsassaPkcs1V15Sha384: pkcs1(crypto.SHA384),
	kms.SigningAlgorithmSpecRsassaPkcs1V15Sha512: pkcs1(crypto.SHA512),
	kms.SigningAlgorithmSpecRsassaPssSha256:      pss(crypto.SHA256),
	kms.SigningAlgorithmSpecRsassaPssSha384:      pss(crypto.SHA384),
	kms.SigningAlgorithmSpecRsassaPssSha512:      pss(crypto.SHA512),
	kms.SigningAlgorithmSpecEcdsaSha256:          {hash: crypto.SHA256, options: crypto.SHA256},
	kms.SigningAlgorithmSpecEcdsaSha384:          {hash: crypto.SHA384, options: crypto.SHA384},
	kms.SigningAlgorithmSpecEcdsaSha512:          {hash: crypto.SHA512, options: crypto.SHA512},
	kms.SigningAlgorithmSpecEd25519Sha512:        {whole: true, options: &ed25519.Options{}},
	kms.SigningAlgorithmSpecEd25519PhSha512:      {hash: crypto.SHA512, digest: true, options: &ed25519.Options{Hash: crypto.SHA512}},
}

// A signing is what Sign and Verify have in common.
type signing struct {
	*named
	action    string
	algorithm kms.SigningAlgorithmSpec
	as        kms.MessageType
}

func (s *Service) signingWith(ctx context.Context, c *api.Call, g signing, key string, tokens []string) (*signing, []api.Demand, error) {
	g.as = cmp.Or(g.as, kms.MessageTypeRaw)
	keys := policy.Context{}
	keys.Set("kms:SigningAlgorithm", string(g.algorithm))
	keys.Set("kms:MessageType", string(g.as))
	n, demands, err := s.using(ctx, c, use{action: g.action, key: key, keys: keys, tokens: tokens})
	g.named = n
	return &g, demands, err
}

// input is what the scheme signs of a message, once key and message fit it.
func (g *signing) input(c *api.Call, message []byte) ([]byte, error) {
	if err := cmp.Or(takes(g.key, g.action, kms.KeyUsageTypeSignVerify, g.algorithms().signing, g.algorithm), g.ready(c.Now)); err != nil {
		return nil, err
	}
	by := schemes[g.algorithm]
	switch {
	case g.as == kms.MessageTypeRaw && by.whole:
		return message, nil
	case g.as == kms.MessageTypeRaw && !by.digest:
		h := by.hash.New()
		h.Write(message)
		return h.Sum(nil), nil
	case g.as == kms.MessageTypeDigest && !by.whole:
		if len(message) != by.hash.Size() {
			return nil, invalid("Digest is invalid length for algorithm %s.", g.algorithm)
		}
		return message, nil
	}
	return nil, invalid("MessageType %s is incompatible with algorithm %s.", g.as, g.algorithm)
}

func (s *Service) signing(ctx context.Context, c *api.Call, in *kms.SignInput) (*signing, []api.Demand, error) {
	return s.signingWith(ctx, c, signing{action: "Sign", algorithm: in.SigningAlgorithm, as: in.MessageType}, in.KeyId, in.GrantTokens)
}

func (s *Service) sign(_ context.Context, c *api.Call, in *kms.SignInput, g *signing) (*kms.SignOutput, error) {
	input, err := g.input(c, in.Message)
	if err := cmp.Or(err, dry(in.DryRun)); err != nil {
		return nil, err
	}
	out := &kms.SignOutput{KeyId: g.arn, SigningAlgorithm: g.algorithm}
	err = s.withPrivate(c.Snapshot, g.key, func(private crypto.PrivateKey) (err error) {
		signer, ok := private.(crypto.Signer)
		if !ok {
			return errors.New("kms: the material of " + g.arn + " does not sign")
		}
		out.Signature, err = signer.Sign(rand.Reader, input, schemes[g.algorithm].options)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) verifying(ctx context.Context, c *api.Call, in *kms.VerifyInput) (*signing, []api.Demand, error) {
	return s.signingWith(ctx, c, signing{action: "Verify", algorithm: in.SigningAlgorithm, as: in.MessageType}, in.KeyId, in.GrantTokens)
}

func (s *Service) verify(_ context.Context, c *api.Call, in *kms.VerifyInput, g *signing) (*kms.VerifyOutput, error) {
	input, err := g.input(c, in.Message)
	if err != nil {
		return nil, err
	}
	public, err := s.publicKey(c.Snapshot, g.key)
	if err != nil {
		return nil, err
	}
	valid := schemes[g.algorithm].verify(public, input, in.Signature)
	if !valid {
		return nil, fail("KMSInvalidSignatureException", "")
	}
	return &kms.VerifyOutput{KeyId: g.arn, SigningAlgorithm: g.algorithm, SignatureValid: &valid}, dry(in.DryRun)
}

// verify says whether a signature is one of input by the holder of public. There is one
// form of each: ECDSA's is strict DER, RSA's is as long as the modulus.
func (a scheme) verify(public crypto.PublicKey, input, signature []byte) bool {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, input, signature)
	case ed25519.PublicKey:
		return ed25519.VerifyWithOptions(k, input, signature, a.options.(*ed25519.Options)) == nil
	case *rsa.PublicKey:
		if opts, ok := a.options.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(k, a.hash, input, signature, opts) == nil
		}
		return rsa.VerifyPKCS1v15(k, a.hash, input, signature) == nil
	}
	return false
}
