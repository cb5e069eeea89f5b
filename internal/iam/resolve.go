package iam

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// resolve finds users, roles, managed policies and identity providers of any
// account by ARN. The Detail of a user or role is its *api.Entity. What a role's
// trust policy allows (Entity.Trust) is asked for by sts when the role is assumed
// and by services to which it is passed; it does not stand in Resource.Policy,
// since it has no say in who may read or pass the role. The Detail of a managed
// policy is its *shape.Policy, that of an identity provider its *api.OIDCProvider
// or *api.SAMLProvider.
//
// Sessions tell the name of their role and not its path. So a role is also found
// as arn:aws:iam::ACCOUNT:assumed-role/NAME, which is no ARN that AWS knows.
func (s *Service) resolve(ctx context.Context, sn *store.Snapshot, name string) (*api.Foreign, error) {
	if _, _, ok := cutPolicyARN(name); ok {
		return s.foreignPolicy(sn, name)
	}
	if k, account, last, ok := cutProviderARN(name); ok {
		return s.foreignProvider(sn, k, account, last)
	}
	k, account, last := namedPrincipal(name)
	if k == "" || !strings.HasPrefix(name, "arn:aws:iam::") {
		return nil, nil
	}
	row, err := named(sn, k, account, last)
	if err != nil {
		return nil, err
	}
	if row == nil || row.arn() != name && !namesSession(name) {
		return &api.Foreign{Resource: api.Resource{
			ARN: name, Account: account, Type: "AWS::IAM::" + string(k), Missing: noSuch(k, last),
		}}, nil
	}
	e, err := s.Principal(ctx, sn, row.id)
	if err != nil {
		return nil, err
	}
	return &api.Foreign{Resource: row.resource(), Detail: e}, nil
}

func (s *Service) foreignPolicy(sn *store.Snapshot, name string) (*api.Foreign, error) {
	m, err := s.managedByARN(sn, name)
	if err != nil {
		return nil, err
	}
	if m == nil {
		account, _, _ := cutPolicyARN(name)
		return &api.Foreign{Resource: api.Resource{ARN: name, Account: account, Type: "AWS::IAM::ManagedPolicy", Missing: noSuchPolicy(name)}}, nil
	}
	return &api.Foreign{Resource: m.resource(), Detail: &shape.Policy{Arn: m.arn(), PolicyId: m.id, PolicyName: m.name, Path: m.path, DefaultVersionId: versionID(m.standard)}}, nil
}
