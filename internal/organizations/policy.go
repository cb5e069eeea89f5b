package organizations

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// A control is a service or resource control policy.
type control struct {
	id, name, description string
	kind                  shape.PolicyType
	content               string
	revision              int64
	tags                  []tag
}

// supplies are the policies that AWS supplies: they allow everything, so that a
// type in force changes nothing by itself.
var supplies = []*control{
	{
		id: "p-FullAWSAccess", name: "FullAWSAccess", description: "Allows access to every operation", kind: shape.PolicyTypeServiceControlPolicy,
		content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	},
	{
		id: "p-RCPFullAWSAccess", name: "RCPFullAWSAccess", description: "Allows access to every resource", kind: shape.PolicyTypeResourceControlPolicy,
		content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
	},
}

func suppliedOf(t shape.PolicyType) *control {
	for _, p := range supplies {
		if p.kind == t {
			return p
		}
	}
	return nil
}

func suppliedByID(id string) *control {
	for _, p := range supplies {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (p *control) supplied() bool { return suppliedByID(p.id) != nil }

func tagsIn(p *control) []tag {
	if p == nil {
		return nil
	}
	return p.tags
}

func (o org) policyARN(t shape.PolicyType, id string) string {
	kind := strings.ToLower(string(t))
	if suppliedByID(id) != nil {
		return "arn:aws:organizations::aws:policy/" + kind + "/" + id
	}
	return "arn:aws:organizations::" + o.management + ":policy/" + o.id + "/" + kind + "/" + id
}

const policyColumns = `id, type, name, description, content, revision`

func scanPolicy(scan func(...any) error) (*control, error) {
	p := &control{}
	err := scan(&p.id, &p.kind, &p.name, &p.description, &p.content, &p.revision)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return p, err
}

// policyByID answers nil for one that is not there. It reads no tags.
func policyByID(q store.Querier, id string) (*control, error) {
	if p := suppliedByID(id); p != nil {
		return p, nil
	}
	return scanPolicy(q.QueryRow(`SELECT `+policyColumns+` FROM organizations_policies WHERE id = ?`, id).Scan)
}

// findPolicy reads a policy and notes what it depends on. A missing one is nil and
// a resource that says so; nobody knows of which type it would be.
func findPolicy(c *api.Call, o org, id string) (*control, api.Resource, error) {
	r := api.Resource{
		ARN: o.policyARN(shape.PolicyTypeServiceControlPolicy, id), Account: o.management, Type: "AWS::Organizations::Policy", Missing: noSuchPolicy(),
	}
	if _, err := c.Snapshot.Versions(treeKey, tagsKey(id)); err != nil {
		return nil, r, err
	}
	p, err := policyByID(c.Snapshot, id)
	if p == nil || err != nil {
		return nil, r, err
	}
	r.ARN, r.Missing = o.policyARN(p.kind, id), nil
	if !p.supplied() {
		p.tags, err = tagsOf(c.Snapshot, id)
		r.Tags = tagMap(p.tags)
	}
	return p, r, err
}

// A held policy is one that somebody asks about.
type held struct {
	org    org
	policy *control
}

// hold resolves operations on one policy.
func hold(c *api.Call, action, id string) (held, []api.Demand, error) {
	o, err := managed(c)
	if err != nil {
		return held{}, nil, err
	}
	p, r, err := findPolicy(c, o, id)
	d := api.Demand{Action: action, Resource: r}
	if p != nil {
		d.Keys = typeKeys(p.kind)
	}
	return held{o, p}, []api.Demand{d}, err
}

func (o org) toSummary(p *control) *shape.PolicySummary {
	supplied := p.supplied()
	return &shape.PolicySummary{Arn: o.policyARN(p.kind, p.id), AwsManaged: &supplied, Description: p.description, Id: p.id, Name: p.name, Type: p.kind}
}

func (o org) toPolicy(p *control) *shape.Policy {
	return &shape.Policy{Content: p.content, PolicySummary: o.toSummary(p)}
}

func (s *Service) describedPolicy(_ context.Context, c *api.Call, in *shape.DescribePolicyInput) (held, []api.Demand, error) {
	return hold(c, "organizations:DescribePolicy", in.PolicyId)
}

func (s *Service) describePolicy(_ context.Context, _ *api.Call, _ *shape.DescribePolicyInput, h held) (*shape.DescribePolicyOutput, error) {
	return &shape.DescribePolicyOutput{Policy: h.org.toPolicy(h.policy)}, nil
}

func (s *Service) listedPolicies(_ context.Context, c *api.Call, in *shape.ListPoliciesInput) (org, []api.Demand, error) {
	o, demands, err := anywhere(c, "organizations:ListPolicies")
	for i := range demands {
		demands[i].Keys = typeKeys(in.Filter)
	}
	return o, demands, err
}

func (s *Service) listPolicies(_ context.Context, c *api.Call, in *shape.ListPoliciesInput, o org) (*shape.ListPoliciesOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	found, err := store.Collect(c.Snapshot, func(r *store.Rows) (*control, error) { return scanPolicy(r.Scan) },
		`SELECT `+policyColumns+` FROM organizations_policies WHERE type = ? AND id > ? ORDER BY id LIMIT ?`, string(in.Filter), p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	if own := suppliedOf(in.Filter); own != nil && p.after < own.id {
		found = append(found, own)
	}
	byID := func(p *control) string { return p.id }
	slices.SortFunc(found, func(a, b *control) int { return strings.Compare(a.id, b.id) })
	out := &shape.ListPoliciesOutput{Policies: []shape.PolicySummary{}}
	found, out.NextToken = cut(p, found, byID)
	for _, one := range found {
		out.Policies = append(out.Policies, *o.toSummary(one))
	}
	return out, nil
}
