package kms

import (
	"cmp"
	"context"
	"maps"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
)

// A reencryption is a ciphertext and the key that its plaintext goes to.
type reencryption struct {
	source      *decryption
	destination *named
	under       encryption
}

func (s *Service) reencrypting(ctx context.Context, c *api.Call, in *kms.ReEncryptInput) (*reencryption, []api.Demand, error) {
	// Before the source: what is wrong with the destination tells nothing of that.
	destination, err := s.find(ctx, c, in.DestinationKeyId, anyOrAlias)
	if err != nil {
		return nil, nil, err
	}
	source, err := s.decryptionOf(ctx, c, in.SourceKeyId, in.CiphertextBlob,
		encryption{"ReEncrypt", in.SourceEncryptionAlgorithm, in.SourceEncryptionContext}, in.GrantTokens)
	if err != nil {
		return nil, nil, err
	}
	same := "false"
	if source.named.key != nil && destination.key != nil && source.named.id == destination.id {
		same = "true"
	}
	onSame := condition("kms:ReEncryptOnSameKey", same)
	from, err := s.wantsOpen(ctx, c, source, "ReEncryptFrom", onSame)
	if err != nil {
		return nil, nil, err
	}
	r := &reencryption{source, destination, encryption{"ReEncrypt", cmp.Or(in.DestinationEncryptionAlgorithm, symmetric), in.DestinationEncryptionContext}}
	keys := encrypts(r.under.algorithm)
	maps.Copy(keys, onSame)
	to, err := s.wants(c, destination, use{action: "ReEncryptTo", keys: keys, context: r.under.context, tokens: in.GrantTokens})
	return r, []api.Demand{from, to}, err
}

func (s *Service) reEncrypt(_ context.Context, c *api.Call, in *kms.ReEncryptInput, r *reencryption) (*kms.ReEncryptOutput, error) {
	to := r.destination.key
	if err := cmp.Or(r.under.fits(to), to.ready(c.Now)); err != nil {
		return nil, err
	}
	plaintext, err := s.open(c, r.source)
	defer clear(plaintext)
	if err := cmp.Or(err, r.under.holds(to, len(plaintext)), dry(in.DryRun)); err != nil {
		return nil, err
	}
	blob, err := s.seal(c.Snapshot, to, r.under, plaintext)
	if err != nil {
		return nil, err
	}
	out := &kms.ReEncryptOutput{
		CiphertextBlob: blob,
		KeyId:          to.arn, DestinationEncryptionAlgorithm: r.under.algorithm,
		SourceKeyId: r.source.named.arn, SourceEncryptionAlgorithm: r.source.algorithm, SourceKeyMaterialId: r.source.materialID(),
	}
	if r.under.algorithm == symmetric {
		out.DestinationKeyMaterialId = to.materialName(to.version)
	}
	return out, nil
}
