package kms

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// newKey checks what kind of key is asked for.
func (s *Service) newKey(_ context.Context, c *api.Call, in *kms.CreateKeyInput) (text string, _ []api.Demand, _ error) {
	if in.KeySpec != "" && in.CustomerMasterKeySpec != "" {
		return "", nil, invalid("You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
	}
	spec := in.KeySpec
	if spec == "" {
		spec = kms.KeySpec(in.CustomerMasterKeySpec)
	}
	if spec != "" && spec != kms.KeySpecSymmetricDefault {
		return "", nil, fail("UnsupportedOperationException", "KeySpec %s is not supported.", spec)
	}
	if in.KeyUsage != "" && in.KeyUsage != kms.KeyUsageTypeEncryptDecrypt {
		return "", nil, invalid("The operation failed because the KeyUsage value of the KMS key is %s. SYMMETRIC_DEFAULT keys take ENCRYPT_DECRYPT.", in.KeyUsage)
	}
	if in.Origin != "" && in.Origin != kms.OriginTypeAwsKms {
		return "", nil, fail("UnsupportedOperationException", "Origin %s is not supported.", in.Origin)
	}
	if text = in.Policy; text == "" {
		text = defaultPolicy(c.Account)
	}
	if err := s.check(text); err != nil {
		return "", nil, err
	}
	keys := policy.Context{}
	keys.Set("kms:CallerAccount", c.Account)
	keys.Set("kms:KeySpec", string(kms.KeySpecSymmetricDefault))
	keys.Set("kms:KeyUsage", string(kms.KeyUsageTypeEncryptDecrypt))
	keys.Set("kms:KeyOrigin", string(kms.OriginTypeAwsKms))
	keys.Set("kms:MultiRegion", "false")
	keys.Set("kms:BypassPolicyLockoutSafetyCheck", boolean(in.BypassPolicyLockoutSafetyCheck))
	if err := setTags(keys, in.Tags); err != nil {
		return "", nil, err
	}
	demands := []api.Demand{{Action: "kms:CreateKey", Resource: api.Any, Keys: keys}}
	if len(in.Tags) > 0 {
		// The key has no policy yet: IAM alone says who may tag what she makes.
		made := api.Resource{ARN: s.arn(c.Account, "key/*"), Account: c.Account, Type: "AWS::KMS::Key"}
		demands = append(demands, api.Demand{Action: "kms:TagResource", Resource: made, Keys: keys})
	}
	return text, demands, nil
}

func boolean(b *bool) string {
	if b != nil && *b {
		return "true"
	}
	return "false"
}

func (s *Service) createKey(ctx context.Context, c *api.Call, in *kms.CreateKeyInput, text string) (api.Commit[kms.CreateKeyOutput], error) {
	doc, bindings, err := bind(ctx, c, text)
	if err != nil {
		return nil, err
	}
	k := s.make(c.Account, text, tagMap(in.Tags), c.Now)
	k.description, k.policy, k.bindings = in.Description, doc, bindings
	if err := s.lockout(ctx, c, k.named(), in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	wrapped, err := s.wrapNew(k.arn, k.version)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.CreateKeyOutput, error) {
		if err := insertKey(tx, k, wrapped); err != nil {
			return nil, err
		}
		return &kms.CreateKeyOutput{KeyMetadata: k.metadata()}, nil
	}, nil
}

func (s *Service) describedKey(ctx context.Context, c *api.Call, in *kms.DescribeKeyInput) (*named, []api.Demand, error) {
	if err := noTokens(in.GrantTokens); err != nil {
		return nil, nil, err
	}
	return s.on(ctx, c, "DescribeKey", in.KeyId, anyOrAlias)
}

func (s *Service) describeKey(_ context.Context, _ *api.Call, _ *kms.DescribeKeyInput, n *named) (*kms.DescribeKeyOutput, error) {
	return &kms.DescribeKeyOutput{KeyMetadata: n.metadata()}, nil
}

// metadata is what DescribeKey answers of a key.
func (k *key) metadata() *kms.KeyMetadata {
	no := false
	enabled := k.enabled
	m := &kms.KeyMetadata{
		AWSAccountId:          k.account,
		Arn:                   k.arn,
		KeyId:                 k.id,
		CreationDate:          k.created,
		CurrentKeyMaterialId:  k.materialName(k.version),
		Description:           k.description,
		Enabled:               &enabled,
		KeyState:              kms.KeyStateDisabled,
		KeyManager:            kms.KeyManagerTypeCustomer,
		KeySpec:               kms.KeySpecSymmetricDefault,
		CustomerMasterKeySpec: kms.CustomerMasterKeySpecSymmetricDefault,
		KeyUsage:              kms.KeyUsageTypeEncryptDecrypt,
		EncryptionAlgorithms:  []kms.EncryptionAlgorithmSpec{symmetric},
		Origin:                kms.OriginTypeAwsKms,
		MultiRegion:           &no,
	}
	if k.enabled {
		m.KeyState = kms.KeyStateEnabled
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

func (s *Service) enableKey(_ context.Context, _ *api.Call, _ *kms.EnableKeyInput, n *named) (api.Commit[kms.EnableKeyOutput], error) {
	return func(tx *store.Tx) (*kms.EnableKeyOutput, error) {
		return &kms.EnableKeyOutput{}, n.set(tx, "enabled", true)
	}, nil
}

func (s *Service) disabledKey(ctx context.Context, c *api.Call, in *kms.DisableKeyInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "DisableKey", in.KeyId, ownKey)
}

func (s *Service) disableKey(_ context.Context, _ *api.Call, _ *kms.DisableKeyInput, n *named) (api.Commit[kms.DisableKeyOutput], error) {
	return func(tx *store.Tx) (*kms.DisableKeyOutput, error) {
		return &kms.DisableKeyOutput{}, n.set(tx, "enabled", false)
	}, nil
}

// set changes one column of the key's row.
func (k *key) set(tx *store.Tx, column string, value any) error {
	if _, err := tx.Exec("UPDATE kms_keys SET "+column+" = ? WHERE id = ?", value, k.id); err != nil {
		return err
	}
	return tx.Touch(versionKey(k.id))
}
