package identity

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ldap"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

func (r *run) takeGroups(ctx context.Context, groups []ldap.Group) error {
	var again []*ldap.Group
	for i := range groups {
		err := r.takeGroup(ctx, &groups[i])
		if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "ConflictException" {
			again = append(again, &groups[i])
			continue
		}
		if err := r.report.refused(groups[i].DN, err); err != nil {
			return err
		}
	}
	for _, g := range again {
		if err := r.report.refused(g.DN, r.takeGroup(ctx, g)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) takeGroup(ctx context.Context, g *ldap.Group) error {
	if err := r.keep(ctx); err != nil {
		return err
	}
	r.report.problem(g.DN, g.Problem)
	k := r.groups[g.ID]
	if g.Problem == "" {
		if k == nil || k.group == nil {
			return r.createGroup(ctx, g)
		}
		if k.group.DisplayName != g.Name {
			if err := r.askGroup(ctx, k, setting("displayName", g.Name)); err != nil {
				return err
			}
			r.report.Changed++
		}
	}
	if k == nil || k.active {
		return nil
	}
	return r.note(ctx, "GROUP", k, true)
}

func (r *run) askGroup(ctx context.Context, k *known, ops ...shape.AttributeOperation) error {
	_, err := api.Invoke[shape.UpdateGroupOutput](ctx, r.call, "identitystore:UpdateGroup",
		&shape.UpdateGroupInput{IdentityStoreId: r.store, GroupId: k.principal, Operations: ops})
	return err
}

func (r *run) createGroup(ctx context.Context, g *ldap.Group) error {
	out, err := api.Invoke[shape.CreateGroupOutput](ctx, r.call, "identitystore:CreateGroup", &shape.CreateGroupInput{IdentityStoreId: r.store, DisplayName: g.Name})
	k := &known{external: g.ID, active: true, there: true}
	if err == nil {
		k.principal = out.GroupId
		r.report.Created++
	} else if k.principal = r.halfMade(ctx, g.Name); k.principal == "" {
		return err
	}
	r.groups[g.ID] = k
	if err := r.found(ctx, "GROUP", k, groupKey(k.principal)); err != nil {
		return err
	}
	return r.askGroup(ctx, k, setting("externalIds", []shape.ExternalId{{Issuer: r.issuer(), Id: g.ID}}))
}

// halfMade is a group of a name that a run made which was killed before it could say
// whose it is; empty if there is none.
func (r *run) halfMade(ctx context.Context, name string) string {
	sn, err := r.door.Store.Snapshot(ctx)
	if err != nil {
		return ""
	}
	defer sn.Close()
	id, err := one(sn, `SELECT id FROM identity_groups g WHERE `+groupNamed+`
		AND NOT EXISTS (SELECT 1 FROM identity_source_entries e WHERE e.principal = g.id)`, Fold(name), name)
	if err != nil || id == "" {
		return ""
	}
	g, err := r.s.group(sn, id)
	if err != nil || g == nil || g.CreatedBy == "" || g.CreatedBy != r.call.Caller().ARN || len(g.ExternalIds) > 0 {
		return ""
	}
	return id
}

// takeMembers makes the groups' members the directory's. Who leaves, leaves first.
func (r *run) takeMembers(ctx context.Context, there *ldap.Contents) error {
	wanted, err := r.wanted(there)
	if err != nil {
		return err
	}
	type member struct{ id, group, user string }
	list, err := collect(ctx, r.door, func(rows *store.Rows) (m member, err error) { return m, rows.Scan(&m.id, &m.group, &m.user) },
		`SELECT m.id, m.group_id, m.user_id FROM identity_memberships m JOIN identity_source_entries e ON e.kind = 'GROUP' AND e.principal = m.group_id
		WHERE e.source = ?`, r.src.Name)
	if err != nil {
		return err
	}
	for _, m := range list {
		if wanted[m.group][m.user] {
			delete(wanted[m.group], m.user)
			continue
		}
		if err := r.keep(ctx); err != nil {
			return err
		}
		_, err := api.Invoke[shape.DeleteGroupMembershipOutput](ctx, r.call, "identitystore:DeleteGroupMembership",
			&shape.DeleteGroupMembershipInput{IdentityStoreId: r.store, MembershipId: m.id})
		if err := r.report.refused(m.group, err); err != nil {
			return err
		}
		r.report.Left++
	}
	for group, people := range wanted {
		for person := range people {
			if err := r.keep(ctx); err != nil {
				return err
			}
			_, err := api.Invoke[shape.CreateGroupMembershipOutput](ctx, r.call, "identitystore:CreateGroupMembership",
				&shape.CreateGroupMembershipInput{IdentityStoreId: r.store, GroupId: group, MemberId: &shape.MemberId{UserId: person}})
			if err == nil {
				r.report.Joined++
			} else if err := r.report.refused(group, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxSteps bounds the walk through groups of groups.
const maxSteps = 20_000_000

var errNested = errors.New("identity: the directory's groups are nested too deep and wide")

// wanted are the people of each group, by the ids here. A group that is in itself is
// in it once.
func (r *run) wanted(there *ldap.Contents) (map[string]map[string]bool, error) {
	people, groups := map[string]string{}, map[string]*ldap.Group{}
	for _, p := range there.People {
		if k := r.people[p.ID]; k != nil && p.DN != "" {
			people[p.DN] = k.principal
		}
	}
	for i, g := range there.Groups {
		if g.DN != "" {
			groups[g.DN] = &there.Groups[i]
		}
	}
	steps := 0
	out := map[string]map[string]bool{}
	for i := range there.Groups {
		top := &there.Groups[i]
		k := r.groups[top.ID]
		if k == nil {
			continue
		}
		in := map[string]bool{}
		seen, next := map[*ldap.Group]bool{top: true}, []*ldap.Group{top}
		for len(next) > 0 {
			g := next[len(next)-1]
			next = next[:len(next)-1]
			if steps += 1 + len(g.Members); steps > maxSteps {
				return nil, errNested
			}
			for _, dn := range g.Members {
				if id := people[dn]; id != "" {
					in[id] = true
				} else if inner := groups[dn]; inner != nil && r.src.Nested && !seen[inner] {
					seen[inner] = true
					next = append(next, inner)
				}
			}
		}
		out[k.principal] = in
	}
	return out, nil
}
