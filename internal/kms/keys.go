package kms

import (
	"context"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// newKey makes the key that is asked for, as far as it can be judged: without
// material, and with a policy that nobody has bound yet.
func (s *Service) newKey(_ context.Context, c *api.Call, in *kms.CreateKeyInput) (*key, []api.Demand, error) {
	spec, usage, origin, err := kindOf(in)
	if err != nil {
		return nil, nil, err
	}
	if err := storable("description", in.Description); err != nil {
		return nil, nil, err
	}
	text := in.Policy
	if text == "" {
		text = defaultPolicy(c.Account)
	}
	if err := s.check(text); err != nil {
		return nil, nil, err
	}
	k := s.make(c.Account, text, tagMap(in.Tags), c.Now)
	k.description, k.spec, k.usage, k.origin = in.Description, spec, usage, origin
	keys := policy.Context{}
	keys.Set("kms:CallerAccount", c.Account)
	k.kind(keys)
	keys.Set("kms:BypassPolicyLockoutSafetyCheck", boolean(in.BypassPolicyLockoutSafetyCheck))
	if err := setTags(keys, in.Tags); err != nil {
		return nil, nil, err
	}
	demands := []api.Demand{{Action: "kms:CreateKey", Resource: api.Any, Keys: keys}}
	if len(in.Tags) > 0 {
		// The key has no policy yet: IAM alone says who may tag what she makes.
		made := api.Resource{ARN: s.arn(c.Account, "key/*"), Account: c.Account, Type: "AWS::KMS::Key"}
		demands = append(demands, api.Demand{Action: "kms:TagResource", Resource: made, Keys: keys})
	}
	return k, demands, nil
}

func boolean(b *bool) string {
	if b != nil && *b {
		return "true"
	}
	return "false"
}

func (s *Service) createKey(ctx context.Context, c *api.Call, in *kms.CreateKeyInput, k *key) (api.Commit[kms.CreateKeyOutput], error) {
	var err error
	if k.policy, k.bindings, err = bind(ctx, c, k.text); err != nil {
		return nil, err
	}
	if err := s.lockout(ctx, c, k.named(), in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	wrapped, err := s.furnish(k)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.CreateKeyOutput, error) {
		if err := insertKey(tx, k, wrapped); err != nil {
			return nil, err
		}
		return &kms.CreateKeyOutput{KeyMetadata: k.metadata(c.Now)}, nil
	}, nil
}

func (s *Service) describedKey(ctx context.Context, c *api.Call, in *kms.DescribeKeyInput) (*named, []api.Demand, error) {
	return s.using(ctx, c, use{action: "DescribeKey", key: in.KeyId, tokens: in.GrantTokens})
}

func (s *Service) describeKey(_ context.Context, c *api.Call, _ *kms.DescribeKeyInput, n *named) (*kms.DescribeKeyOutput, error) {
	return &kms.DescribeKeyOutput{KeyMetadata: n.metadata(c.Now)}, nil
}

// metadata is what DescribeKey answers of a key.
func (k *key) metadata(now time.Time) *kms.KeyMetadata {
	state := k.state(now)
	enabled := state == kms.KeyStateEnabled
	can := k.algorithms()
	m := &kms.KeyMetadata{
		AWSAccountId:           k.account,
		Arn:                    k.arn,
		KeyId:                  k.id,
		CreationDate:           k.created,
		DeletionDate:           k.deletion,
		Description:            k.description,
		Enabled:                &enabled,
		KeyState:               state,
		KeyManager:             kms.KeyManagerTypeCustomer,
		KeySpec:                k.spec,
		CustomerMasterKeySpec:  kms.CustomerMasterKeySpec(k.spec),
		KeyUsage:               k.usage,
		EncryptionAlgorithms:   can.encryption,
		SigningAlgorithms:      can.signing,
		MacAlgorithms:          can.mac,
		KeyAgreementAlgorithms: can.agreement,
		Origin:                 k.origin,
		MultiRegion:            new(bool),
	}
	if k.spec == kms.KeySpecSymmetricDefault && k.version > 0 {
		m.CurrentKeyMaterialId = k.materialName(k.version)
	}
	if k.origin == kms.OriginTypeExternal && k.version > 0 && !k.importing {
		m.ExpirationModel = kms.ExpirationModelTypeKeyMaterialDoesNotExpire
		if !k.expires.IsZero() {
			m.ExpirationModel, m.ValidTo = kms.ExpirationModelTypeKeyMaterialExpires, k.expires
		}
	}
	if k.managed {
		m.KeyManager = kms.KeyManagerTypeAws
	}
	return m
}

func (s *Service) listingKeys(context.Context, *api.Call, *kms.ListKeysInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("kms:ListKeys", api.Any), nil
}

func (s *Service) listKeys(_ context.Context, c *api.Call, in *kms.ListKeysInput, _ struct{}) (*kms.ListKeysOutput, error) {
	p, err := pageOf(in.Limit, in.Marker, 100, 1000)
	if err != nil {
		return nil, err
	}
	ids, err := column(c.Snapshot, "SELECT id FROM kms_keys WHERE account = ? AND id > ? ORDER BY id LIMIT ?", c.Account, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	ids, next, more := cut(p, ids, func(id string) string { return id })
	out := &kms.ListKeysOutput{NextMarker: next, Truncated: &more}
	for _, id := range ids {
		out.Keys = append(out.Keys, kms.KeyListEntry{KeyId: id, KeyArn: s.arn(c.Account, "key/"+id)})
	}
	return out, nil
}

func (s *Service) enabledKey(ctx context.Context, c *api.Call, in *kms.EnableKeyInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "EnableKey", in.KeyId, ownKey)
}

func (s *Service) enableKey(_ context.Context, c *api.Call, _ *kms.EnableKeyInput, n *named) (api.Commit[kms.EnableKeyOutput], error) {
	if err := n.changeable(c.Now); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.EnableKeyOutput, error) {
		return &kms.EnableKeyOutput{}, n.set(tx, "enabled", true)
	}, nil
}

