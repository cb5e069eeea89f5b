package kms

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/kms"
)

// tokenLife is how long import parameters are good for.
const tokenLife = 24 * time.Hour

const sealingTokens seal.Purpose = "kms import token"

// wrappings are the algorithms under which material is imported. Those with SHA-1
// and PKCS #1 v1.5 are refused: they are not approved.
var wrappings = []kms.AlgorithmSpec{"", kms.AlgorithmSpecRsaesOaepSha256, kms.AlgorithmSpecRsaAesKeyWrapSha256}

// A token is an import token in clear: it holds all that an import needs, so that
// the wrapping key is kept nowhere. See docs/formats/kms.md.
type token struct {
	algorithm kms.AlgorithmSpec
	validTo   time.Time
	private   *rsa.PrivateKey
}

const tokenVersion = 0x01

// sealToken makes a token of a wrapping key's PKCS #8 form.
func (s *Service) sealToken(arn string, algorithm kms.AlgorithmSpec, validTo time.Time, private []byte) ([]byte, error) {
	text := make([]byte, 0, 10+len(private))
	text = append(text, tokenVersion, byte(slices.Index(wrappings, algorithm)))
	text = binary.BigEndian.AppendUint64(text, uint64(validTo.Unix())) //nolint:gosec // after 1970
	text = append(text, private...)
	defer clear(text)
	return sealingTokens.Seal(s.Key, text, []byte(arn))
}

// openToken opens a token for the key that it was made for, while it is good.
func (s *Service) openToken(arn string, sealed []byte, now time.Time) (*token, error) {
	wrong := fail("InvalidImportTokenException", "The import token is invalid or belongs to another key.")
	text, err := sealingTokens.Open(s.Key, sealed, []byte(arn))
	if err != nil {
		return nil, wrong
	}
	defer clear(text)
	if len(text) < 10 || text[0] != tokenVersion || text[1] == 0 || int(text[1]) >= len(wrappings) {
		return nil, wrong
	}
	t := &token{algorithm: wrappings[text[1]], validTo: time.Unix(int64(binary.BigEndian.Uint64(text[2:])), 0)} //nolint:gosec // as it was written
	if !now.Before(t.validTo) {
		return nil, fail("ExpiredImportTokenException", "The import token has expired.")
	}
	private, err := x509.ParsePKCS8PrivateKey(text[10:])
	if err != nil {
		return nil, fmt.Errorf("kms: an import token's wrapping key: %w", err)
	}
	t.private, _ = private.(*rsa.PrivateKey)
	if t.private == nil {
		return nil, wrong
	}
	return t, nil
}

// unwrap opens material that was wrapped for the token. The caller clears it.
func (t *token) unwrap(wrapped []byte) ([]byte, error) {
	wrong := fail("InvalidCiphertextException", "The encrypted key material does not open with the wrapping key of the import token.")
	rest := []byte(nil)
	if t.algorithm == kms.AlgorithmSpecRsaAesKeyWrapSha256 {
		if len(wrapped) < t.private.Size() {
			return nil, wrong
		}
		wrapped, rest = wrapped[:t.private.Size()], wrapped[t.private.Size():]
	}
	out, err := rsa.DecryptOAEP(sha256.New(), nil, t.private, wrapped, nil)
	if err != nil {
		return nil, wrong
	}
	if t.algorithm != kms.AlgorithmSpecRsaAesKeyWrapSha256 {
		return out, nil
	}
	defer clear(out)
	if len(out) != 32 {
		return nil, wrong
	}
	if out, err := unwrapPadded(out, rest); err == nil {
		return out, nil
	}
	return nil, wrong
}

// external refuses keys whose material is not imported.
func (k *key) external() error {
	if k.origin != kms.OriginTypeExternal {
		return k.wrongOrigin()
	}
	return nil
}

func (s *Service) preparedKey(ctx context.Context, c *api.Call, in *kms.GetParametersForImportInput) (*named, []api.Demand, error) {
	n, demands, err := s.on(ctx, c, "GetParametersForImport", in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys.Set("kms:WrappingAlgorithm", string(in.WrappingAlgorithm))
	demands[0].Keys.Set("kms:WrappingKeySpec", string(in.WrappingKeySpec))
	return n, demands, nil
}

func (s *Service) getParametersForImport(_ context.Context, c *api.Call, in *kms.GetParametersForImportInput, n *named) (*kms.GetParametersForImportOutput, error) {
	if err := cmp.Or(n.external(), n.undeleted()); err != nil {
		return nil, err
	}
	bits := moduli[kms.KeySpec(in.WrappingKeySpec)]
	if bits == 0 {
		return nil, fail("UnsupportedOperationException", "WrappingKeySpec %s is not supported.", in.WrappingKeySpec)
	}
	if !slices.Contains(wrappings, in.WrappingAlgorithm) {
		return nil, fail("UnsupportedOperationException", "WrappingAlgorithm %s is not supported.", in.WrappingAlgorithm)
	}
	if in.WrappingAlgorithm == kms.AlgorithmSpecRsaesOaepSha256 && !fits(n.spec, bits) {
		return nil, fail("UnsupportedOperationException", "WrappingAlgorithm %s with WrappingKeySpec %s cannot wrap material for key spec %s.",
			in.WrappingAlgorithm, in.WrappingKeySpec, n.spec)
	}
	c.Release() // what follows takes long
	private, public, err := s.generateInTurn(kms.KeySpec(in.WrappingKeySpec))
	if err != nil {
		return nil, err
	}
	defer clear(private)
	validTo := c.Now.Add(tokenLife).Truncate(time.Second)
	sealed, err := s.sealToken(n.arn, in.WrappingAlgorithm, validTo, private)
	if err != nil {
		return nil, err
	}
	return &kms.GetParametersForImportOutput{KeyId: n.arn, ImportToken: sealed, PublicKey: public, ParametersValidTo: validTo}, nil
}

// fits says whether an RSA key of so many bits can encrypt a spec's material.
func fits(spec kms.KeySpec, bits int) bool {
	switch spec {
	case kms.KeySpecRsa2048, kms.KeySpecRsa3072, kms.KeySpecRsa4096:
		return false
	case kms.KeySpecEccNistP521:
		return bits > 2048
	}
	return true
}
