package accessgrants

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/bearer"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
)

func (s *Service) putPolicy(ctx context.Context, c *api.Call, in *shape.PutAccessGrantsInstanceResourcePolicyInput, i *instance) (api.Commit[shape.PutAccessGrantsInstanceResourcePolicyOutput], error) {
	p, err := policy.Parse([]byte(in.Policy), policy.Resource)
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return nil, badPolicy(e.Error())
	}
	if err != nil {
		return nil, err
	}
	if s.Catalogue != nil {
		if found := policy.Validate(p, s.Catalogue); len(found) > 0 {
			return nil, badPolicy(found[0].Message)
		}
	}
	bindings, err := policy.Bind(in.Policy, bearer.In(ctx, c))
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return nil, badPolicy(e.Message)
	}
	if err != nil {
		return nil, err
	}
	out := &shape.PutAccessGrantsInstanceResourcePolicyOutput{Policy: in.Policy, CreatedAt: c.Now}
	return func(tx *store.Tx) (*shape.PutAccessGrantsInstanceResourcePolicyOutput, error) {
		return out, setPolicy(tx, i.account, in.Policy, bindings, c.Now.UnixMicro())
	}, nil
}

func setPolicy(tx *store.Tx, account, text string, bindings policy.Bindings, micro int64) error {
	_, err := tx.Exec(`UPDATE accessgrants_instances SET policy = ?, bindings = ?, policy_at = ? WHERE account = ?`, text, bindings.Text(), micro, account)
	return errors.Join(err, tx.Touch(versionKey(account)))
}

func (s *Service) getPolicy(ctx context.Context, c *api.Call, _ *shape.GetAccessGrantsInstanceResourcePolicyInput, i *instance) (*shape.GetAccessGrantsInstanceResourcePolicyOutput, error) {
	if i.text == "" {
		return nil, noPolicy()
	}
	shown, err := i.bindings.Shown(i.text, bearer.In(ctx, c))
	return &shape.GetAccessGrantsInstanceResourcePolicyOutput{Policy: shown, CreatedAt: i.policyAt}, err
}

func (s *Service) deletePolicy(_ context.Context, _ *api.Call, _ *shape.DeleteAccessGrantsInstanceResourcePolicyInput, i *instance) (api.Commit[shape.DeleteAccessGrantsInstanceResourcePolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteAccessGrantsInstanceResourcePolicyOutput, error) {
		return &shape.DeleteAccessGrantsInstanceResourcePolicyOutput{}, setPolicy(tx, i.account, "", nil, 0)
	}, nil
}
