package kms

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// RetireNamed ends the grants of a name which a role has, which it may retire and which
// were made in its account: what a service of Bawn made as the role for work that is
// over. No policy is asked, since a right that the work had is all that ends, and the
// role, its trust or its person may be gone by now. The records carry role and person.
// Broken off, it can be done again.
func (s *Service) RetireNamed(ctx context.Context, st *store.Store, role api.Claim, name string) error {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	all, err := listGrants(sn, "WHERE retirer = ? AND holder = ? AND issuer = ? AND name = ? ORDER BY id", role.ID, role.ID, role.Account, name)
	if err != nil {
		return err
	}
	for _, g := range all {
		k, err := s.get(sn, g.key)
		if err != nil {
			return err
		}
		if k == nil {
			continue
		}
		event := s.event("RetireGrant", k.account, k.arn, map[string]any{
			"grantId": g.id, "name": g.name, "granteePrincipal": g.grantee.arn, "retiringPrincipal": g.retiring.arn,
		})
		event.Claim = role
		if err := settled(s.Happened(ctx, event, func(tx *store.Tx) error { return endGrant(tx, g) })); err != nil {
			return err
		}
	}
	return nil
}

// endGrant deletes a grant, unless somebody else was quicker.
func endGrant(tx *store.Tx, g *grant) error {
	left, err := listGrants(tx, "WHERE id = ?", g.id)
	if err != nil {
		return err
	}
	if len(left) == 0 {
		return errSettled
	}
	return deleteGrant(tx, g)
}
