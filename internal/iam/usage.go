package iam

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// What managed policies are used for: as permissions of those to whom they are
// attached, and as boundaries.

func (s *Service) usageOperations() []api.Operation {
	return []api.Operation{
		api.Read("ListPolicies", s.listedPolicies, s.listPolicies),
		api.Read("ListEntitiesForPolicy", s.listedEntitiesForPolicy, s.listEntitiesForPolicy),
		api.Write("TagPolicy", s.taggedPolicy, s.tagPolicy),
		api.Write("UntagPolicy", s.untaggedPolicy, s.untagPolicy),
		api.Read("ListPolicyTags", s.listedPolicyTags, s.listPolicyTags),
	}
}

// uses counts what a policy is used for in an account.
func uses(q querier, policyID, account string) (attached, bounding int32, err error) {
	err = q.QueryRow(`SELECT (SELECT COUNT(*) FROM iam_attachments WHERE policy = ? AND account = ?),
		(SELECT COUNT(*) FROM iam_boundaries WHERE policy = ? AND account = ?)`, policyID, account, policyID, account).Scan(&attached, &bounding)
	return attached, bounding, err
}

// usedAnywhere says which policies are in a table of uses, by id.
func usedAnywhere(q querier, table, account string) (map[string]bool, error) {
	ids, err := store.Collect(q, func(r *store.Rows) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	}, `SELECT DISTINCT policy FROM `+table+` WHERE account = ?`, account)
	all := map[string]bool{}
	for _, id := range ids {
		all[id] = true
	}
	return all, err
}

// holders are the version keys of everybody whose permissions a policy is part of:
// attached, as a boundary, or by a group.
func holders(q querier, policyID string) ([]string, error) {
	owners, err := store.Collect(q, func(r *store.Rows) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	}, `SELECT owner FROM iam_attachments WHERE policy = ? UNION SELECT owner FROM iam_boundaries WHERE policy = ?`, policyID, policyID)
	if err != nil {
		return nil, err
	}
	return reached(q, owners...)
}

func (s *Service) listedPolicies(_ context.Context, c *api.Call, in *shape.ListPoliciesInput) (struct{}, []api.Demand, error) {
	prefix := in.PathPrefix
	if prefix == "" {
		prefix = "/"
	}
	return struct{}{}, api.On("iam:ListPolicies", api.Resource{ARN: "arn:aws:iam::" + c.Account + ":policy" + prefix, Type: "AWS::IAM::ManagedPolicy"}), nil
}

// listPolicies sorts in memory: the quota keeps an account's policies few.
func (s *Service) listPolicies(_ context.Context, c *api.Call, in *shape.ListPoliciesInput, _ struct{}) (*shape.ListPoliciesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var all []*managed
	if in.Scope != shape.PolicyScopeTypeLocal {
		for _, m := range s.supplied {
			all = append(all, m)
		}
	}
	if in.Scope != shape.PolicyScopeTypeAws {
		local, err := localPolicies(c.Snapshot, c.Account)
		if err != nil {
			return nil, err
		}
		all = append(all, local...)
	}
	wanted, err := used(c.Snapshot, c.Account, in)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m *managed) bool { return !strings.HasPrefix(m.path, in.PathPrefix) || !wanted(m) })
	slices.SortFunc(all, byARN)
	out := &shape.ListPoliciesOutput{Policies: []shape.Policy{}}
	all, out.IsTruncated, out.Marker = cut(p, rest(p, all, (*managed).arn), (*managed).arn)
	for _, m := range all {
		shown, err := toPolicy(c.Snapshot, m, c.Account)
		if err != nil {
			return nil, err
		}
		shown.Tags, shown.Description = nil, "" // as in AWS
		out.Policies = append(out.Policies, shown)
	}
	return out, nil
}

func byARN(a, b *managed) int { return strings.Compare(a.arn(), b.arn()) }

func localPolicies(q querier, account string) ([]*managed, error) {
	return store.Collect(q, func(r *store.Rows) (*managed, error) { return scanManaged(r.Scan) }, selectPolicies+`WHERE p.account = ?`, account)
}

// used is which policies a list asks for by their use.
func used(q querier, account string, in *shape.ListPoliciesInput) (func(*managed) bool, error) {
	table := ""
	switch {
	case in.PolicyUsageFilter == shape.PolicyUsageTypePermissionsBoundary:
		table = "iam_boundaries"
	case in.PolicyUsageFilter == shape.PolicyUsageTypePermissionsPolicy, in.OnlyAttached != nil && *in.OnlyAttached:
		table = "iam_attachments"
	default:
		return func(*managed) bool { return true }, nil
	}
	ids, err := usedAnywhere(q, table, account)
	return func(m *managed) bool { return ids[m.id] }, err
}

func (s *Service) listedEntitiesForPolicy(_ context.Context, c *api.Call, in *shape.ListEntitiesForPolicyInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:ListEntitiesForPolicy")
}

func (s *Service) listEntitiesForPolicy(_ context.Context, c *api.Call, in *shape.ListEntitiesForPolicyInput, m *managed) (*shape.ListEntitiesForPolicyOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	found, err := entitiesUsing(c.Snapshot, c.Account, in, m, p)
	if err != nil {
		return nil, err
	}
	out := &shape.ListEntitiesForPolicyOutput{PolicyGroups: []shape.PolicyGroup{}, PolicyUsers: []shape.PolicyUser{}, PolicyRoles: []shape.PolicyRole{}}
	found, out.IsTruncated, out.Marker = cut(p, found, func(e *entity) string { return string(e.kind) + "/" + fold(e.name) })
	for _, e := range found {
		switch e.kind {
		case group:
			out.PolicyGroups = append(out.PolicyGroups, shape.PolicyGroup{GroupId: e.id, GroupName: e.name})
		case user:
			out.PolicyUsers = append(out.PolicyUsers, shape.PolicyUser{UserId: e.id, UserName: e.name})
		case role:
			out.PolicyRoles = append(out.PolicyRoles, shape.PolicyRole{RoleId: e.id, RoleName: e.name})
		}
	}
	return out, nil
}

// entitiesUsing reads a page of who uses a policy, in the order of kinds and names.
func entitiesUsing(q querier, account string, in *shape.ListEntitiesForPolicyInput, m *managed, p page) ([]*entity, error) {
	const attached, bounded = `SELECT owner FROM iam_attachments WHERE policy = ?`, `SELECT owner FROM iam_boundaries WHERE policy = ?`
	from, args := attached+" UNION "+bounded, []any{account, m.id, m.id}
	switch in.PolicyUsageFilter {
	case shape.PolicyUsageTypePermissionsPolicy:
		from, args = attached, args[:2]
	case shape.PolicyUsageTypePermissionsBoundary:
		from, args = bounded, args[:2]
	}
	where := ""
	if in.EntityFilter != "" {
		where, args = " AND kind = ?", append(args, string(in.EntityFilter))
	}
	return store.Collect(q, func(r *store.Rows) (*entity, error) { return scanEntity(r.Scan) },
		`SELECT `+entityColumns+` FROM iam_entities WHERE account = ? AND id IN (`+from+`)`+where+`
			AND substr(path, 1, ?) = ? AND kind || '/' || folded > ? ORDER BY kind || '/' || folded LIMIT ?`,
		append(args, len(in.PathPrefix), in.PathPrefix, p.after, p.limit+1)...)
}
