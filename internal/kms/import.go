package kms

import (
	"cmp"
	"context"
	"crypto/hmac"
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// longestValidity is how many days imported material lasts at most if it expires.
const longestValidity = 365

// maxImported is how many materials a key can have had, with those that never came to
// use: each change of one reads the rows of all, while others wait to write.
const maxImported = 100

func (s *Service) importedKey(ctx context.Context, c *api.Call, in *kms.ImportKeyMaterialInput) (*named, []api.Demand, error) {
	n, demands, err := s.on(ctx, c, "ImportKeyMaterial", in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys.Set("kms:ExpirationModel", string(expirationModel(in)))
	if !in.ValidTo.IsZero() {
		demands[0].Keys.Set("kms:ValidTo", in.ValidTo.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	return n, demands, nil
}

func expirationModel(in *kms.ImportKeyMaterialInput) kms.ExpirationModelType {
	return cmp.Or(in.ExpirationModel, kms.ExpirationModelTypeKeyMaterialExpires)
}

// validity is when the imported material expires; the zero time: never.
func validity(in *kms.ImportKeyMaterialInput, now time.Time) (time.Time, error) {
	if expirationModel(in) == kms.ExpirationModelTypeKeyMaterialDoesNotExpire {
		if !in.ValidTo.IsZero() {
			return time.Time{}, invalid("ValidTo must not be specified when ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE.")
		}
		return time.Time{}, nil
	}
	validTo := in.ValidTo.Truncate(time.Second)
	switch {
	case in.ValidTo.IsZero():
		return time.Time{}, invalid("ValidTo must be specified when ExpirationModel is KEY_MATERIAL_EXPIRES.")
	case !validTo.After(now):
		return time.Time{}, invalid("ValidTo must be in the future.")
	case validTo.After(now.AddDate(0, 0, longestValidity)):
		return time.Time{}, invalid("ValidTo must be at most %d days from now.", longestValidity)
	}
	return validTo, nil
}

func (s *Service) importKeyMaterial(_ context.Context, c *api.Call, in *kms.ImportKeyMaterialInput, n *named) (api.Commit[kms.ImportKeyMaterialOutput], error) {
	if err := cmp.Or(n.external(), n.undeleted(), n.suits(in)); err != nil {
		return nil, err
	}
	expires, err := validity(in, c.Now)
	if err != nil {
		return nil, err
	}
	t, err := s.openToken(n.arn, in.ImportToken, c.Now)
	if err != nil {
		return nil, err
	}
	defer wipe(t.private)
	opened, err := t.unwrap(in.EncryptedKeyMaterial)
	if err != nil {
		return nil, err
	}
	defer clear(opened)
	material, err := judge(n.spec, opened)
	if err != nil {
		return nil, err
	}
	defer clear(material)
	all, err := generations(c.Snapshot, n.id)
	if err != nil {
		return nil, err
	}
	g, err := n.place(in, all, s.fingerprint(n.arn, material))
	if err != nil {
		return nil, err
	}
	g.expires = expires
	g.description = cmp.Or(in.KeyMaterialDescription, g.description)
	if g.created.IsZero() {
		g.created = c.Now
	}
	wrapped, err := s.wrap(n.key, g.version, material)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.ImportKeyMaterialOutput, error) {
		if err := replaceGeneration(tx, n.id, g, wrapped); err != nil {
			return nil, err
		}
		if n.version == 0 {
			if _, err := tx.Exec("UPDATE kms_keys SET material = ? WHERE id = ?", g.version, n.id); err != nil {
				return nil, err
			}
		}
		out := &kms.ImportKeyMaterialOutput{KeyId: n.arn}
		if n.spec == kms.KeySpecSymmetricDefault {
			out.KeyMaterialId = n.materialName(g.version)
		}
		return out, restate(tx, n.id)
	}, nil
}

// suits refuses what can only be said of material that can be rotated.
func (k *key) suits(in *kms.ImportKeyMaterialInput) error {
	if k.spec != kms.KeySpecSymmetricDefault && (in.ImportType != "" || in.KeyMaterialDescription != "" || in.KeyMaterialId != "") {
		return invalid("ImportType, KeyMaterialDescription and KeyMaterialId can only be specified for symmetric encryption keys.")
	}
	if in.ImportType == kms.ImportTypeNewKeyMaterial && in.KeyMaterialId != "" {
		return invalid("KeyMaterialId must not be specified when ImportType is NEW_KEY_MATERIAL.")
	}
	return nil
}

// place says which generation of the key the material is: one that it has, or a new
// one, which is the key's first or waits for a rotation. Material that was the key's
// is never exchanged.
func (k *key) place(in *kms.ImportKeyMaterialInput, all []*generation, fingerprint []byte) (*generation, error) {
	own := slices.DeleteFunc(slices.Clone(all), func(g *generation) bool { return g.discarded() })
	same := func(g *generation) bool { return hmac.Equal(g.fingerprint, fingerprint) }
	known := slices.IndexFunc(own, same)
	if in.ImportType == kms.ImportTypeExistingKeyMaterial || in.ImportType == "" && len(own) > 0 {
		if known < 0 || in.KeyMaterialId != "" && k.materialName(own[known].version) != in.KeyMaterialId {
			return nil, fail("IncorrectKeyMaterialException", "The key material is not the one that was previously imported into %s.", k.arn)
		}
		g := *own[known]
		return &g, nil
	}
	if known >= 0 {
		return nil, fail("IncorrectKeyMaterialException", "The key material was already imported into %s.", k.arn)
	}
	if in.KeyMaterialId != "" {
		return nil, fail("IncorrectKeyMaterialException", "No key material was imported into %s.", k.arn)
	}
	if slices.ContainsFunc(own, func(g *generation) bool { return g.pending }) {
		return nil, fail("KMSInvalidStateException", "%s already has key material that is pending rotation.", k.arn)
	}
	g := &generation{version: 1, fingerprint: fingerprint, pending: len(own) > 0}
	// What was discarded keeps its name when it comes back.
	if i := slices.IndexFunc(all, same); i >= 0 {
		g.version, g.created, g.description = all[i].version, all[i].created, all[i].description
	} else if len(all) >= maxImported {
		return nil, fail("LimitExceededException", "%s has had %d key materials, which is the limit.", k.arn, maxImported)
	} else if len(all) > 0 {
		g.version = all[len(all)-1].version + 1
	}
	return g, nil
}

func (s *Service) emptiedKey(ctx context.Context, c *api.Call, in *kms.DeleteImportedKeyMaterialInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "DeleteImportedKeyMaterial", in.KeyId, ownKey)
}

func (s *Service) deleteImportedKeyMaterial(_ context.Context, c *api.Call, in *kms.DeleteImportedKeyMaterialInput, n *named) (api.Commit[kms.DeleteImportedKeyMaterialOutput], error) {
	if err := n.external(); err != nil {
		return nil, err
	}
	symmetric := n.spec == kms.KeySpecSymmetricDefault
	if in.KeyMaterialId != "" && !symmetric {
		return nil, invalid("KeyMaterialId can only be specified for symmetric encryption keys.")
	}
	all, err := generations(c.Snapshot, n.id)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(g *generation) bool {
		if in.KeyMaterialId == "" {
			return g.version == n.version
		}
		return !g.discarded() && n.materialName(g.version) == in.KeyMaterialId
	})
	if i < 0 && in.KeyMaterialId != "" {
		return nil, fail("NotFoundException", "%s has no key material '%s'", n.arn, in.KeyMaterialId)
	}
	return func(tx *store.Tx) (*kms.DeleteImportedKeyMaterialOutput, error) {
		out := &kms.DeleteImportedKeyMaterialOutput{KeyId: n.arn}
		if i < 0 {
			return out, nil // there is nothing yet
		}
		if symmetric {
			out.KeyMaterialId = n.materialName(all[i].version)
		}
		if err := destroy(tx, n.id, all[i].version); err != nil {
			return nil, err
		}
		tx.AfterCommit(func() { s.forget(n.id) })
		return out, restate(tx, n.id)
	}, nil
}
