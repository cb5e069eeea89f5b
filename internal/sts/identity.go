package sts

import (
	"context"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/sts"
)

func (s *Service) caller(context.Context, *api.Call, *shape.GetCallerIdentityInput) (struct{}, []api.Demand, error) {
	return struct{}{}, nil, nil
}

func (s *Service) getCallerIdentity(_ context.Context, c *api.Call, _ *shape.GetCallerIdentityInput, _ struct{}) (*shape.GetCallerIdentityOutput, error) {
	who := c.Caller()
	return &shape.GetCallerIdentityOutput{Account: c.Account, Arn: who.ARN, UserId: who.ID}, nil
}

func (s *Service) namedKey(context.Context, *api.Call, *shape.GetAccessKeyInfoInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("sts:GetAccessKeyInfo", api.Any), nil
}

// getAccessKeyInfo asks iam for the account of a user's key. A session leaves no
// trace but its key id, which holds the account: whether there was such a session,
// or there is such an account, it does not say.
func (s *Service) getAccessKeyInfo(ctx context.Context, c *api.Call, in *shape.GetAccessKeyInfoInput, _ struct{}) (*shape.GetAccessKeyInfoOutput, error) {
	account, err := "", api.ErrGone
	switch {
	case strings.HasPrefix(in.AccessKeyId, prefix):
		if account = accountOf(in.AccessKeyId); account != "" {
			err = nil
		}
	case s.cfg.Keys != nil:
		account, err = s.cfg.Keys.KeyAccount(ctx, c.Snapshot, in.AccessKeyId)
	}
	if errors.Is(err, api.ErrGone) {
		return nil, invalid("There is no access key %s.", in.AccessKeyId)
	}
	return &shape.GetAccessKeyInfoOutput{Account: account}, err
}