func (s *Service) disabledKey(ctx context.Context, c *api.Call, in *kms.DisableKeyInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "DisableKey", in.KeyId, ownKey)
}

func (s *Service) disableKey(_ context.Context, c *api.Call, _ *kms.DisableKeyInput, n *named) (api.Commit[kms.DisableKeyOutput], error) {
	if err := n.changeable(c.Now); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.DisableKeyOutput, error) {
		tx.AfterCommit(func() { s.forget(n.id) })
		return &kms.DisableKeyOutput{}, n.set(tx, "enabled", false)
	}, nil
}

// changeable refuses what AWS refuses of a key that is to be destroyed or has no
// material.
func (k *key) changeable(now time.Time) error {
	switch k.state(now) {
	case kms.KeyStatePendingDeletion:
		return fail("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	case kms.KeyStatePendingImport:
		return fail("KMSInvalidStateException", "%s is pending import.", k.arn)
	}
	return nil
}

func (s *Service) describedAnew(ctx context.Context, c *api.Call, in *kms.UpdateKeyDescriptionInput) (*named, []api.Demand, error) {
	if err := storable("description", in.Description); err != nil {
		return nil, nil, err
	}
	return s.on(ctx, c, "UpdateKeyDescription", in.KeyId, ownKey)
}

func (s *Service) updateKeyDescription(_ context.Context, _ *api.Call, in *kms.UpdateKeyDescriptionInput, n *named) (api.Commit[kms.UpdateKeyDescriptionOutput], error) {
	if err := n.undeleted(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.UpdateKeyDescriptionOutput, error) {
		return &kms.UpdateKeyDescriptionOutput{}, n.set(tx, "description", in.Description)
	}, nil
}

// set changes one column of the key's row.
func (k *key) set(tx *store.Tx, column string, value any) error {
	if _, err := tx.Exec("UPDATE kms_keys SET "+column+" = ? WHERE id = ?", value, k.id); err != nil {
		return err
	}
	return tx.Touch(versionKey(k.id))
}
