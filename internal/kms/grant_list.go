package kms

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
)

// listing finds the key of ListGrants, and the grant if one is asked for.
func (s *Service) listingGrants(ctx context.Context, c *api.Call, in *kms.ListGrantsInput) (*named, []api.Demand, error) {
	n, err := s.find(ctx, c, in.KeyId, anyKey)
	if err != nil {
		return nil, nil, err
	}
	if in.GrantId != "" {
		if err := checkGrantID(in.GrantId); err != nil {
			return nil, nil, err
		}
	}
	demand := s.demand(c, "ListGrants", n)
	s.grantConditions(c, demand.Keys)
	return n, []api.Demand{demand}, nil
}

func (s *Service) listGrants(ctx context.Context, c *api.Call, in *kms.ListGrantsInput, n *named) (*kms.ListGrantsOutput, error) {
	p, err := pageOf(in.Limit, in.Marker, 50, 100)
	if err != nil {
		return nil, err
	}
	where, args := "WHERE key = ? AND id > ?", []any{n.id, p.after}
	if in.GrantId != "" {
		where, args = where+" AND id = ?", append(args, in.GrantId)
	}
	if in.GranteePrincipal != "" {
		holder := in.GranteePrincipal // as an id, it is that of one who may be gone
		if !strings.HasPrefix(holder, "AIDA") && !strings.HasPrefix(holder, "AROA") {
			grantee, err := meant(ctx, c, holder)
			if err != nil {
				return nil, err
			}
			holder = grantee.id
		}
		where, args = where+" AND holder = ?", append(args, holder)
	}
	all, err := listGrants(c.Snapshot, where+" ORDER BY id LIMIT ?", append(args, p.limit+1)...)
	if err != nil {
		return nil, err
	}
	out := &kms.ListGrantsOutput{}
	out.Grants, out.NextMarker, out.Truncated, err = s.grantPage(ctx, c, p, all)
	return out, err
}

// listingRetirable lets who may by IAM list what principals of her own account can
// retire, whoever's the keys are.
func (s *Service) listingRetirable(_ context.Context, c *api.Call, in *kms.ListRetirableGrantsInput) (struct{}, []api.Demand, error) {
	_, account, err := parsePrincipal(in.RetiringPrincipal)
	if err == nil && account != c.Account {
		err = errPrincipal(in.RetiringPrincipal)
	}
	return struct{}{}, api.On("kms:ListRetirableGrants", api.Any), err
}

func (s *Service) listRetirableGrants(ctx context.Context, c *api.Call, in *kms.ListRetirableGrantsInput, _ struct{}) (*kms.ListRetirableGrantsOutput, error) {
	p, err := pageOf(in.Limit, in.Marker, 50, 100)
	if err != nil {
		return nil, err
	}
	retirer, err := meant(ctx, c, in.RetiringPrincipal)
	if err != nil {
		return nil, err
	}
	all, err := listGrants(c.Snapshot, "WHERE retirer = ? AND id > ? ORDER BY id LIMIT ?", retirer.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &kms.ListRetirableGrantsOutput{}
	out.Grants, out.NextMarker, out.Truncated, err = s.grantPage(ctx, c, p, all)
	return out, err
}

func (s *Service) grantPage(ctx context.Context, c *api.Call, p page, all []*grant) (list []kms.GrantListEntry, next string, more *bool, err error) {
	all, next, truncated := cut(p, all, func(g *grant) string { return g.id })
	known := map[principal]string{} // the same few, often
	for _, g := range all {
		for _, p := range []principal{g.grantee, g.retiring} {
			if _, ok := known[p]; !ok {
				if known[p], err = p.shown(ctx, c); err != nil {
					return nil, "", nil, err
				}
			}
		}
		e, err := s.entry(c, g, known)
		if err != nil {
			return nil, "", nil, err
		}
		list = append(list, e)
	}
	return list, next, &truncated, nil
}

// entry shows a grant; shown has its principals.
func (s *Service) entry(c *api.Call, g *grant, shown map[principal]string) (kms.GrantListEntry, error) {
	e := kms.GrantListEntry{
		GrantId: g.id, Name: g.name, IssuingAccount: "arn:aws:iam::" + g.issuer + ":root",
		Operations: g.operations.list(), Constraints: g.constraint.shape(), CreationDate: g.created,
		GranteePrincipal: shown[g.grantee], RetiringPrincipal: shown[g.retiring],
	}
	k, err := s.get(c.Snapshot, g.key)
	if k != nil {
		e.KeyId = k.arn
	}
	return e, err
}
