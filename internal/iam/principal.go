package iam

import (
	"context"
	"fmt"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Principal finds a user or role by its unique id, with its policies as the
// snapshot sees them. A missing one is ErrGone. It implements authz.Principals and
// is on the path of every call: as long as nothing changed it costs one look-up
// of versions.
func (s *Service) Principal(_ context.Context, sn *store.Snapshot, id string) (*api.Entity, error) {
	if e, ok, err := s.entities.get(sn, id); ok || err != nil {
		return e, err
	}
	if _, err := sn.Version(entityKey(id)); err != nil {
		return nil, err
	}
	row, err := entityByID(sn, id)
	if err != nil {
		return nil, err
	}
	if row == nil || row.kind == group {
		return nil, api.ErrGone
	}
	e, err := s.load(sn, row)
	if err != nil {
		return nil, fmt.Errorf("iam: %s: %w", row.arn(), err)
	}
	return e, s.entities.put(sn, id, e, row.key())
}

// load reads and parses what belongs to an entity. All of it hangs on the entity's
// one version key: whatever attaches, detaches or rewrites a policy touches it, and
// so does a change of the default version of a policy that it has by any way.
func (s *Service) load(sn *store.Snapshot, row *entity) (*api.Entity, error) {
	var err error
	if row.tags, err = tagsOf(sn, row.id); err != nil {
		return nil, err
	}
	e := &api.Entity{
		Kind: api.KindUser, ID: row.id, ARN: row.arn(), Name: row.name, Account: row.account,
		Tags: tagMap(row.tags), Created: row.created, NotBefore: row.notBefore,
	}
	if row.kind == role {
		e.Kind, e.MaxSession = api.KindRole, row.maxSession
		if e.Trust, err = s.trust(sn, row); err != nil {
			return nil, err
		}
	}
	if e.Policies, err = s.policiesOf(sn, row); err != nil {
		return nil, err
	}
	if row.kind == user {
		byGroup, err := s.groupPolicies(sn, row)
		if err != nil {
			return nil, err
		}
		e.Policies = append(e.Policies, byGroup...)
	}
	e.Boundary, err = s.boundary(sn, row)
	return e, err
}

// policiesOf are the policies of an entity itself, inline and attached.
func (s *Service) policiesOf(sn *store.Snapshot, row *entity) ([]policy.Doc, error) {
	var all []policy.Doc
	inline, err := inlinePolicies(sn, row.id)
	if err != nil {
		return nil, err
	}
	for _, text := range inline {
		parsed, err := policy.Parse([]byte(text.document), policy.Identity)
		if err != nil {
			return nil, err
		}
		all = append(all, policy.Doc{Name: "inline policy " + text.name + " of " + row.arn(), Policy: parsed})
	}
	attached, err := attachments(sn, row.id)
	if err != nil {
		return nil, err
	}
	for _, a := range attached {
		doc, err := s.Policy(sn, a.policy)
		if err != nil {
			return nil, err
		}
		all = append(all, *doc)
	}
	return all, nil
}

// trust parses a role's trust policy as it is meant today: see binding.go.
func (s *Service) trust(sn *store.Snapshot, row *entity) (*policy.Doc, error) {
	meant, _, err := bindings(sn, row.id)
	if err != nil {
		return nil, err
	}
	parsed, err := meant.Parse(row.trust, policy.Trust)
	if err != nil {
		return nil, err
	}
	return &policy.Doc{Name: "trust policy of " + row.arn(), Policy: parsed}, nil
}

// Policy is a managed policy by its unique id. A missing one is ErrGone. Besides
// entities, sessions name policies in this way.
func (s *Service) Policy(sn *store.Snapshot, id string) (*policy.Doc, error) {
	if m := s.suppliedByID[id]; m != nil {
		return &m.doc, nil
	}
	if doc, ok, err := s.policies.get(sn, id); ok || err != nil {
		return &doc, err
	}
	if _, err := sn.Version(policyKey(id)); err != nil {
		return nil, err
	}
	m, err := managedByID(sn, id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, api.ErrGone
	}
	if m.doc, err = parsedManaged(m.arn(), m.document); err != nil {
		return nil, err
	}
	return &m.doc, s.policies.put(sn, id, m.doc, policyKey(id))
}
