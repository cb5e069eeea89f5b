package authz

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Trusts says whether a role lets a service of Bawn ("sagemaker.amazonaws.com")
// assume it for a resource: its trust policy and what controls its account's
// resources must allow. A user, and a role without a trust policy, trust nobody.
func (a *Authorizer) Trusts(ctx context.Context, sn *store.Snapshot, e *Entity, service, sourceARN string, now time.Time) (bool, error) {
	return a.TrustsWith(ctx, sn, e, service, sourceARN, now, nil)
}

// TrustsWith is Trusts for a session that carries more: each further action, as
// sts:SetContext, must be allowed too, all under the same condition keys.
func (a *Authorizer) TrustsWith(
	ctx context.Context, sn *store.Snapshot, e *Entity, service, sourceARN string, now time.Time, keys policy.Context, also ...string,
) (bool, error) {
	if e == nil || e.Kind != Role || e.Trust == nil {
		return false, nil
	}
	s, err := a.Subject(ctx, sn, Claim{Kind: Service, Account: e.Account, ID: service, Issued: now, SourceARN: sourceARN, SourceAccount: e.Account})
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, action := range append([]string{"sts:AssumeRole"}, also...) {
		d, err := a.Decide(ctx, sn, &Question{
			Subject: s,
			Action:  action,
			Target:  Target{ARN: e.ARN, Account: e.Account, Policy: e.Trust, RootOfTrust: true, Tags: e.Tags},
			Keys:    keys,
			Now:     now,
		})
		if err != nil || !d.Allowed {
			return false, err
		}
	}
	return true, nil
}
