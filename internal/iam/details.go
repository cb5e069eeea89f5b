package iam

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// Account authorization details are one list of several kinds, in this order. Of
// AWS-managed policies it has those that the account uses.
var detailOrder = []shape.EntityType{
	shape.EntityTypeUser, shape.EntityTypeGroup, shape.EntityTypeRole, shape.EntityTypeLocalManagedPolicy, shape.EntityTypeAWSManagedPolicy,
}

// A detail is an item of that list: an entity or a policy.
type detail struct {
	kind   shape.EntityType
	entity *entity
	policy *managed
}

func (d detail) name() string {
	if d.policy != nil {
		return string(d.kind) + "/" + d.policy.arn()
	}
	return string(d.kind) + "/" + fold(d.entity.name)
}

func (s *Service) detailed(context.Context, *api.Call, *shape.GetAccountAuthorizationDetailsInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:GetAccountAuthorizationDetails", api.Any), nil
}

func (s *Service) getAccountAuthorizationDetails(_ context.Context, c *api.Call, in *shape.GetAccountAuthorizationDetailsInput, _ struct{}) (*shape.GetAccountAuthorizationDetailsOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	kinds, after, err := remaining(in.Filter, p.after)
	if err != nil {
		return nil, err
	}
	var found []detail
	for _, k := range kinds {
		more, err := s.detailsOf(c.Snapshot, c.Account, k, page{after, p.limit - len(found)})
		if err != nil {
			return nil, err
		}
		if found = append(found, more...); len(found) > p.limit {
			break
		}
		after = ""
	}
	out := &shape.GetAccountAuthorizationDetailsOutput{
		UserDetailList: []shape.UserDetail{}, GroupDetailList: []shape.GroupDetail{}, RoleDetailList: []shape.RoleDetail{}, Policies: []shape.ManagedPolicyDetail{},
	}
	found, out.IsTruncated, out.Marker = cut(p, found, detail.name)
	for _, d := range found {
		if err := s.describe(c.Snapshot, c.Account, d, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// remaining are the kinds that a list still has to go through, and where it is in
// the first of them.
func remaining(filter []shape.EntityType, position string) (kinds []shape.EntityType, after string, err error) {
	kinds = slices.DeleteFunc(slices.Clone(detailOrder), func(k shape.EntityType) bool { return len(filter) > 0 && !slices.Contains(filter, k) })
	if position == "" {
		return kinds, "", nil
	}
	kind, after, _ := strings.Cut(position, "/")
	i := slices.Index(kinds, shape.EntityType(kind))
	if i < 0 {
		return nil, "", invalid("Invalid Marker.")
	}
	return kinds[i:], after, nil
}

// detailsOf are up to one more than the page wants of one kind.
func (s *Service) detailsOf(sn *store.Snapshot, account string, k shape.EntityType, p page) ([]detail, error) {
	var all []detail
	switch k {
	case shape.EntityTypeUser, shape.EntityTypeGroup, shape.EntityTypeRole:
		found, err := listEntities(sn, kind(k), account, "", p)
		for _, e := range found {
			all = append(all, detail{kind: k, entity: e})
		}
		return all, err
	}
	found, err := localPolicies(sn, account)
	if k == shape.EntityTypeAWSManagedPolicy {
		found, err = s.suppliedInUse(sn, account)
	}
	slices.SortFunc(found, byARN)
	for _, m := range rest(p, found, (*managed).arn) {
		all = append(all, detail{kind: k, policy: m})
	}
	return all, err
}

func (s *Service) suppliedInUse(sn *store.Snapshot, account string) ([]*managed, error) {
	attached, err := usedAnywhere(sn, "iam_attachments", account)
	if err != nil {
		return nil, err
	}
	bounding, err := usedAnywhere(sn, "iam_boundaries", account)
	var all []*managed
	for _, m := range s.supplied {
		if attached[m.id] || bounding[m.id] {
			all = append(all, m)
		}
	}
	return all, err
}

// describe adds an item with all that belongs to it.
func (s *Service) describe(sn *store.Snapshot, account string, d detail, out *shape.GetAccountAuthorizationDetailsOutput) error {
	if d.policy != nil {
		m, err := managedDetail(sn, d.policy, account)
		out.Policies = append(out.Policies, m)
		return err
	}
	e := d.entity
	if err := complete(sn, e); err != nil {
		return err
	}
	attached, inline, err := policyDetails(sn, e)
	if err != nil {
		return err
	}
	switch e.kind {
	case user:
		groups, err := groupsOf(sn, e.id)
		names := []string{}
		for _, g := range groups {
			names = append(names, g.name)
		}
		out.UserDetailList = append(out.UserDetailList, shape.UserDetail{
			Arn: e.arn(), CreateDate: e.created, Path: e.path, UserId: e.id, UserName: e.name, Tags: e.tags,
			GroupList: names, UserPolicyList: inline, AttachedManagedPolicies: attached, PermissionsBoundary: toBoundary(e.boundary),
		})
		return err
	case group:
		out.GroupDetailList = append(out.GroupDetailList, shape.GroupDetail{
			Arn: e.arn(), CreateDate: e.created, Path: e.path, GroupId: e.id, GroupName: e.name,
			GroupPolicyList: inline, AttachedManagedPolicies: attached,
		})
		return nil
	}
	trust, err := shownTrust(sn, e)
	if err != nil {
		return err
	}
	used, err := s.roleLastUsed(sn, e.id)
	out.RoleDetailList = append(out.RoleDetailList, shape.RoleDetail{
		Arn: e.arn(), CreateDate: e.created, Path: e.path, RoleId: e.id, RoleName: e.name, Tags: e.tags,
		AssumeRolePolicyDocument: answered(trust), InstanceProfileList: []shape.InstanceProfile{}, RoleLastUsed: used,
		RolePolicyList: inline, AttachedManagedPolicies: attached, PermissionsBoundary: toBoundary(e.boundary),
	})
	return err
}

// policyDetails are the policies of an entity, attached and inline.
func policyDetails(q querier, e *entity) ([]shape.AttachedPolicy, []shape.PolicyDetail, error) {
	own, err := inlinePolicies(q, e.id)
	if err != nil {
		return nil, nil, err
	}
	inline := []shape.PolicyDetail{}
	for _, i := range own {
		inline = append(inline, shape.PolicyDetail{PolicyName: i.name, PolicyDocument: answered(i.document)})
	}
	joined, err := attachments(q, e.id)
	attached := []shape.AttachedPolicy{}
	for _, a := range joined {
		attached = append(attached, shape.AttachedPolicy{PolicyArn: a.arn, PolicyName: a.name()})
	}
	return attached, inline, err
}

func managedDetail(q querier, m *managed, account string) (shape.ManagedPolicyDetail, error) {
	p, err := toPolicy(q, m, account)
	if err != nil {
		return shape.ManagedPolicyDetail{}, err
	}
	d := shape.ManagedPolicyDetail{
		Arn: p.Arn, AttachmentCount: p.AttachmentCount, PermissionsBoundaryUsageCount: p.PermissionsBoundaryUsageCount, IsAttachable: p.IsAttachable,
		CreateDate: p.CreateDate, UpdateDate: p.UpdateDate, DefaultVersionId: p.DefaultVersionId, Description: p.Description,
		Path: p.Path, PolicyId: p.PolicyId, PolicyName: p.PolicyName,
	}
	all, err := versions(q, m)
	for _, v := range all {
		shown := toVersion(m, v)
		shown.Document = answered(v.document)
		d.PolicyVersionList = append(d.PolicyVersionList, shown)
	}
	return d, err
}
