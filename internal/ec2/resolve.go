package ec2

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/store"
)

// Resolve implements api.Resolver. Its Detail is an api.Subnet or
// api.SecurityGroup; other kinds have none.
func (s *Service) Resolve(_ context.Context, sn *store.Snapshot, name string) (*api.Foreign, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "ec2" || a.Partition != "aws" || a.Region != s.Region {
		return nil, nil
	}
	_, id, _ := strings.Cut(a.Resource, "/")
	k := kindOf(id)
	if k == nil || a.Resource != k.arn+"/"+id {
		return nil, nil
	}
	f := &api.Foreign{Resource: api.Resource{ARN: name, Account: a.Account, Type: k.record}}
	if _, err := sn.Version(k.key(id)); err != nil {
		return nil, err
	}
	o, err := row(sn, id)
	if err != nil {
		return nil, err
	}
	if o == nil || o.head().Account != a.Account {
		f.Missing = k.missing(id)
		return f, nil
	}
	m := o.head()
	f.Tags = m.Tags
	switch o := o.(type) {
	case *subnet:
		f.Detail = &api.Subnet{ID: m.ID, VPC: m.VPC, Account: m.Account, CIDR: o.CIDR, AvailabilityZone: s.zone()}
	case *group:
		f.Detail = &api.SecurityGroup{ID: m.ID, VPC: m.VPC, Account: m.Account, Name: o.Name}
	}
	return f, nil
}
