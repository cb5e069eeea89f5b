package organizations

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

const rootName = "Root"

// served are the types of policy that there are here, with their quotas: policies
// of the organization, policies on one target, characters of a document.
var served = map[shape.PolicyType]struct {
	kind                       policy.Kind
	policies, attached, length int
}{
	shape.PolicyTypeServiceControlPolicy:  {policy.SCP, 10000, 10, 10240},
	shape.PolicyTypeResourceControlPolicy: {policy.RCP, 1000, 5, 5120},
}

func notAvailable() *api.Error {
	return fail("PolicyTypeNotAvailableForOrganizationException", "You can't use the specified policy type with the feature set currently enabled for this organization.")
}

// typeKeys are the condition keys of what concerns a type of policy.
func typeKeys(t shape.PolicyType) policy.Context {
	k := policy.Context{}
	k.Set("organizations:PolicyType", string(t))
	return k
}

func enabledTypes(q store.Querier) ([]shape.PolicyType, error) {
	return store.Collect(q, func(r *store.Rows) (t shape.PolicyType, err error) {
		err = r.Scan(&t)
		return t, err
	}, `SELECT type FROM organizations_types ORDER BY type`)
}

func isEnabled(q store.Querier, t shape.PolicyType) (bool, error) {
	enabled, err := enabledTypes(q)
	return slices.Contains(enabled, t), err
}

func summaries(enabled []shape.PolicyType) []shape.PolicyTypeSummary {
	out := []shape.PolicyTypeSummary{}
	for _, t := range enabled {
		out = append(out, shape.PolicyTypeSummary{Type: t, Status: shape.PolicyTypeStatusEnabled})
	}
	return out
}

func toRoot(q store.Querier, o org) (*shape.Root, error) {
	enabled, err := enabledTypes(q)
	return &shape.Root{Arn: o.nodeARN(o.root), Id: o.root, Name: rootName, PolicyTypes: summaries(enabled)}, err
}

func (s *Service) listedRoots(_ context.Context, c *api.Call, _ *shape.ListRootsInput) (org, []api.Demand, error) {
	return anywhere(c, "organizations:ListRoots")
}

func (s *Service) listRoots(_ context.Context, c *api.Call, in *shape.ListRootsInput, o org) (*shape.ListRootsOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	r, err := toRoot(c.Snapshot, o)
	return &shape.ListRootsOutput{Roots: only(p, *r, r.Id)}, err
}

// switched resolves what turns a type of policy on or off.
func switched(c *api.Call, action, id string, t shape.PolicyType) (place, []api.Demand, error) {
	at, demands, err := at(c, action, id, noSuchRoot(), shape.TargetTypeRoot)
	for i := range demands {
		demands[i].Keys = typeKeys(t)
	}
	return at, demands, err
}

func (s *Service) enabledType(_ context.Context, c *api.Call, in *shape.EnablePolicyTypeInput) (place, []api.Demand, error) {
	return switched(c, "organizations:EnablePolicyType", in.RootId, in.PolicyType)
}

// enablePolicyType puts a type in force, with the policy that allows everything on
// every node, so that nothing changes until somebody attaches another or takes
// that one away.
func (s *Service) enablePolicyType(_ context.Context, _ *api.Call, in *shape.EnablePolicyTypeInput, at place) (api.Commit[shape.EnablePolicyTypeOutput], error) {
	if _, ok := served[in.PolicyType]; !ok {
		return nil, notAvailable()
	}
	return func(tx *store.Tx) (*shape.EnablePolicyTypeOutput, error) {
		if on, err := isEnabled(tx, in.PolicyType); err != nil {
			return nil, err
		} else if on {
			return nil, fail("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.")
		}
		if _, err := tx.Exec(`INSERT INTO organizations_types (type) VALUES (?)`, string(in.PolicyType)); err != nil {
			return nil, err
		}
		if err := attach(tx, suppliedOf(in.PolicyType), at.org.root); err != nil {
			return nil, err
		}
		for _, table := range []string{"organizations_units", "organizations_accounts"} {
			if _, err := tx.Exec(`INSERT INTO organizations_attachments (target, policy, type) SELECT id, CAST(? AS TEXT), CAST(? AS TEXT) FROM `+table,
				suppliedOf(in.PolicyType).id, string(in.PolicyType)); err != nil {
				return nil, err
			}
		}
		r, err := toRoot(tx, at.org)
		if err != nil {
			return nil, err
		}
		return &shape.EnablePolicyTypeOutput{Root: r}, tx.Touch(treeKey)
	}, nil
}

func (s *Service) disabledType(_ context.Context, c *api.Call, in *shape.DisablePolicyTypeInput) (place, []api.Demand, error) {
	return switched(c, "organizations:DisablePolicyType", in.RootId, in.PolicyType)
}

// disablePolicyType takes a type out of force and detaches its policies
// everywhere, as AWS does: enabling it again brings none of them back.
func (s *Service) disablePolicyType(_ context.Context, _ *api.Call, in *shape.DisablePolicyTypeInput, at place) (api.Commit[shape.DisablePolicyTypeOutput], error) {
	return func(tx *store.Tx) (*shape.DisablePolicyTypeOutput, error) {
		if on, err := isEnabled(tx, in.PolicyType); err != nil {
			return nil, err
		} else if !on {
			return nil, notEnabled()
		}
		for _, statement := range []string{`DELETE FROM organizations_attachments WHERE type = ?`, `DELETE FROM organizations_types WHERE type = ?`} {
			if _, err := tx.Exec(statement, string(in.PolicyType)); err != nil {
				return nil, err
			}
		}
		r, err := toRoot(tx, at.org)
		if err != nil {
			return nil, err
		}
		return &shape.DisablePolicyTypeOutput{Root: r}, tx.Touch(treeKey)
	}, nil
}
