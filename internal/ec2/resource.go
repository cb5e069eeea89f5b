package ec2

import (
	"context"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
)

// meta is what every resource has. Every resource belongs to a VPC; a VPC to
// itself.
type meta struct {
	ID      string            `json:"-"`
	Account string            `json:"-"`
	VPC     string            `json:"-"`
	Created time.Time         `json:"-"`
	Tags    map[string]string `json:"tags,omitempty"`
}

func (m *meta) head() *meta { return m }

// An object is a resource of some kind.
type object interface {
	head() *meta
	kind() *kind
}

// found is what an id of a request names. When there is no such resource in the
// caller's account, or it is of another kind, it is missing.
type found[T object] struct {
	it        T
	resource  api.Resource
	keys      policy.Context
	malformed bool // and so missing
}

func (f *found[T]) missing() bool { return f.resource.Missing != nil }

// find looks a resource up. A decision depends on what it answers.
func find[T object](s *Service, c *api.Call, id string) (*found[T], error) {
	var none T
	k := none.kind()
	if !k.names(id) { // which is told to those only who might name one
		return &found[T]{malformed: true, keys: s.keys(c.Account, k, malformed, "", nil), resource: api.Resource{
			ARN: s.arn(c.Account, k, malformed), Account: c.Account, Type: k.record, Missing: k.malformed(id),
		}}, nil
	}
	if _, err := c.Snapshot.Version(k.key(id)); err != nil {
		return nil, err
	}
	if k == kindACL { // which may be there only as its VPC is
		if _, err := c.Snapshot.Version(kindVPC.key(vpcOfACL(id))); err != nil {
			return nil, err
		}
	}
	o, err := row(c.Snapshot, id)
	if err != nil {
		return nil, err
	}
	f := &found[T]{resource: api.Resource{ARN: s.arn(c.Account, k, id), Account: c.Account, Type: k.record}}
	it, ok := o.(T)
	if !ok || it.head().Account != c.Account {
		f.resource.Missing = k.missing(id)
		f.keys = s.keys(c.Account, k, id, "", nil)
		return f, nil
	}
	f.it, f.resource.Tags = it, it.head().Tags
	f.keys = s.keys(c.Account, k, id, it.head().VPC, it.head().Tags)
	switch o := o.(type) {
	case *endpoint:
		f.keys.Set("ec2:VpceServiceName", s.serviceName(o.Service))
		f.keys.Set("ec2:VpceServiceRegion", s.Region)
	case *networkInterface:
		f.keys.Set("ec2:Subnet", s.arn(c.Account, kindSubnet, o.Subnet))
	}
	return f, nil
}

// findAll is find for several ids.
func findAll[T object](s *Service, c *api.Call, ids []string) ([]*found[T], error) {
	if len(ids) > maxNamed {
		return nil, fail("InvalidParameterValue", "A request names at most %d resources.", maxNamed)
	}
	var all []*found[T]
	for _, id := range ids {
		f, err := find[T](s, c, id)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// malformed stands in decisions and records for what is not even an id.
const malformed = "malformed"

// maxNamed bounds the resources that one request names in one list.
const maxNamed = 1000

// keys are the condition keys of a resource.
func (s *Service) keys(account string, k *kind, id, vpcID string, tags map[string]string) policy.Context {
	keys := policy.Context{}
	keys.Set("ec2:Region", s.Region)
	if k.idKey != "" {
		keys.Set(k.idKey, id)
	}
	switch k {
	case kindVPC:
		keys.Set("ec2:Tenancy", "default")
	case kindSubnet:
		keys.Set("ec2:AvailabilityZone", s.zone())
		keys.Set("ec2:AvailabilityZoneId", s.zoneID())
	}
	if k != kindVPC && kindVPC.names(vpcID) { // parts of a transit gateway have its id there
		keys.Set("ec2:Vpc", s.arn(account, kindVPC, vpcID))
	}
	for name, value := range tags {
		keys.Set("ec2:ResourceTag/"+name, value)
	}
	return keys
}

// demand asks for an action on what was found.
func (f *found[T]) demand(action string) api.Demand {
	return api.Demand{Action: "ec2:" + action, Resource: f.resource, Keys: f.keys}
}

func demandAll[T object](action string, all []*found[T]) []api.Demand {
	var out []api.Demand
	for _, f := range all {
		out = append(out, f.demand(action))
	}
	return out
}

// creation begins a resource that a call makes and states its demands: the action
// on the new resource and, when it is born with tags, ec2:CreateTags. vpcID is empty
// for a VPC, and when the VPC is missing.
func (s *Service) creation(c *api.Call, action string, k *kind, vpcID string, specs []ec2.TagSpecification) (meta, []api.Demand) {
	tags, wrong := specified(k, specs)
	m := meta{ID: k.newID(), Account: c.Account, VPC: vpcID, Created: c.Now, Tags: tags}
	if k == kindVPC {
		m.VPC = m.ID
	}
	// What is wrong with the tags is told after the decision.
	r := api.Resource{ARN: s.arn(c.Account, k, m.ID), Account: c.Account, Type: k.record, Missing: wrong}
	// Its id is not a fact of the request: no key for it.
	fresh := func() policy.Context {
		keys := s.keys(c.Account, k, m.ID, vpcID, nil)
		keys.Set(k.idKey)
		requestTags(keys, tags)
		return keys
	}
	demands := []api.Demand{{Action: "ec2:" + action, Resource: r, Keys: fresh()}}
	if len(tags) > 0 {
		keys := fresh()
		keys.Set("ec2:CreateAction", action)
		demands = append(demands, api.Demand{Action: "ec2:CreateTags", Resource: r, Keys: keys})
	}
	return m, demands
}

// listed is the resolve step of an operation that lists: it knows no resource.
func listed[In any](action string) func(context.Context, *api.Call, *In) (struct{}, []api.Demand, error) {
	return func(_ context.Context, c *api.Call, _ *In) (struct{}, []api.Demand, error) {
		keys := policy.Context{}
		keys.Set("ec2:Region", c.Region)
		return struct{}{}, []api.Demand{{Action: "ec2:" + action, Resource: api.Any, Keys: keys}}, nil
	}
}

func ptr[T any](v T) *T { return &v }
