package kms

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

func errGrantNotFound(id string) *api.Error {
	return fail("NotFoundException", "Grant %s does not exist", id)
}

func checkGrantID(id string) error {
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return fail("InvalidGrantIdException", "The grant ID is not valid.")
	}
	return nil
}

// grantOf finds a grant of a key; where there is none, the key's resource says so.
func grantOf(sn *store.Snapshot, n *named, id string) (*grant, error) {
	if err := checkGrantID(id); err != nil || n.key == nil {
		return nil, err
	}
	g, err := grantByID(sn, id)
	if err != nil {
		return nil, err
	}
	if g == nil || g.key != n.id {
		n.resource.Missing = errGrantNotFound(id)
		return nil, nil
	}
	return g, nil
}

func (s *Service) revoked(ctx context.Context, c *api.Call, in *kms.RevokeGrantInput) (*grant, []api.Demand, error) {
	n, err := s.find(ctx, c, in.KeyId, anyKey)
	if err != nil {
		return nil, nil, err
	}
	g, err := grantOf(c.Snapshot, n, in.GrantId)
	if err != nil {
		return nil, nil, err
	}
	demand := s.demand(c, "RevokeGrant", n)
	s.grantConditions(c, demand.Keys)
	return g, []api.Demand{demand}, nil
}

func (s *Service) revokeGrant(_ context.Context, _ *api.Call, in *kms.RevokeGrantInput, g *grant) (api.Commit[kms.RevokeGrantOutput], error) {
	if err := dry(in.DryRun); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.RevokeGrantOutput, error) {
		return &kms.RevokeGrantOutput{}, deleteGrant(tx, g)
	}, nil
}

// retired finds the grant that a token, or a key's ARN and an id, tells. Who may retire
// it the grant itself says, beside policies.
func (s *Service) retired(ctx context.Context, c *api.Call, in *kms.RetireGrantInput) (*grant, []api.Demand, error) {
	var g *grant
	var n *named
	var err error
	switch {
	case in.GrantToken != "" && in.KeyId == "" && in.GrantId == "":
		if g, err = s.tokenGrant(c.Snapshot, in.GrantToken); err != nil {
			return nil, nil, err
		}
		k, err := s.get(c.Snapshot, g.key)
		if err != nil {
			return nil, nil, err
		}
		if k == nil {
			return nil, nil, errToken()
		}
		n = k.named()
	case in.GrantToken == "" && in.KeyId != "" && in.GrantId != "":
		if !strings.HasPrefix(in.KeyId, "arn:") {
			return nil, nil, fail("InvalidArnException", "Invalid arn %s", in.KeyId)
		}
		if n, err = s.find(ctx, c, in.KeyId, anyKey); err != nil {
			return nil, nil, err
		}
		if g, err = grantOf(c.Snapshot, n, in.GrantId); err != nil {
			return nil, nil, err
		}
	default:
		return nil, nil, invalid("A grant is named by its token, or by the ARN of its key and its ID.")
	}
	demand := s.demand(c, "RetireGrant", n)
	if g != nil {
		c.Note("grantId", g.id)
		demand.Grant = g.retirableBy(c.Caller())
	}
	return g, []api.Demand{demand}, nil
}

// retirableBy is how a grant lets somebody retire it: the retiring principal, a grantee
// who was given RetireGrant, and the account that made it by its IAM. Nil: it does not.
func (g *grant) retirableBy(who policy.Principal) *policy.Grant {
	ids := holders(who)
	may := func(p principal) bool { return p.id != "" && slices.Contains(ids, p.id) }
	byGrantee := g.operations&setOf(kms.GrantOperationRetireGrant) != 0 && may(g.grantee)
	switch {
	case may(g.retiring) && !g.retiring.account(), byGrantee && !g.grantee.account():
		return &policy.Grant{ID: g.id}
	case may(g.retiring), byGrantee, who.Account == g.issuer:
		return &policy.Grant{ID: g.id, Account: true}
	}
	return nil
}

func (s *Service) retireGrant(_ context.Context, _ *api.Call, in *kms.RetireGrantInput, g *grant) (api.Commit[kms.RetireGrantOutput], error) {
	if err := dry(in.DryRun); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.RetireGrantOutput, error) {
		return &kms.RetireGrantOutput{}, deleteGrant(tx, g)
	}, nil
}
